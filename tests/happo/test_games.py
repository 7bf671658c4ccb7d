"""Games with known optima, which the sequential update must solve."""

import pytest
import torch
from draws import seeded

from dtlib import TrainConfig
from dtlib.happo.algorithm import Agent, agent_order
from dtlib.kernels.batch import ActorBatch, actor_data, standardise
from dtlib.kernels.diagnostics import UpdateStats
from dtlib.kernels.distributions import beta_parameters, sample_beta, sample_categorical
from dtlib.kernels.networks import MLPStack
from dtlib.kernels.outputs import Output
from dtlib.kernels.train_state import TrainState

CONFIG = TrainConfig(learning_rate=0.02, hidden_sizes=(8,), clip=0.2)


# Each variant breaks the algorithm in one way: a game has power only if it then is not solved.


def in_turns(agents, order, power=1):
    """Update all agents once, with M to a power: 0 is without it, −1 its inverse."""
    log_factor = torch.zeros(agents[0].batch.shape)
    for u in order:
        agents[u].step(agents[u].factor(power * log_factor), UpdateStats())
        agents[u].hand_on(log_factor)


@pytest.mark.parametrize(("power", "solved"), [(1, True), (0, False), (-1, False)])
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_successor_reacts_to_its_predecessor(power, solved, order):
    """One large step each on exact data: joint choices (0,0), (0,1), (1,0), (1,1) pay 0, 1, 1, −1.

    Against an undecided partner, 0 is the better choice, for both. Once the first has moved to 0,
    the second must move to 1: the optimum, 1, is reached only by who knows the other's new policy.
    """
    config = CONFIG.replace(learning_rate=2.0, clip=10.0, entropy_coef=0.0, hidden_sizes=())
    stack = MLPStack(2, (1, 2), generator=seeded(0))
    stack.weights[0].zero_()
    actors = [TrainState(stack, config, index=i) for i in range(2)]
    value = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    reward = torch.tensor([0.0, 1.0, 1.0, -1.0])
    mask, ones = torch.ones(4, 1, dtype=bool), torch.ones(4, 1)
    advantage = reward - reward.mean()
    data = [
        actor_data(
            "categorical", obs=ones, action=value[:, i, None], mask=mask, advantage=advantage
        )
        for i in (0, 1)
    ]
    agents = [
        Agent(actor, ActorBatch([one], slots=4, output=Output(1, 2, choices=True)), config)
        for actor, one in zip(actors, data, strict=True)
    ]
    in_turns(agents, order, power)
    chance = stack(torch.ones(2, 1, 1)).softmax(-1)[:, 0]
    expected = (chance[0][value[:, 0]] * chance[1][value[:, 1]] * reward).sum().item()
    assert (expected > 0.9) == solved, expected


class Game:
    """Agents that share a reward; each sees the same context. Optimum known."""

    heads: tuple[str, ...]
    choices = 0

    def context(self, count, generator):
        return torch.ones(count, 1)


class Continuous(Game):
    """−(a₁ + a₂ − 1)² − ½(a₁ − 0.3)²: best at (0.3, 0.7), worth 0."""

    heads = ("beta", "beta")

    def reward(self, context, first, second):
        return -((first + second - 1) ** 2) - 0.5 * (first - 0.3) ** 2

    def solved(self, play):
        first, second = play(torch.ones(1, 1))
        return abs(first.item() - 0.3) < 0.06 and abs(second.item() - 0.7) < 0.08


class Climbing(Game):
    """A matrix whose best entry (0, 0) is surrounded by penalties (Claus and Boutilier 1998)."""

    heads = ("categorical", "categorical")
    choices = 3
    pay = torch.tensor([[10.0, -1.0, 0.0], [-1.0, 6.0, 2.0], [0.0, 2.0, 5.0]])

    def reward(self, context, first, second):
        return self.pay[first, second]

    def solved(self, play):
        first, second = play(torch.ones(1, 1))
        return min(first[0, 0].item(), second[0, 0].item()) > 0.95


class Contextual(Game):
    """The best level is ½ + 0.3 x and the best choice the sign of x."""

    heads = ("beta", "categorical")
    choices = 2

    def context(self, count, generator):
        return torch.rand(count, 1, generator=generator) * 2 - 1

    def reward(self, context, level, choice):
        x = context[:, 0]
        return -4 * (level - 0.5 - 0.3 * x) ** 2 - (choice != (x > 0)).float()

    def solved(self, play):
        x = torch.tensor([[-0.8], [-0.4], [0.4], [0.8]])
        level, chance = play(x)
        right = chance.gather(-1, (x > 0).long())
        return (level - 0.5 - 0.3 * x).abs().max() < 0.12 and right.min() > 0.9


def solve(game, seed, sign=1.0, rounds=36, epochs=5, count=128):
    """Play and learn; return a function from contexts to mean actions or chances."""
    config = CONFIG.replace(learning_rate=0.03, entropy_coef=0.0)
    generator = seeded(seed)
    outputs = [
        Output(1, 2) if head == "beta" else Output(1, game.choices, choices=True)
        for head in game.heads
    ]
    stacks = [
        MLPStack(1, (1, 16, out.size), activation="tanh", output_gain=0.01, generator=generator)
        for out in outputs
    ]
    actors = [TrainState(stack, config) for stack in stacks]
    mask = torch.ones(count, 1, dtype=bool)
    for _ in range(rounds):
        context = game.context(count, generator)
        actions = []
        for head, stack in zip(game.heads, stacks, strict=True):
            raw = stack(context[None])[0]
            if head == "beta":
                actions.append(sample_beta(*beta_parameters(raw).chunk(2, -1), generator))
            else:
                actions.append(sample_categorical(raw, generator)[:, None])
        reward = game.reward(context, *(action[:, 0] for action in actions))
        advantage = sign * standardise(reward)
        agents = []
        for head, action, actor, out in zip(game.heads, actions, actors, outputs, strict=True):
            data = actor_data(head, obs=context, action=action, mask=mask, advantage=advantage)
            agents.append(Agent(actor, ActorBatch([data], slots=count, output=out), config))
        for _ in range(epochs):
            in_turns(agents, agent_order(2, generator))

    def play(context):
        results = []
        for head, stack in zip(game.heads, stacks, strict=True):
            raw = stack(context[None])[0]
            if head == "beta":
                first, second = beta_parameters(raw).chunk(2, -1)
                results.append(first / (first + second))
            else:
                results.append(raw.softmax(-1))
        return results

    return play


@pytest.mark.parametrize("game", [Continuous(), Climbing(), Contextual()])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_game_is_solved(game, seed):
    assert game.solved(solve(game, seed))


@pytest.mark.parametrize("game", [Continuous(), Climbing(), Contextual()])
def test_game_is_not_solved_with_the_advantage_upside_down(game):
    assert not game.solved(solve(game, 0, sign=-1.0))
