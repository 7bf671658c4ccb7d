"""Learning on the twin network: an episode in, better actors and critics out."""

import math
from dataclasses import replace

import pytest
import torch
from draws import seeded
from plain_options import effects

from dtlib import Actions, EnvConfig, TrainConfig, sample_world, simulate
from dtlib.agents.episode import Episode
from dtlib.agents.spaces import station_mask
from dtlib.happo.algorithm import agent_order
from dtlib.happo.experience import Experience
from dtlib.happo.learner import Learner
from dtlib.model.observations import global_state, observe_centre
from dtlib.settings.presets import COMPANION, LEARNT_THERE, WORK_CONSERVING

SIZE = {"num_users": 5, "num_bs": 3, "frame_slots": 10, "frames": 4, "migration_slots": 2}
ENV = EnvConfig.named("work-conserving", **SIZE)
SECTION_V = {name: getattr(EnvConfig(), name) for name in WORK_CONSERVING["env"]}
GAUSSIAN = {"algorithm": "gaussian-happo", "worlds": 2, "epochs": 2}
CONFIG = TrainConfig(env=ENV, hidden_sizes=(16, 8), epochs=2, learning_rate=1e-2)
VARIANTS = [
    {},
    {"critic": "shared", "credit": "per-user", "power_action": "decibel"},
    {"critic_target": "gae", "critic_passes": 2, "critic_sees_queue": True, "value_norm": False},
    {"factor": "by-reward", "normalize_advantage": False, "activation": "tanh"},
    {"env": {"deployment_decision": "frame-start", "migrating_transmits": True}},
    LEARNT_THERE | GAUSSIAN | {"env": {}, "gaussian": "bounded"},
    COMPANION | GAUSSIAN | {"env": SECTION_V},
    {"env": SECTION_V, "actors": "by-twin", "credit": "per-user"},
    {"algorithm": "beta-mappo", "credit": "difference", "worlds": 2},
]


def episode(learner, seed=3):
    env = learner.config.env
    world = sample_world(env, seed, replicas=learner.config.worlds)
    decision = learner.policies[0].decide(world, [seeded(seed)])
    return Episode(decision, simulate(world, decision.actions, env))


def experience(learner, played):
    return Experience(learner.config, learner.critic_of, [played])


def trained(config, episodes=2):
    learner, rows = Learner(config, [seeded(0)]), []
    for number in range(episodes):
        rows.append(learner.update([episode(learner, number)], seeded(number))[0])
    return learner, rows


def copy_of(state):
    return {name: array.clone() for name, array in state.items()}


@pytest.mark.parametrize("changes", VARIANTS)
def test_update_changes_every_agent_with_data(changes):
    learner = Learner(CONFIG.replace(**changes), [seeded(0)])
    before = copy_of(learner.state())
    row = learner.update([episode(learner)], seeded(1))[0]
    for name, array in learner.state().items():
        assert array.isfinite().all(), name
        if name.startswith(("actors.", "critics.")):
            for one, old in zip(array, before[name], strict=True):
                assert not torch.equal(one, old), name
    expected = {"entropy", "approx_kl", "clip_fraction", "log_factor_min", "log_factor_max"}
    assert expected | {"explained_variance_global", "explained_variance_centre"} <= row.keys()
    if learner.config.algorithm == "beta-mappo":
        assert math.isnan(row["log_factor_min"]) and math.isnan(row["log_factor_max"])
    else:
        assert row["log_factor_min"] <= 0 <= row["log_factor_max"]
        assert row["log_factor_min"] < row["log_factor_max"]


def test_without_requests_no_actor_changes():
    config = CONFIG.replace(env={"request_prob": 0.0})
    learner = Learner(config, [seeded(0)])
    before = copy_of(learner.state())
    row = learner.update([episode(learner)], seeded(1))[0]
    assert math.isnan(row["entropy"])
    for name, array in learner.state().items():
        assert array.isfinite().all(), name
        if name.startswith("actors."):
            assert torch.equal(array, before[name]), name


@pytest.mark.parametrize("changes", VARIANTS)
def test_the_same_seed_gives_the_same_bits(changes):
    config = CONFIG.replace(**changes)
    (one, rows_one), (two, rows_two) = trained(config), trained(config)
    assert repr(rows_one) == repr(rows_two)  # to the last bit, and nan equals nan
    assert all(torch.equal(array, two.state()[name]) for name, array in one.state().items())
    other = Learner(config, [seeded(1)]).state()
    assert not torch.equal(one.state()["actors.users.weight0"], other["actors.users.weight0"])


