"""MADDPG (Lowe et al. 2017): deterministic actors, critics that see everybody's actions, replay.

What is learned from a mini-batch knows nothing of the twin network (:class:`Team`); that is added
in :class:`MADDPG`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from dtlib.algorithms.batch import explained_variance
from dtlib.algorithms.credit import difference_reward, reward_streams
from dtlib.algorithms.critic import ValueNorm
from dtlib.algorithms.learner import Episode
from dtlib.algorithms.replay import Batch, Replay, check_arrays, layout, recall, record
from dtlib.algorithms.trainee import Trainee
from dtlib.config import EnvConfig, TrainConfig
from dtlib.networks import MLPStack, Rows
from dtlib.observations import state_size
from dtlib.policies import Policies

_relu_backward = torch.ops.aten.threshold_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input

RAW_PENALTY = 1e-3
"""Weight of an actor's mean squared output, which keeps tanh from saturating; the value in the
program of Lowe et al. 2017."""
NORM_DECAY = 0.99
"""Weight of the past in the scale of the critics' targets when a mini-batch is added."""


class Actors:
    """The deterministic actors of one kind of agents, with their targets and optimisers.

    Args:
        stack: a network for each agent, or one that all have in common.
        config: rates, temperature.
        agents: A.
        choices: how many values each of an agent's numbers has; 0 for all in [0, 1].
        constant: how many columns, the first ones, of a network's input never change.
    """

    def __init__(
        self,
        stack: MLPStack,
        config: TrainConfig,
        agents: int,
        choices: int = 0,
        constant: int = 0,
    ) -> None:
        self.stack, self.target, self.config = stack, deepcopy(stack), config
        self.agents, self.choices, self.constant = agents, choices, constant
        self.trainee = Trainee(stack, 0, config, stack.count)
        self.width = stack.sizes[-1]
        """W, how many of a critic's inputs an agent's action takes."""

    def aim(self, obs: Tensor, mask: Tensor, generator: Generator) -> Tensor:
        """Return the targets' actions [A, n, W]; the arguments are those of :meth:`step`."""
        raw = self.target(obs.reshape(self.stack.count, -1, obs.shape[-1]))
        return self.act(raw.view(*obs.shape[:2], -1), mask, generator)[0]

    def act(self, raw: Tensor, mask: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return actions, and what their slopes are taken of: both [A, n, W], zero where masked.

        A number is (1 + tanh raw)/2. A choice is a one-hot vector drawn from softmax(raw), for
        whose slope the relaxed draw stands in (straight-through Gumbel-softmax, Jang et al. 2017).

        Args:
            raw: [A, n, W], what the networks put out.
            mask: [A, n, D], bool.
            generator: of the draws, on the CPU.
        """
        if not self.choices:
            unit = (1 + torch.tanh(raw)) / 2 * mask
            return unit, unit
        logits, mask = raw.unflatten(-1, (-1, self.choices)), mask.unsqueeze(-1)
        noise = torch.empty(logits.shape).exponential_(generator=generator).clamp_min_(1e-20).log_()
        soft = ((logits - noise.to(raw)) / self.config.gumbel_temperature).softmax(-1)
        hard = one_hot(soft.argmax(-1), self.choices).to(raw)
        return (hard * mask).flatten(2), (soft * mask).flatten(2)

    def chain(self, soft: Tensor, slope: Tensor) -> Tensor:
        """Return a slope with respect to what the networks put out, [A, n, W].

        Args:
            soft: [A, n, W], the second of :meth:`act`.
            slope: [A, n, W], with respect to the action.
        """
        if not self.choices:
            return slope * 2 * soft * (1 - soft)
        soft, slope = (one.unflatten(-1, (-1, self.choices)) for one in (soft, slope))
        along = slope - (soft * slope).sum(-1, keepdim=True)
        return (soft * along / self.config.gumbel_temperature).flatten(2)

    def step(
        self, obs: Tensor, mask: Tensor, slopes: Callable[[Tensor], Tensor], generator: Generator
    ) -> None:
        """Take one step up the critics' slope.

        Args:
            obs: [A, n, d].
            mask: [A, n, D], bool.
            slopes: from the agents' own actions [A, n, W] to the slope of what they are worth.
            generator: of the draws, on the CPU.
        """
        rows = obs.reshape(self.stack.count, -1, obs.shape[-1])
        trace = self.trainee.trace(
            Rows(rows[:, :1, : self.constant], 0, None, rows[:, :, self.constant :])
        )
        raw = self.trainee(trace).mT.reshape(*obs.shape[:2], -1)
        own, soft = self.act(raw, mask, generator)
        pull = raw * mask.repeat_interleave(self.choices or 1, dim=-1)
        down = self.chain(soft, -slopes(own)).add_(pull, alpha=2 * RAW_PENALTY / self.width)
        down = down.view(*rows.shape[:2], -1) / obs.shape[1]
        self.trainee.step(trace, down.mT)


def own_slopes(
    stack: MLPStack, which: slice, inputs: Tensor, start: int, own: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what A agents' own actions are worth, each among the others' recorded ones.

    The first layer is linear: it is run once on the recorded actions, and for each agent only the
    change by its own action is added.

    Args:
        stack: critics.
        which: one critic that all agents have in common, or A, one for each.
        inputs: [n, I], global state and all recorded actions.
        start: where the agents' actions begin among the inputs, one agent after another.
        own: [A, n, W], what each agent would do instead.
        weight: [A, outputs], what an agent weighs each output with.

    Returns:
        worth [A, n]; its slope with respect to ``own``, [A, n, W].
    """
    agents, slots, width = own.shape
    weights, biases = ([one[which] for one in part] for part in (stack.weights, stack.biases))
    weights[-1], biases[-1] = (part[-1] @ weight.unsqueeze(-1) for part in (weights, biases))
    mine = weights[0][:, start : start + agents * width].unflatten(1, (agents, width))
    mine = mine[0] if len(mine) == 1 else mine.diagonal().movedim(-1, 0)
    recorded = inputs[:, start : start + agents * width].unflatten(1, (agents, width))
    common = torch.baddbmm(biases[0], inputs.expand(len(weights[0]), -1, -1), weights[0])
    change = own - recorded.transpose(0, 1)
    out, hidden = torch.baddbmm(common.expand(agents, -1, -1), change, mine), []
    for layer, bias in zip(weights[1:], biases[1:], strict=True):
        out = out.relu_() if stack.activation == "relu" else out.tanh_()
        hidden.append(out)
        out = torch.baddbmm(bias, out.view(len(layer), -1, layer.shape[1]), layer)
    slope = torch.ones_like(out)
    for layer, below in zip(reversed(weights[1:]), reversed(hidden), strict=True):
        slope = torch.bmm(slope.view(len(layer), -1, layer.shape[2]), layer.mT)
        below = below.view_as(slope)
        if stack.activation == "relu":
            slope = _relu_backward(slope, below, 0, grad_input=slope)
        else:
            slope = _tanh_backward(slope, below, grad_input=slope)
    return out.view(agents, slots), torch.bmm(slope.view(agents, slots, -1), mine.mT)


class ActionCritics:
    """Critics of global state and all actions, with their targets, optimisers and scale.

    Args:
        count: C.
        inputs: I, length of state and actions together.
        outputs: parts of the reward.
        config: sizes and rates.
        generator: of the initial weights.
        device: where they are.
    """

    def __init__(
        self,
        count: int,
        inputs: int,
        outputs: int,
        config: TrainConfig,
        generator: Generator,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        sizes = (inputs, *config.hidden_sizes, outputs)
        self.stack = MLPStack(count, sizes, config.activation, 1.0, generator)
        self.stack.to(device)
        self.target = deepcopy(self.stack)
        self.trainee = Trainee(self.stack, 0, config, count)
        self.norm = ValueNorm((count, 1, outputs), NORM_DECAY, device)

    def learn(self, inputs: Tensor, following: Tensor, reward: Tensor) -> dict[str, Tensor]:
        """Take one regression step towards r + γ Q′(s′, a′).

        Args:
            inputs: [n, I].
            following: [n, I], of the slots that followed, with the targets' actions.
            reward: [C, outputs, n].

        Returns:
            Diagnostics, 0-dimensional.
        """
        count, norm = self.stack.count, self.norm
        ahead = self.target(following.expand(count, -1, -1)).mT
        returns = reward + self.config.discount * (ahead * norm.std.mT + norm.mean.mT)
        if self.config.value_norm:
            self._rescale(returns)
        target = (returns - norm.mean.mT) / norm.std.mT
        rows = inputs.expand(count, -1, -1)
        trace = self.trainee.trace(Rows(rows[:, :1, :0], 0, None, rows))
        value = self.trainee(trace)
        error = value - target
        self.trainee.step(trace, error / len(inputs))
        total, known = returns.sum(1), (value * norm.std.mT + norm.mean.mT).sum(1)
        return {
            "critic_loss": error.square().mean(),
            "q_mean": known[0].mean(),
            "explained_variance_global": explained_variance(total[0], known[0]),
            "explained_variance_centre": explained_variance(total[-1], known[-1]),
        }

    def _rescale(self, returns: Tensor) -> None:
        """Learn the returns' scale, [C, outputs, n]; change output layers so that no value does."""
        mean, std = self.norm.mean.clone(), self.norm.std.clone()
        self.norm.update(returns[:, None, :, None])
        for stack in (self.stack, self.target):
            stack.weights[-1].mul_(std / self.norm.std)
            stack.biases[-1].mul_(std).add_(mean - self.norm.mean).div_(self.norm.std)


class Team:
    """Actors and critics of one run, and what they learn from a mini-batch.

    Args:
        actors: by kind; the order is that of a batch's rewards and of the critics' inputs.
        state: S, length of the global state.
        outputs: parts of the rewards.
        config: rates; whether all agents of a kind share a critic.
        generator: of the critics' initial weights.
        device: where they are.
        apart: kinds whose agent k has output k for a reward; others have the sum of all.
    """

    def __init__(
        self,
        actors: Mapping[str, Actors],
        state: int,
        outputs: int,
        config: TrainConfig,
        generator: Generator,
        device: torch.device | str = "cpu",
        apart: Sequence[str] = (),
    ) -> None:
        self.config, self.actors, self.apart = config, dict(actors), apart
        counts = [1 if config.critic == "shared" else one.agents for one in actors.values()]
        self.kind_of = [kind for kind, count in enumerate(counts) for _ in range(count)]
        """Whose reward each critic predicts."""
        inputs = state + sum(one.agents * one.width for one in actors.values())
        self.critics = ActionCritics(sum(counts), inputs, outputs, config, generator, device)

    @property
    def parts(self) -> list[Actors | ActionCritics]:
        """Everything that has networks, targets and optimisers."""
        return [*self.actors.values(), self.critics]

    def improve(self, batch: Batch, generator: Generator) -> dict[str, Tensor]:
        """Improve critics, then actors, then move the targets towards them.

        Args:
            batch: a mini-batch.
            generator: of the draws of choices, on the CPU.

        Returns:
            Diagnostics, 0-dimensional.
        """
        after = {
            kind: one.aim(batch.after.obs[kind], batch.after.mask[kind], generator)
            for kind, one in self.actors.items()
        }
        inputs = merge(batch.now.state, batch.actions)
        following = merge(batch.after.state, after)
        stats = self.critics.learn(inputs, following, batch.reward[self.kind_of])
        start = batch.now.state.shape[1]
        for kind, one in self.actors.items():
            slopes = partial(self._slopes, kind, inputs, start)
            one.step(batch.now.obs[kind], batch.now.mask[kind], slopes, generator)
            start += one.agents * one.width
        for part in self.parts:
            part.target.flat.lerp_(part.stack.flat, self.config.target_rate)
        return stats

    def _slopes(self, kind: str, inputs: Tensor, start: int, own: Tensor) -> Tensor:
        """Return the slope of what own actions [A, n, W] are worth, in deviations of the return."""
        place = list(self.actors).index(kind)
        first = self.kind_of.index(place)
        critics = slice(first, first + self.kind_of.count(place))
        if kind in self.apart:
            weight = torch.eye(len(own)).to(own)
        else:
            std = self.critics.norm.std[critics, 0]
            weight = (std / std.norm(dim=1, keepdim=True)).expand(len(own), -1)
        return own_slopes(self.critics.stack, critics, inputs, start, own, weight)[1]


def merge(state: Tensor, actions: Mapping[str, Tensor]) -> Tensor:
    """Return critics' inputs [n, I]: the state [n, S], then each agent's action [A, n, W]."""
    return torch.cat([state, *(one.transpose(0, 1).flatten(1) for one in actions.values())], dim=1)


class MADDPG:
    """MADDPG of the twin network in R runs, each with a replay buffer of its own.

    Agents are MUs, base stations, then the centre. The interface is the on-policy learner's.

    Args:
        config: the settings that all runs have in common; of the network, sizes only.
        generators: of the initial weights, one per run.
        device: where networks and data are.
    """

    def __init__(
        self,
        config: TrainConfig,
        generators: Sequence[Generator],
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self.policies = [Policies(config, one) for one in generators]
        """One per run."""
        outputs = 1 if config.credit == "joint" else config.env.num_users
        self.teams, self.replays = [], []
        for policies, generator in zip(self.policies, generators, strict=True):
            policies.to(device)
            self.teams.append(self._team(policies, outputs, generator, device))
            fields = layout(config, outputs)
            self.replays.append(Replay(config.replay_slots, fields, config.worlds, device))

    def _team(
        self, policies: Policies, outputs: int, generator: Generator, device: torch.device | str
    ) -> Team:
        env, begins = self.config.env, 1 + 2 * self.config.env.num_bs
        shared = self.config.actors == "shared"
        begins_users, twins = (0, env.num_users) if shared else (begins, 1)
        actors = {
            "users": Actors(policies.users, self.config, env.num_users, constant=begins_users),
            "stations": Actors(policies.stations, self.config, env.num_bs, constant=begins),
            "centre": Actors(policies.centre, self.config, twins, env.num_bs),
        }
        size = state_size(env, self.config.critic_sees_queue)
        apart = ["users"] if self.config.credit == "difference" else []
        return Team(actors, size, outputs, self.config, generator, device, apart)

    @staticmethod
    def stretch(env: EnvConfig) -> int:
        """Slots that one policy plays before it is improved: a frame."""
        return env.frame_slots

    def update(
        self, episodes: Sequence[Episode], generator: Generator, progress: float = 0.0
    ) -> list[dict[str, float]]:
        """Remember a stretch of each run's episode, and learn from what is remembered.

        Args:
            episodes: one stretch per run.
            generator: of the mini-batches, on the CPU; all runs draw the same.
            progress: how much of the training is over, from 0 to 1.

        Returns:
            Diagnostics by name, one record per run; empty as long as no slot has a successor.
        """
        seed = int(torch.randint(2**62, (), generator=generator))
        return [
            self._learn(run, episode, Generator().manual_seed(seed), progress)
            for run, episode in enumerate(episodes)
        ]

    def _learn(
        self, run: int, episode: Episode, generator: Generator, progress: float
    ) -> dict[str, float]:
        world, config, found = episode.world, self.config, []
        team, replay = self.teams[run], self.replays[run]
        for part in team.parts:
            part.trainee.rate = config.learning_rate * (1 - progress * config.anneal)
        rows = record(world, episode.decision, episode.outcome, self._rewards(episode))
        replay.append(rows, follows=episode.outcome.carry.slot > world.slots)
        for _ in range(config.updates_per_frame):
            if (rows := replay.sample(config.batch_size, generator)) is None:
                return {}
            batch = recall(rows, world.bs_position, episode.decision.env, config)
            found.append(team.improve(batch, generator))
        return {name: float(sum(one[name] for one in found)) / len(found) for name in found[0]}

    def _rewards(self, episode: Episode) -> Tensor:
        """Return the reward of each kind of agents, [3, outputs, W, N].

        An MU's difference reward is against silence: a mean action, as in on-policy learning, would
        change between playing a slot and learning from it.
        """
        world, outcome, credit = episode.world, episode.outcome, self.config.credit
        streams = torch.stack(list(reward_streams(credit, outcome)))
        if credit == "difference":
            power, env = episode.decision.actions.power, episode.decision.env
            effect = difference_reward(world, power, torch.zeros_like(power), outcome, env)
            streams[0] = effect.movedim(-1, 0)
        return streams

    def state(self, run: int = 0) -> dict[str, Tensor]:
        """Return every array of one run that learning changes, by name, the buffer included."""
        replay = self.replays[run].state()
        return self._networks(run) | {f"replay.{name}": array for name, array in replay.items()}

    def _networks(self, run: int) -> dict[str, Tensor]:
        team, parts = self.teams[run], {}
        for kind, one in (team.actors | {"critics": team.critics}).items():
            name = kind if kind == "critics" else f"actors.{kind}"
            parts |= {name: one.stack.state(), f"targets.{kind}": one.target.state()}
            parts |= {f"adam.{kind}{i}": one.trainee.state(i) for i in range(one.stack.count)}
        parts["value_norm"] = team.critics.norm.state()
        return {f"{part}.{name}": one for part, held in parts.items() for name, one in held.items()}

    def load(self, state: dict[str, Tensor], run: int = 0) -> None:
        """Copy arrays of :meth:`state` into place.

        Raises:
            ValueError: names, shapes or types differ; nothing is changed then.
        """
        kept = {name: array for name, array in state.items() if name.startswith("replay.")}
        own = self._networks(run)
        check_arrays(own, {name: array for name, array in state.items() if name not in kept})
        self.replays[run].load({name.removeprefix("replay."): one for name, one in kept.items()})
        for name, tensor in own.items():
            tensor.copy_(state[name])
