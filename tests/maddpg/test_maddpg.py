"""MADDPG: slopes of agents' own actions, targets, learning, resuming."""

from copy import deepcopy

import pytest
import torch
from draws import seeded
from played import SMALL, play

from dtlib import TrainConfig, load_run, sample_world, train
from dtlib.agents.policies import Policies
from dtlib.kernels.networks import MLPStack
from dtlib.maddpg.action_critic import ActionCritic
from dtlib.maddpg.actors import Actors
from dtlib.maddpg.maddpg import MADDPG
from dtlib.maddpg.team import Batch, Team, View, critic_inputs

CONFIG = TrainConfig(
    algorithm="maddpg", hidden_sizes=(16,), learning_rate=0.01, discount=0.0, target_rate=0.1
)
SLOTS, STATE = 7, 3


def actors(config, agents=3, shared=False, inputs=4, width=2):
    stack = MLPStack(1 if shared else agents, (inputs, 8, width), generator=seeded(1))
    return Actors(stack, config, agents)


@pytest.mark.parametrize("kind", ["shared", "per-agent"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_slope_is_that_of_replacing_one_action(kind, activation):
    """Against autograd on the whole network, with only one agent's action replaced at a time."""
    config = CONFIG.replace(critic=kind, activation=activation)
    mine = actors(config)
    size = STATE + 5 + mine.agents * mine.width  # five numbers of others in front
    critic = ActionCritic(mine, inputs=size, start=STATE + 5, outputs=2, generator=seeded(2))
    critic.norm.std.copy_(torch.rand(critic.norm.std.shape, generator=seeded(3)) + 0.5)
    inputs = torch.randn(SLOTS, size, generator=seeded(4))
    taken = inputs[:, critic.block].unflatten(1, (3, 2)).transpose(0, 1)
    obs = torch.randn(3, SLOTS, 4, generator=seeded(5))
    own = torch.rand(3, SLOTS, 2, generator=seeded(6))
    worth, slope = critic.slopes(critic.rows(inputs, obs=obs, action=taken), inputs=inputs, own=own)
    for agent in range(3):
        one = own[agent].clone().requires_grad_()
        at = STATE + 5 + 2 * agent
        parts = [inputs[:, :at], one, inputs[:, at + 2 :]]
        index = agent
        if kind == "shared":
            parts, index = [*parts, obs[agent], one], 0
        value = critic.stack.single(index, torch.cat(parts, -1).clone())
        std = critic.norm.std[index, 0]
        expected = (value * std / std.norm()).sum(-1)
        torch.testing.assert_close(worth[agent], expected.detach(), rtol=1e-4, atol=1e-5)
        step = torch.zeros_like(own)
        step[agent, :, 1] = 1e-2
        ahead, behind = (
            critic.slopes(
                critic.rows(inputs, obs=obs, action=taken), inputs=inputs, own=own + sign * step
            )[0][agent]
            for sign in (1, -1)
        )
        if activation == "tanh":
            torch.testing.assert_close(
                slope[agent, :, 1], (ahead - behind) / 2e-2, rtol=2e-2, atol=2e-3
            )


def test_target_by_hand():
    """A linear critic learns towards r + γ Q′ of the following slot."""
    config = CONFIG.replace(
        hidden_sizes=(), discount=0.5, value_norm=False, critic="per-agent", learning_rate=1e-3
    )
    mine = actors(config, agents=1, inputs=1, width=1)
    critic = ActionCritic(mine, inputs=2, start=1, outputs=1, generator=seeded(0))
    critic.stack.weights[0].fill_(1.0)
    critic.target.weights[0].fill_(2.0)
    now, after = torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, 1.0]])
    obs = torch.zeros(1, 1, 1)
    now, after = (critic.rows(one, obs=obs, action=one[None, :, 1:]) for one in (now, after))
    found = critic.learn(now=now, after=after, reward=torch.tensor([[[4.0]]]))
    target = 4.0 + 0.5 * (2 * 2 + 2 * 1)
    assert found["loss"].item() == pytest.approx((1 + 3 - target) ** 2)


def test_rescaling_keeps_what_the_target_says():
    mine = actors(CONFIG.replace(critic="per-agent", discount=0.9), agents=2, inputs=1, width=1)
    critic = ActionCritic(mine, inputs=3, start=1, outputs=2, generator=seeded(1))
    now, after = (torch.randn(30, 3, generator=seeded(seed)) for seed in (2, 3))
    rows, then = (critic.rows(one, obs=None, action=None) for one in (now, after))

    def said():
        norm = critic.norm
        mean, std = norm.mean[:, 0, None], norm.std[:, 0, None]
        return critic.target(after.expand(2, -1, -1)) * std + mean

    for number in range(3):
        before, noise = said(), torch.rand(2, 2, 30, generator=seeded(number))
        critic.learn(now=rows, after=then, reward=10.0**number + noise)
        torch.testing.assert_close(said(), before, rtol=1e-3, atol=1e-3)
    assert critic.norm.mean.abs().min() > 1