def test_a_learner_taken_up_again_continues_with_the_same_bits():
    whole, _ = trained(CONFIG, 3)
    first, _ = trained(CONFIG, 2)
    second = Learner(CONFIG, [seeded(99)])
    second.load(copy_of(first.state()))
    second.update([episode(second, 2)], seeded(2))
    for name, array in whole.state().items():
        assert torch.equal(array, second.state()[name]), name


def test_loading_refuses_what_does_not_fit_and_changes_nothing():
    learner, other = Learner(CONFIG, [seeded(0)]), Learner(CONFIG, [seeded(1)])
    before, good = copy_of(learner.state()), copy_of(other.state())
    name = sorted(good)[3]
    missing = {k: v for k, v in good.items() if k != name}
    for wrong in (
        missing,
        good | {"surplus": torch.zeros(1)},
        good | {name: torch.zeros(1, 2, 3, 4)},
        good | {name: good[name].double()},
        missing | {name + "x": good[name]},
        {},
    ):
        with pytest.raises(ValueError, match="array"):
            learner.load(wrong)
        assert all(torch.equal(array, before[key]) for key, array in learner.state().items())
    learner.load(good)
    assert all(torch.equal(array, good[key]) for key, array in learner.state().items())


def test_state_has_every_array_once():
    learner = Learner(CONFIG, [seeded(0)])
    state = learner.state()
    agents = ENV.num_users + ENV.num_bs + 1
    for kind in ("actor", "critic"):
        for i in range(agents):
            assert f"adam.{kind}{i}.exp_avg" in state
    assert len({array.data_ptr() for array in state.values()}) == len(state)


# --- which agent learns from what ---------------------------------------------------------------


@pytest.mark.parametrize("critic", ["per-agent", "shared"])
@pytest.mark.parametrize("credit", ["joint", "per-user", "difference"])
def test_the_centre_learns_from_its_own_reward(critic, credit):
    learner = Learner(CONFIG.replace(critic=critic, credit=credit, worlds=2), [seeded(0)])
    played = episode(learner)
    outcome, reward = played.outcome, experience(learner, played).rewards[:, 0]
    agents = ENV.num_users + ENV.num_bs + 1
    assert reward.shape == (
        2 if critic == "shared" else agents,
        1 if credit == "joint" else ENV.num_users,
        2,
        ENV.slots - 1,
    )
    total = reward.sum(1)
    assert len(learner.critic_of) == agents
    for agent, index in enumerate(learner.critic_of):
        mine = outcome.reward_centre if agent == agents - 1 else outcome.reward_global
        torch.testing.assert_close(total[index], mine[:, :-1].float(), rtol=1e-4, atol=1e-5)


def test_explained_variances_are_of_r_g_and_r_c():
    learner = Learner(CONFIG, [seeded(0)])
    (row,) = learner.update([episode(learner)], seeded(0))
    first, *_, last = learner.critics.explained
    assert first != last
    found = row["explained_variance_global"], row["explained_variance_centre"]
    assert found == (first[0], last[0])


@pytest.mark.parametrize("algorithm", ["beta-happo", "gaussian-happo"])
@pytest.mark.parametrize("credit", ["joint", "per-user", "difference"])
def test_batches_hold_what_was_decided(credit, algorithm):
    """Observation, value and advantage of each entry, looked up one at a time, in two worlds."""
    config = CONFIG.replace(credit=credit, normalize_advantage=False, worlds=2)
    learner = Learner(config.replace(algorithm=algorithm), [seeded(0)])
    played = episode(learner)
    world, decision = played.decision.world, played.decision
    users, agents = ENV.num_users, len(learner.actors)
    assert agents == users + ENV.num_bs + 1
    by_user, length = credit != "joint", ENV.slots - 1
    advantage = torch.randn(agents, users if by_user else 1, 2 * length, generator=seeded(5))
    batches, own = experience(learner, played).data(0, advantage), effects(played)
    counts = station_mask(
        world.association, ENV, deployment=decision.deployment, served=decision.served
    )
    for agent, batch in enumerate(batches):
        for e in range(0, len(batch.action), 3):
            group = batch.group[e].item()
            slot, column = batch.slot[group].item(), batch.column[e].item()
            at = divmod(slot, length)
            if agent < users:
                value, obs = decision.power_unit[at][agent], decision.user_obs[at][agent]
                assert decision.served[at][agent]
            elif agent < agents - 1:
                m = agent - users
                value, obs = decision.weight_unit[at][m, column], decision.station_obs[at][m]
                assert counts[at][m, column]
            else:
                value, obs = decision.actions.deployment[at][column], decision.centre_obs[at]
                assert world.request[at][column]
            assert batch.action[e] == value
            assert torch.equal(batch.obs[batch.row[e]], obs)
            gain = advantage[agent, :, slot]
            if by_user and agent >= users:
                gain = gain[column % users]
            elif credit == "difference":
                gain = own[at][agent].float()
            torch.testing.assert_close(batch.advantage[group], gain.sum(), rtol=1e-4, atol=1e-5)
    assert sum(len(batch.action) for batch in batches[users:-1]) == counts[:, :-1].sum()


