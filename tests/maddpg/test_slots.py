"""What is kept of a slot: what agents saw and did there, the reward of each, what followed."""

import pytest
import torch
from draws import seeded
from played import SMALL, play

from dtlib import Policies
from dtlib.agents.credit import difference_reward
from dtlib.maddpg.maddpg import MADDPG
from dtlib.maddpg.slots import recall, record
from dtlib.model.observations import global_state
from dtlib.training.loop import Trainer

KEPT = {
    "companion": {},
    "published": {
        "actors": "per-agent", "credit": "joint", "critic": "per-agent", "observation": "positions",
    },
    "by twin, sees the queue": {
        "actors": "by-twin", "credit": "per-user", "critic_sees_queue": True,
    },
    "migrating users send": {"env": {"migrating_transmits": True}},
    "whole": {"env": {"cpu_sharing": "whole"}},
}  # fmt: skip


def in_a_row(array):
    """As slots are kept: [W, N, …] to [N·W, …]."""
    return array.transpose(0, 1).flatten(0, 1)


@pytest.mark.parametrize("changes", KEPT.values(), ids=KEPT)
def test_what_is_kept_of_a_slot_is_what_was_seen_and_done(changes):
    """A mini-batch of all slots but each world's last, and of those that followed."""
    config = SMALL.replace(**changes)
    env, users = config.env, config.env.num_users
    played = play(Policies(config, seeded(0)))
    world, decision, outcome = played.decision.world, played.decision, played.outcome
    assert outcome.migrating.any() and (outcome.frame_queue > 0).any()
    reward = torch.randn(3, 2, config.worlds, world.slots, generator=seeded(1))
    rows = record(world, decision, outcome, reward=reward)
    first = torch.arange((world.slots - 1) * config.worlds)
    place = torch.cat([first, first + config.worlds])
    batch = recall(
        {key: array[place] for key, array in rows.items()},
        bs_position=world.bs_position, env=env, config=config,
    )  # fmt: skip

    queue = outcome.frame_queue if config.critic_sees_queue else None
    state = in_a_row(global_state(world, decision.deployment, env, queue=queue))
    counts, asked = in_a_row(decision.weight_counts), in_a_row(world.request)
    seen = {"users": in_a_row(decision.user_obs), "stations": in_a_row(decision.station_obs)}
    mask = {"users": in_a_row(decision.sending)[..., None], "stations": counts}
    seen["centre"], mask["centre"] = in_a_row(decision.centre_obs), asked
    if config.twin_by_twin:
        mask["centre"] = asked[..., None]
    else:
        seen["centre"], mask["centre"] = seen["centre"][:, None], asked[:, None]
    for view, at in ((batch.now, first), (batch.after, first + config.worlds)):
        torch.testing.assert_close(view.state, state[at])
        for kind in ("users", "stations", "centre"):
            torch.testing.assert_close(view.obs[kind], seen[kind][at].transpose(0, 1), msg=kind)
            assert torch.equal(view.mask[kind], mask[kind][at].transpose(0, 1)), kind
    done = batch.actions
    assert torch.equal(done["users"], in_a_row(decision.power_unit)[first].mT[..., None])
    weights = torch.where(counts, in_a_row(decision.weight_unit), 0)[first]
    assert torch.equal(done["stations"], weights.transpose(0, 1))
    chosen = done["centre"].transpose(0, 1).reshape(len(first), users, env.num_bs)
    assert torch.equal(chosen.sum(-1), asked[first].to(chosen))
    choice = in_a_row(decision.actions.deployment)[first]
    assert torch.equal(chosen.argmax(-1)[asked[first]], choice[asked[first]])
    assert torch.equal(batch.reward, in_a_row(reward.permute(2, 3, 0, 1))[first].permute(1, 2, 0))


def test_whose_reward_is_whose():
    """MUs: what silence in their place had cost in this slot; others: users' parts of theirs."""
    learner = MADDPG(SMALL, [seeded(0)])
    played = play(learner.policies[0])
    own, stations, centre = learner._rewards(played)
    silence = torch.zeros_like(played.decision.actions.power)
    torch.testing.assert_close(own, difference_reward(played, silence).movedim(-1, 0))
    torch.testing.assert_close(stations, played.outcome.reward_global_user.float().movedim(-1, 0))
    torch.testing.assert_close(centre, played.outcome.reward_centre_user.movedim(-1, 0))
    discounts = {kind: one.config.discount for kind, one in learner.teams[0].critics.items()}
    assert discounts == {"users": 0, "stations": SMALL.discount, "centre": SMALL.discount}
    apart = {kind: one.apart for kind, one in learner.teams[0].actors.items()}
    assert apart == {"users": True, "stations": False, "centre": True}


def test_no_slot_is_linked_over_the_end_of_an_episode():
    trainer = Trainer([SMALL])
    for _ in range(2):
        trainer.episode()
    slots, worlds = SMALL.env.slots, SMALL.worlds
    linked = trainer.learner.replays[0].linked[: 2 * slots * worlds].view(2, slots, worlds)
    assert worlds == 2 and linked[:, :-1].all() and not linked[:, -1].any()
