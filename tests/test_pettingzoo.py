"""The step-wise environment: PettingZoo's own tests, and equality with the episode expression."""

import copy
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, MultiDiscrete
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.utils.passive_env_checker import (
    check_action_space,
    check_obs,
    check_observation_space,
)
from pettingzoo import ParallelEnv
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.utils import parallel_to_aec

from benchmarks.episode import SEEN, act_on
from dtlib import Actions, EnvConfig, Policies, TrainConfig, sample_world, simulate
from dtlib.model.observations import global_state, observe_centre, observe_stations, observe_users
from dtlib.pettingzoo import TwinEnv, parallel_env, slot_actions, station_names, user_names

SMALL = EnvConfig(num_users=4, num_bs=2, frames=3, frame_slots=8, migration_slots=2)
CONFIGS = {
    "small": SMALL,
    "smoke": TrainConfig.from_preset("smoke").env,
    "alone": EnvConfig(num_users=1, num_bs=1, frames=2, frame_slots=5, migration_slots=0),
    "one-slot frames": SMALL.replace(frame_slots=1, frames=20, migration_slots=0),
    "one frame": SMALL.replace(frames=1, frame_slots=20),
    "readings": SMALL.replace(
        interference="eq7", objective_scale="letter", energy_of_failed="full",
        migrating_transmits=True, max_power_w=0.25, request_prob=1.0, bs_layout="random",
    ),
    "hosted": SMALL.replace(cpu_sharing="hosted", num_users=6, cpu_hz=4e9),
    "served": EnvConfig.named("work-conserving", num_users=6, num_bs=2, frames=3, frame_slots=8),
    "crowd": SMALL.replace(num_users=12, num_bs=4, energy_of_failed="none", noise_w=1e-8),
}  # fmt: skip


def random_actions(env: EnvConfig, seed: int, zeros: bool = False) -> Actions:
    """Draw an episode's actions; ``zeros`` mixes exact zeros and ones in."""
    generator = torch.Generator().manual_seed(seed)
    users, sites, slots = env.num_users, env.num_bs, env.slots

    def unit(*shape: int) -> torch.Tensor:
        draw = torch.rand(1, slots, *shape, generator=generator)
        return (1.6 * draw - 0.3).clamp(0, 1) if zeros else draw

    servers = torch.randint(sites, (1, slots, users), generator=generator)
    return Actions(
        power=unit(users) * env.max_power_w,
        cpu_share=unit(sites, users),
        wired_share=unit(sites, users),
        deployment=servers,
    )


def played(env: EnvConfig, seed: int, actions: Actions) -> list[tuple]:
    """Step an episode; the first entry is what ``reset`` returned."""
    stepper = parallel_env(env)
    steps = [stepper.reset(seed=seed)]
    for slot in range(env.slots):
        steps.append(stepper.step(slot_actions(actions, slot, env)))
    assert not stepper.agents
    return steps


def test_a_film_has_a_frame_a_second_at_least():
    assert TwinEnv(SMALL.replace(slot_s=100.0)).metadata["render_fps"] == 1
    assert TwinEnv(SMALL).metadata["render_fps"] == 20


@pytest.mark.parametrize("name", CONFIGS)
def test_passes_the_api_test_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(parallel_env(CONFIGS[name]), num_cycles=60)


def test_passes_the_api_test_as_an_aec_environment():
    with warnings.catch_warnings():
        # Its advice is against what this environment means to be: agents that differ in kind.
        warnings.simplefilter("ignore")
        api_test(parallel_to_aec(parallel_env(SMALL)), num_cycles=60)


@pytest.mark.parametrize("name", ["small", "crowd"])
def test_passes_the_seed_tests(name):
    parallel_seed_test(lambda: parallel_env(CONFIGS[name]))
    seed_test(lambda: parallel_to_aec(parallel_env(CONFIGS[name])))


def test_same_seed_same_bits_over_whole_episodes():
    # PettingZoo's parallel seed test stops after one step.
    actions = random_actions(SMALL, 3)
    first, second = played(SMALL, 5, actions), played(SMALL, 5, actions)
    assert all(data_equivalence(a, b, exact=True) for a, b in zip(first, second, strict=True))
    other = played(SMALL, 6, actions)
    assert not data_equivalence(first[0], other[0])


