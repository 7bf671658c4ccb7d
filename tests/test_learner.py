"""Learning on the twin network: an episode in, better actors and critics out."""

import pytest
import torch

from dtlib import Actions, EnvConfig, TrainConfig, sample_world, simulate
from dtlib.algorithms.learner import Episode, Learner
from dtlib.observations import global_state
from dtlib.policies import station_mask

ENV = EnvConfig(num_users=5, num_bs=3, frame_slots=10, frames=4, migration_slots=2)
CONFIG = TrainConfig(env=ENV, hidden_sizes=(16, 8), epochs=2, learning_rate=1e-2)
VARIANTS = [
    {},
    {"critic": "shared", "credit": "per-user", "power_action": "decibel"},
    {"critic_target": "gae", "critic_passes": 2, "critic_sees_queue": True, "value_norm": False},
    {"factor": "by-reward", "normalize_advantage": False, "activation": "tanh"},
    {"env": {"deployment_decision": "frame-start", "migrating_transmits": True}},
]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def episode(learner, seed=3):
    env = learner.config.env
    world = sample_world(env, seed)
    decision = learner.policies[0].decide(world, [seeded(seed)])
    return Episode(world, decision, simulate(world, decision.actions, env))


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
    assert row["log_factor_min"] <= 0 <= row["log_factor_max"]
    assert row["log_factor_min"] < row["log_factor_max"]


def test_without_requests_no_actor_changes():
    config = CONFIG.replace(env={"request_prob": 0.0})
    learner = Learner(config, [seeded(0)])
    before = copy_of(learner.state())
    row = learner.update([episode(learner)], seeded(1))[0]
    assert row["entropy"] != row["entropy"]
    for name, array in learner.state().items():
        assert array.isfinite().all(), name
        if name.startswith("actors."):
            assert torch.equal(array, before[name]), name


@pytest.mark.parametrize("changes", VARIANTS)
def test_the_same_seed_gives_the_same_bits(changes):
    config = CONFIG.replace(**changes)
    (one, rows_one), (two, rows_two) = trained(config), trained(config)
    assert rows_one == rows_two
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
@pytest.mark.parametrize("credit", ["joint", "per-user"])
def test_the_centre_learns_from_its_own_reward(critic, credit):
    learner = Learner(CONFIG.replace(critic=critic, credit=credit), [seeded(0)])
    outcome = episode(learner).outcome
    reward = learner._rewards(outcome)
    agents = ENV.num_users + ENV.num_bs + 1
    assert reward.shape == (
        2 if critic == "shared" else agents,
        ENV.num_users if credit == "per-user" else 1,
        ENV.slots - 1,
    )
    total = reward.sum(1)
    assert len(learner.critic_of) == agents
    for agent, index in enumerate(learner.critic_of):
        mine = outcome.reward_centre if agent == agents - 1 else outcome.reward_global
        torch.testing.assert_close(total[index], mine[0, :-1].float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("credit", ["joint", "per-user"])
def test_batches_hold_what_was_decided(credit):
    """Observation, value and advantage of each entry, looked up one at a time."""
    learner = Learner(CONFIG.replace(credit=credit, normalize_advantage=False), [seeded(0)])
    played = episode(learner)
    world, decision = played.world, played.decision
    users, agents = ENV.num_users, ENV.num_users + ENV.num_bs + 1
    shape = (agents, users if credit == "per-user" else 1, ENV.slots - 1)
    advantage = torch.randn(shape, generator=seeded(5))
    batches = learner._data(played, advantage)
    counts = station_mask(world.association, decision.deployment, decision.served, ENV)[0]
    for agent, batch in enumerate(batches):
        for e in range(0, len(batch.value), 3):
            group = batch.group[e].item()
            n, column = batch.slot[group].item(), batch.column[e].item()
            assert n < ENV.slots - 1
            if agent < users:
                value, obs = decision.power_unit[0, n, agent], decision.user_obs[0, n, agent]
                assert decision.served[0, n, agent]
            elif agent < agents - 1:
                m = agent - users
                shares = decision.actions.cpu_share, decision.actions.wired_share
                value = shares[column // users][0, n, m, column % users]
                obs = decision.station_obs[0, n, m]
                assert counts[n, m, column]
            else:
                value, obs = decision.actions.deployment[0, n, column], decision.centre_obs[0, n]
                assert world.request[0, n, column]
            assert batch.value[e] == value
            assert torch.equal(batch.obs[batch.row[e]], obs)
            gain = advantage[agent, :, n]
            if credit == "per-user" and agent >= users:
                gain = gain[column % users]
            torch.testing.assert_close(batch.advantage[group], gain.sum())
    assert sum(len(batch.value) for batch in batches[users:-1]) == counts[:-1].sum()


def test_every_action_that_counts_is_learned_from():
    """Change one user's power: wherever that changes energies, the slot is in its batch."""
    env = ENV.replace(migrating_transmits=True, energy_of_failed="full")
    learner = Learner(CONFIG.replace(env=env, output_gain=1.0), [seeded(0)])
    played = episode(learner)
    world, decision, outcome = played.world, played.decision, played.outcome
    advantage = torch.zeros(env.num_users + env.num_bs + 1, 1, env.slots - 1)
    batches = learner._data(played, advantage)
    assert outcome.migrating.any()
    for k in range(env.num_users):
        power = decision.actions.power.clone()
        power[:, :, k] *= 0.5
        changed = simulate(world, Actions(**(vars(decision.actions) | {"power": power})), env)
        effect = (changed.energy_j != outcome.energy_j).any(-1)[0, :-1]
        assert set(effect.nonzero().flatten().tolist()) == set(batches[k].slot.tolist())


def test_critics_see_the_state_of_every_slot_but_learn_from_all_but_the_last(monkeypatch):
    learner = Learner(CONFIG.replace(critic="shared"), [seeded(0)])
    played, seen = episode(learner), []
    original = learner.critics.step
    monkeypatch.setattr(
        learner.critics, "step", lambda *arguments: (seen.append(arguments), original(*arguments))
    )
    learner.update([played], seeded(1))
    assert [index for index, *_ in seen] == [0, 1] * CONFIG.epochs
    state = global_state(played.world, played.decision.deployment, ENV)[0]
    probe = torch.randn(1, state.shape[1], 3, generator=seeded(8))
    for index, trace, reward in seen:
        rows, zero = trace.rows, torch.zeros(1, 1, 3)
        looked_up = rows.others(probe, zero) + rows.fast @ probe[:, -rows.fast.shape[2] :]
        torch.testing.assert_close(looked_up[0], state @ probe[0])
        kind = played.outcome.reward_centre if index else played.outcome.reward_global
        torch.testing.assert_close(reward[index, 0, 0], kind[0, :-1].float())


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