@pytest.mark.parametrize("credit", ["joint", "difference"])
def test_one_actor_learns_from_all_users(credit):
    """MUs' data are those of an actor for each, one after another; so are the centre's by twin."""
    users, length = ENV.num_users, 2 * (ENV.slots - 1)
    config = CONFIG.replace(credit=credit, worlds=2, critic="shared", normalize_advantage=False)
    shared, alone = (
        Learner(config.replace(actors="shared"), [seeded(0)]),
        Learner(config, [seeded(0)]),
    )
    played = episode(shared)
    advantage = torch.randn(2, 1 if credit == "joint" else users, length, generator=seeded(5))
    mine, *others, centre = experience(shared, played).data(0, advantage)
    assert len(shared.actors) == len(others) + 2 == ENV.num_bs + 2
    blank = replace(played.decision, centre_obs=observe_centre(played.decision.world, ENV))
    *each, apart = experience(alone, replace(played, decision=blank)).data(0, advantage)
    for name in ("obs", "action", "slot", "advantage"):
        expected = torch.cat([getattr(data, name) for data in each[:users]])
        assert torch.equal(getattr(mine, name), expected), name
    for one in (mine, centre):
        assert torch.equal(one.group, torch.arange(len(one.obs))) and not one.column.any()
    for found, expected in zip(others, each[users:], strict=True):
        assert torch.equal(found.advantage, expected.advantage)
    assert torch.equal(centre.action, apart.action)  # both by column
    assert torch.equal(centre.slot, apart.slot[apart.group])
    assert torch.equal(centre.advantage, apart.advantage[apart.group])
    for e, (slot, k) in enumerate(zip(centre.slot.tolist(), apart.column.tolist(), strict=True)):
        at = divmod(slot, ENV.slots - 1)
        assert torch.equal(centre.obs[e], played.decision.centre_obs[at][k])


@pytest.mark.parametrize("credit", ["joint", "per-user", "difference"])
def test_the_worlds_of_an_episode_do_not_see_each_other(credit):
    """What is learnt from the first world does not depend on which world the second is."""
    changes = {"credit": credit, "normalize_advantage": False, "value_norm": False}
    config = CONFIG.replace(output_gain=1.0, **changes)

    def learnt(*seeds):
        learner = Learner(config.replace(worlds=len(seeds)), [seeded(0)])
        world = sample_world(ENV, seeds)
        decision = learner.policies[0].decide(world)
        played = Episode(decision, simulate(world, decision.actions, ENV))
        found = experience(learner, played)
        advantage = learner.critics.advantages(learner.critics.look(found.states), found.rewards)
        data = found.data(0, advantage[:, 0].flatten(2))
        return [(one.obs, one.slot, one.advantage) for one in data]

    length = ENV.slots - 1
    alone, first, second = learnt(3), learnt(3, 4), learnt(5, 3)
    for agent, (obs, slot, gain) in enumerate(alone):
        assert len(slot) > 3
        for start, (all_obs, all_slots, gains) in ((0, first[agent]), (length, second[agent])):
            mine = (start <= all_slots) & (all_slots < start + length)
            assert torch.equal(all_slots[mine] - start, slot) and len(all_slots) > len(slot)
            torch.testing.assert_close(gains[mine], gain, rtol=1e-4, atol=1e-5)
            rows = slice(0, len(obs)) if start == 0 else slice(len(all_obs) - len(obs), None)
            assert torch.equal(all_obs[rows], obs)