def test_is_a_parallel_env_with_heterogeneous_spaces():
    env = parallel_env()
    assert isinstance(env, TwinEnv) and isinstance(env, ParallelEnv)
    assert env.possible_agents[0] == "mu_0" and env.possible_agents[29:31] == ["mu_29", "bs_0"]
    assert env.possible_agents[-2:] == ["bs_4", "centre"] and env.max_num_agents == 36
    assert env.action_space("mu_7") == Box(0, 1, (1,), np.float32)
    assert env.action_space("bs_2") == Box(0, 1, (60,), np.float32)
    assert env.action_space("centre") == MultiDiscrete([5] * 30)
    shapes = {name: env.observation_space(name).shape for name in ("mu_0", "bs_0", "centre")}
    assert shapes == {"mu_0": (16,), "bs_0": (371,), "centre": (220,)}
    for space in (*env.observation_spaces.values(), env.state_space):
        assert space.dtype == np.float32 and space.is_bounded()


@pytest.mark.parametrize("name", CONFIGS)
def test_steps_equal_the_episode_expression(name):
    env = CONFIGS[name]
    for seed in range(3):
        world, actions = sample_world(env, seed), random_actions(env, seed, zeros=seed == 2)
        outcome = simulate(world, actions, env)
        steps = played(env, seed, actions)
        users, stations = user_names(env), station_names(env)
        rewards = [step[1] for step in steps[1:]]
        infos = [step[4] for step in steps[1:]]

        def of_users(key, infos=infos, users=users):
            return np.array([[info[user][key] for user in users] for info in infos])

        def close(found, expected):
            np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-12)

        for agent in (*users, *stations):
            close([reward[agent] for reward in rewards], outcome.reward_global[0])
        close([reward["centre"] for reward in rewards], outcome.reward_centre[0])
        np.testing.assert_array_equal(of_users("request"), world.request[0])
        np.testing.assert_array_equal(of_users("failure"), outcome.failure[0])
        np.testing.assert_array_equal(of_users("migrating"), outcome.migrating[0])
        close(of_users("energy_j"), outcome.energy_j[0])
        close(of_users("delay_s"), outcome.delay_s[0])
        close(of_users("rate_bps"), outcome.rate_bps[0])
        close(of_users("queue"), outcome.queue[0, 1:])
        centre = [info["centre"] for info in infos]
        np.testing.assert_array_equal([c["deployment"] for c in centre], outcome.deployment[0])
        close([c["reward_user"] for c in centre], outcome.reward_centre_user[0])
        assert [c["migrating"] for c in centre] == outcome.migrating[0].sum(-1).tolist()
        for m, station in enumerate(stations):
            calls = (world.request & (world.association == m))[0].sum(-1)
            assert [info[station]["requests"] for info in infos] == calls.tolist()
            hosted = (outcome.deployment[0] == m).sum(-1)
            assert [info[station]["twins"] for info in infos] == hosted.tolist()


@pytest.mark.parametrize("name", CONFIGS)
def test_observations_equal_those_of_the_episode(name):
    env = CONFIGS[name]
    world, actions = sample_world(env, 1), random_actions(env, 1)
    outcome = simulate(world, actions, env)
    seen = [step[0] for step in played(env, 1, actions)]
    expected = {
        **dict(zip(user_names(env), observe_users(world, env)[0].unbind(1), strict=True)),
        **dict(
            zip(
                station_names(env),
                observe_stations(world, outcome.deployment, env)[0].unbind(1),
                strict=True,
            )
        ),
        "centre": observe_centre(world, env)[0],
    }
    for agent, episode in expected.items():
        found = np.stack([observations[agent] for observations in seen[: env.slots]])
        np.testing.assert_array_equal(found, episode)


def test_every_observation_and_state_is_in_its_space_to_the_end():
    for env in CONFIGS.values():
        stepper = parallel_env(env)
        observations, _ = stepper.reset(seed=0)
        for slot in range(env.slots + 1):
            assert observations.keys() == set(stepper.possible_agents)
            for agent, seen in observations.items():
                assert stepper.observation_space(agent).contains(seen), agent
            assert stepper.state_space.contains(stepper.state())
            if slot < env.slots:
                actions = {agent: stepper.action_space(agent).sample() for agent in stepper.agents}
                observations = stepper.step(actions)[0]