class Toy:
    """Two agents with one number each, one observation z, a reward of both numbers."""

    def __init__(self, reward, context=False, choices=0):
        self.reward, self.context, self.choices = reward, context, choices
        config = CONFIG.replace(critic="per-agent")
        stack = MLPStack(2, (1, 16, choices or 1), output_gain=0.01, generator=seeded(3))
        self.actors = Actors(stack, config, 2, choices=choices)
        self.team = Team({"all": self.actors}, state=1, outputs=1, generator=seeded(4))

    def batch(self, count, generator):
        z = torch.ones(count, 1)
        if self.context:
            z = torch.rand(count, 1, generator=generator)
        if self.choices:
            chosen = torch.randint(self.choices, (2, count), generator=generator)
            action = torch.nn.functional.one_hot(chosen, self.choices).float()
            first, second = chosen.float()
        else:
            action = torch.rand(2, count, 1, generator=generator)
            first, second = action[..., 0]
        view = View(
            obs={"all": z.expand(2, count, 1)},
            mask={"all": torch.ones(2, count, 1, dtype=bool)},
            state=z,
        )
        reward = self.reward(z[:, 0], first, second)[None, None]
        return Batch(now=view, after=view, actions={"all": action}, reward=reward)

    def solve(self, steps=1500):
        generator = seeded(5)
        for _ in range(steps):
            self.team.improve(self.batch(64, generator), generator)

    def play(self, z):
        raw = self.actors.stack(torch.full((2, 1, 1), z))
        return raw.argmax(-1).flatten() if self.choices else (1 + raw.tanh()).flatten() / 2


def test_continuous_game():
    """−(a₁ + a₂ − 1)² − ½(a₁ − 0.3)²: best at (0.3, 0.7)."""
    toy = Toy(lambda z, a, b: -((a + b - 1) ** 2) - 0.5 * (a - 0.3) ** 2)
    toy.solve()
    first, second = toy.play(1.0)
    assert abs(first + second - 1) < 0.1 and abs(first - 0.3) < 0.15


def test_contextual_game():
    """−(a₁ − z)² − (a₂ − 1 + z)²: each follows the context."""
    toy = Toy(lambda z, a, b: -((a - z) ** 2) - (b - 1 + z) ** 2, context=True)
    toy.solve()
    for z in (0.2, 0.5, 0.8):
        first, second = toy.play(z)
        assert abs(first - z) < 0.15 and abs(second - 1 + z) < 0.15


def test_game_of_choices():
    """Two agents choose among three: only (2, 1) pays."""
    toy = Toy(lambda z, a, b: ((a == 2) & (b == 1)).float() + 0.2 * (a == 2), choices=3)
    toy.solve(800)
    assert toy.play(1.0).tolist() == [2, 1]


def test_targets_follow_slowly():
    toy = Toy(lambda z, a, b: a)
    before = deepcopy(toy.actors.target.flat)
    toy.team.improve(toy.batch(8, seeded(0)), seeded(1))
    expected = before.lerp(toy.actors.stack.flat, CONFIG.target_rate)
    torch.testing.assert_close(toy.actors.target.flat, expected)


def test_critic_inputs_put_one_agent_after_another():
    state, action = torch.zeros(2, 1), torch.arange(8.0).view(2, 2, 2)
    assert critic_inputs(state, {"all": action}).tolist() == [[0, 0, 1, 4, 5], [0, 2, 3, 6, 7]]


@pytest.mark.parametrize("anneal", [True, False])
def test_noise_falls_with_progress(anneal):
    config = TrainConfig.from_preset(
        "smoke", algorithm="maddpg", silent_below=0.0, noise_variance=0.01, anneal=anneal
    )
    policies, world = Policies(config, seeded(0)), sample_world(config.env, [1, 2])
    mean = torch.tensor(0.5)  # of new networks, nearly
    far = {}
    for progress in (0.0, 0.5, 1.0):
        policies.progress = progress
        drawn = policies.decide(world, [seeded(3)])
        far[progress] = (drawn.power_unit - mean)[drawn.sending].square().mean().sqrt()
    assert far[0.0] == pytest.approx(0.05, rel=0.2)
    assert far[0.5] == pytest.approx(0.025 if anneal else 0.05, rel=0.2)
    assert far[1.0] < 0.01 if anneal else far[1.0] == far[0.0]


@pytest.mark.parametrize("anneal", [True, False])
def test_annealing_ends_at_rate_zero(anneal):
    learner = MADDPG(SMALL.replace(anneal=anneal, value_norm=False), [seeded(0)])
    before = {
        name: array.clone()
        for name, array in learner.state().items()
        if name.startswith(("actors.", "critics.")) and "weight0" in name
    }
    learner.update([play(learner.policies[0])], seeded(1), progress=1.0)
    assert len(before) == 6
    assert all(torch.equal(learner.state()[name], old) == anneal for name, old in before.items())


def test_diagnostics_are_means_over_updates(monkeypatch):
    learner = MADDPG(SMALL.replace(updates_per_frame=3), [seeded(0)])
    told = iter([1.0, 2.0, 6.0])
    monkeypatch.setattr(learner.teams[0], "improve", lambda *_: {"x": torch.tensor(next(told))})
    assert learner.update([play(learner.policies[0])], seeded(1)) == [{"x": 3.0}]


@pytest.mark.parametrize(
    "changes",
    [{}, {"anneal": True}, {"actors": "per-agent", "credit": "joint", "worlds": 1}],
)
def test_resumed_with_the_same_bits(changes, tmp_path):
    """The buffer, the targets and every moment are in the checkpoint."""
    config = TrainConfig.from_preset("smoke", algorithm="maddpg", replay_slots=150, **changes)
    whole = train(config, tmp_path / "whole")
    train(config, tmp_path / "parts", episodes=1)
    train(config, tmp_path / "parts", episodes=2)
    parts = train(config, tmp_path / "parts")
    for kind, stack in whole.policies.stacks.items():
        assert torch.equal(stack.flat, parts.policies.stacks[kind].flat), kind
    loaded = load_run(tmp_path / "parts")
    assert torch.equal(loaded.policies.users.flat, whole.policies.users.flat)
    assert whole.history["critic_loss"].iloc[-1] == parts.history["critic_loss"].iloc[-1]