def test_every_action_that_counts_is_learned_from():
    """Change one user's power: wherever that changes energies, the slot is in its batch."""
    env = ENV.replace(migrating_transmits=True, energy_of_failed="full")
    learner = Learner(CONFIG.replace(env=env, output_gain=1.0), [seeded(0)])
    played = episode(learner)
    world, decision, outcome = played.decision.world, played.decision, played.outcome
    advantage = torch.zeros(env.num_users + env.num_bs + 1, 1, env.slots - 1)
    batches = experience(learner, played).data(0, advantage)
    assert outcome.migrating.any()
    for k in range(env.num_users):
        power = decision.actions.power.clone()
        power[:, :, k] *= 0.5
        changed = simulate(world, Actions(**(vars(decision.actions) | {"power": power})), env)
        effect = (changed.energy_j != outcome.energy_j).any(-1)[0, :-1]
        assert set(effect.nonzero().flatten().tolist()) == set(batches[k].slot.tolist())


def test_critics_see_the_state_of_every_slot_but_learn_from_all_but_the_last(monkeypatch):
    learner = Learner(CONFIG.replace(critic="shared", worlds=2), [seeded(0)])
    played, seen = episode(learner), []
    original = learner.critics.step
    monkeypatch.setattr(
        learner.critics, "step", lambda *arguments: (seen.append(arguments), original(*arguments))
    )
    learner.update([played], seeded(1))
    each = [index for index, *_ in seen]
    assert [sorted(each[i : i + 2]) for i in range(0, len(each), 2)] == [[0, 1]] * CONFIG.epochs
    state = global_state(played.decision.world, played.decision.deployment, ENV).flatten(0, 1)
    probe = torch.randn(1, state.shape[1], 3, generator=seeded(8))
    for index, trace, reward in seen:
        looked_up = trace.rows.forward(probe, torch.zeros(1, 1, 3))
        torch.testing.assert_close(looked_up[0], state @ probe[0])
        kind = played.outcome.reward_centre if index else played.outcome.reward_global
        torch.testing.assert_close(reward[index, 0, 0], kind[:, :-1].float())


@pytest.mark.parametrize("algorithm", ["beta-happo", "beta-mappo"])
def test_the_order_of_agents_matters_to_happo_only(algorithm):
    ends = []
    for seed in (1, 2):
        learner = Learner(CONFIG.replace(algorithm=algorithm), [seeded(0)])
        played = episode(learner)  # the same one
        learner.update([played], seeded(seed))
        ends.append(copy_of(learner.state()))
    orders = [agent_order(len(learner.actors), seeded(seed)) for seed in (1, 2)]
    assert orders[0] != orders[1]
    same = [torch.equal(array, ends[1][name]) for name, array in ends[0].items()]
    assert all(same) == (algorithm == "beta-mappo")


@pytest.mark.parametrize("anneal", [True, False])
def test_annealing_ends_at_rate_zero(anneal):
    """Adam's first step is as long as the rate: half of it halfway, none at the end."""
    config = CONFIG.replace(anneal=anneal, epochs=1, value_norm=False, adam_eps=1e-20)
    for progress, rate in ((0.0, 1e-2), (0.5, 5e-3), (1.0, 0.0)):
        learner = Learner(config, [seeded(0)])
        before = copy_of(learner.state())
        learner.update([episode(learner)], seeded(1), progress)
        expected = rate if anneal else 1e-2
        for name, array in learner.state().items():
            if name.startswith(("actors.", "critics.")):
                step = (array - before[name]).abs().max().item()
                assert step == pytest.approx(expected, rel=1e-3, abs=1e-9), name


@pytest.mark.parametrize("seed", [0, 1])
def test_learning_lowers_the_power_where_only_energy_counts(seed):
    """Without a price on failures the best power is the least; seen on a world kept aside."""
    env = ENV.replace(control_factor=0.0, frames=20, request_prob=0.8)
    changes = {"epochs": 5, "critic": "shared", "gae_lambda": 0.0, "discount": 0.0}
    learner = Learner(CONFIG.replace(env=env, entropy_coef=0.0, **changes), [seeded(seed)])
    aside = sample_world(env, 12345)

    def powers():
        return learner.policies[0].act(aside).power[aside.request].mean().item()

    before = powers()
    for number in range(6):
        learner.update([episode(learner, 100 * seed + number)], seeded(number))
    assert powers() < 0.7 * before