def test_passes_gymnasiums_checks_of_spaces():
    stepper = parallel_env(SMALL)
    observations, _ = stepper.reset(seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for agent, seen in observations.items():
            check_observation_space(stepper.observation_space(agent))
            check_obs(seen, stepper.observation_space(agent), "reset")
            check_action_space(stepper.action_space(agent))


def test_bounds_hold_in_whole_episodes_of_table_one():
    env = EnvConfig(area_m=1000.1, deadline_s=(0.03, 0.049))
    stepper, world = parallel_env(env), sample_world(env, 0)

    def inside(space, rows):
        return bool(((rows >= space.low) & (rows <= space.high)).all())

    assert inside(stepper.observation_space("mu_0"), observe_users(world, env).numpy())
    stations = observe_stations(world, world.association, env).numpy()
    assert inside(stepper.observation_space("bs_0"), stations)
    assert inside(stepper.observation_space("centre"), observe_centre(world, env).numpy())
    assert inside(stepper.state_space, global_state(world, world.association, env).numpy())


def test_the_upper_end_of_a_position_may_round_above_one():
    env = SMALL.replace(area_m=901.7)
    world = sample_world(env, 0)
    corner = observe_users(replace(world, position=torch.full_like(world.position, 901.7)), env)
    assert corner.max() > 1
    assert parallel_env(env).observation_space("mu_0").contains(corner[0, 0, 0].numpy())


def test_ends_by_truncation_and_repeats_the_last_slot():
    actions = random_actions(SMALL, 0)
    steps = played(SMALL, 0, actions)
    for number, (_, _, terminated, truncated, _) in enumerate(steps[1:], start=1):
        assert not any(terminated.values())
        assert set(truncated.values()) == {number == SMALL.slots}
    (before, *_), (after, *_) = steps[-2:]
    for agent in (*user_names(SMALL), "centre"):
        np.testing.assert_array_equal(after[agent], before[agent])
    # β would be the centre's last choice.
    last = sample_world(SMALL, 0).window(SMALL.slots - 1, SMALL.slots)
    expected = observe_stations(last, actions.deployment[:, -1:], SMALL)[0, 0]
    for agent, view in zip(station_names(SMALL), expected, strict=True):
        np.testing.assert_array_equal(after[agent], view)


def test_state_is_the_critics_state():
    world, actions = sample_world(SMALL, 2), random_actions(SMALL, 2)
    expected = global_state(world, simulate(world, actions, SMALL).deployment, SMALL)[0]
    stepper = parallel_env(SMALL)
    stepper.reset(seed=2)
    for slot in range(SMALL.slots):
        np.testing.assert_array_equal(stepper.state(), expected[slot])
        stepper.step(slot_actions(actions, slot, SMALL))


def test_slot_actions_lie_in_the_action_spaces():
    env = SMALL.replace(max_power_w=0.3)
    stepper, actions = parallel_env(env), random_actions(env, 0, zeros=True)
    for slot in range(env.slots):
        given = slot_actions(actions, slot, env)
        assert given.keys() == set(stepper.possible_agents)
        assert all(stepper.action_space(agent).contains(one) for agent, one in given.items())
    twice = Actions(**{name: array.repeat(2, 1, *[1] * (array.ndim - 2)) for name, array in
                       vars(actions).items()})  # fmt: skip
    with pytest.raises(ValueError, match="actions have 2 replicas: must have one"):
        slot_actions(twice, 0, env)


def test_actors_see_enough_to_play_the_episode():
    """Networks on the environment's observations alone act as on the whole episode."""
    config = TrainConfig.from_preset("smoke", output_gain=1.0, **SEEN)
    policies = Policies(config, torch.Generator().manual_seed(0))
    world = sample_world(config.env, 4)
    outcome = simulate(world, policies.act(world), config.env)
    stepper = parallel_env(config.env)
    observations, _ = stepper.reset(seed=4)
    rewards = []
    while stepper.agents:
        observations, reward, *_ = stepper.step(act_on(observations, policies))
        rewards.append((reward["mu_0"], reward["centre"]))
    expected = torch.stack([outcome.reward_global[0], outcome.reward_centre[0]], -1)
    np.testing.assert_allclose(rewards, expected, rtol=1e-4)


def test_worlds_without_a_seed_differ_and_follow_from_the_last_seed():
    first, second = parallel_env(SMALL), parallel_env(SMALL)
    worlds = [first.reset()[0]["centre"] for _ in range(3)]
    again = [second.reset()[0]["centre"] for _ in range(3)]
    np.testing.assert_array_equal(worlds, again)
    assert len({w.tobytes() for w in worlds}) == 3
    seeded = [first.reset(seed=7)[0]["centre"], first.reset()[0]["centre"]]
    for other in (second, parallel_env(SMALL)):  # whatever was played before
        np.testing.assert_array_equal(
            seeded, [other.reset(seed=np.int64(7))[0]["centre"], other.reset()[0]["centre"]]
        )
    np.testing.assert_array_equal(seeded[0], observe_centre(sample_world(SMALL, 7), SMALL)[0, 0])


@pytest.mark.parametrize(("reset", "begin"), [(True, 0.0), (False, 4.0)])
def test_queues_go_on_without_a_seed_where_they_are_not_reset(reset, begin):
    """With ε = 0.2, each of five slots in which a user asks and is silent adds 0.8."""
    env = parallel_env(EnvConfig(
        num_users=2, num_bs=1, frames=1, frame_slots=5, request_prob=1, migration_slots=0,
        queue_reset=reset,
    ))  # fmt: skip
    silent = {"mu_0": [0.0], "mu_1": [0.0], "bs_0": [0.0] * 4, "centre": [0, 0]}

    def episode(**seed):
        env.reset(**seed)
        return [env.step(silent)[4]["mu_0"]["queue"] for _ in range(5)]

    assert episode(seed=3) == pytest.approx([0.8, 1.6, 2.4, 3.2, 4.0])
    assert episode() == pytest.approx([begin + 0.8 * slot for slot in range(1, 6)])
    assert episode(seed=3) == pytest.approx([0.8, 1.6, 2.4, 3.2, 4.0])
    env.reset(seed=3)
    assert episode()[0] == pytest.approx(0.8), "where the seed's episode was left, at its start"


def test_it_is_known_by_its_place():
    code = "import dtlib; print(dtlib.pettingzoo.parallel_env().possible_agents[-1])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("centre\n", "")


def test_writing_into_an_observation_does_not_change_the_episode():
    actions, stepper = random_actions(SMALL, 0), parallel_env(SMALL)
    expected = played(SMALL, 0, actions)
    observations, _ = stepper.reset(seed=0)
    for slot in range(SMALL.slots):
        for seen in (*observations.values(), stepper.state()):
            seen.fill(9)
        given = slot_actions(actions, slot, SMALL)
        step = stepper.step(given)
        for one in given.values():
            one.fill(0)
        assert data_equivalence(step, expected[slot + 1], exact=True)
        observations = step[0]
    stepper.reset(seed=0)
    assert data_equivalence(stepper.reset(seed=0)[0], expected[0][0], exact=True)


def test_a_copy_continues_like_the_original():
    actions, stepper = random_actions(SMALL, 0), parallel_env(SMALL)
    stepper.reset(seed=0)
    for slot in range(10):
        stepper.step(slot_actions(actions, slot, SMALL))
    others = [copy.deepcopy(stepper), pickle.loads(pickle.dumps(stepper))]
    expected = stepper.step(slot_actions(actions, 10, SMALL))
    for other in others:
        found = other.step(slot_actions(actions, 10, SMALL))
        assert data_equivalence(expected, found, exact=True)


def test_renders_a_picture():
    assert parallel_env(SMALL).render() is None
    stepper = parallel_env(CONFIGS["crowd"], render_mode="rgb_array")
    with pytest.raises(ResetNeeded):
        stepper.render()
    stepper.reset(seed=0)
    first = stepper.render()
    assert first.shape == (480, 480, 3) and first.dtype == np.uint8
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 10
    while stepper.agents:
        stepper.step({one: stepper.action_space(one).sample() for one in stepper.agents})
    assert (stepper.render() != first).any()
