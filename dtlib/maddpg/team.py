"""What actors and critics learn from a mini-batch.

Nothing here knows of the twin network; :mod:`dtlib.maddpg.maddpg` adds it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from dtlib.maddpg.action_critic import ActionCritic
from dtlib.maddpg.actors import Actors


@dataclass(frozen=True, kw_only=True)
class View:
    """What n slots look like, to agents by kind and to the critics."""

    obs: dict[str, Tensor]
    """[A, n, d] of A agents."""
    mask: dict[str, Tensor]
    """[A, n, D], bool: which of an agent's D numbers have an effect."""
    state: Tensor
    """[n, S], the global state."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A mini-batch of n slots and of those that followed."""

    now: View
    after: View
    actions: dict[str, Tensor]
    """[A, n, W] by kind, as executed: W = D numbers in [0, 1], or D one-hot vectors of a choice;
    zero where they have no effect."""
    reward: Tensor
    """[kinds, outputs, n]."""


class Team:
    """Actors and critics of one run, and what they learn from a mini-batch.

    Args:
        actors: by kind; the order is that of a batch's rewards and of actions in critics' inputs.
        state: S, length of the global state.
        outputs: parts of the rewards.
        generator: of the critics' initial weights.
    """

    def __init__(
        self, actors: Mapping[str, Actors], *, state: int, outputs: int, generator: Generator
    ) -> None:
        self.actors, self.critics = dict(actors), {}
        inputs = state + sum(actor.agents * actor.width for actor in actors.values())
        for kind, actor in actors.items():
            self.critics[kind] = ActionCritic(
                actor,
                inputs=inputs,
                start=state,
                outputs=1 if actor.apart else outputs,
                generator=generator,
            )
            state += actor.agents * actor.width

    @property
    def parts(self) -> dict[str, Actors | ActionCritic]:
        """Everything that has networks, targets and optimisers, by name."""
        actors = {f"actors.{kind}": actor for kind, actor in self.actors.items()}
        return actors | {f"critics.{kind}": critic for kind, critic in self.critics.items()}

    def improve(self, batch: Batch, generator: Generator) -> dict[str, Tensor]:
        """Improve critics, then actors, then move the targets towards them.

        Args:
            generator: of the draws of choices, on the CPU.

        Returns:
            Diagnostics, 0-dimensional.
        """
        now, after, taken = batch.now, batch.after, batch.actions
        aims = {
            kind: actor.aim(after.obs[kind], after.mask[kind], generator)
            for kind, actor in self.actors.items()
        }
        inputs, following = critic_inputs(now.state, taken), critic_inputs(after.state, aims)
        stats, rows = {}, {}
        for (kind, critic), reward in zip(self.critics.items(), batch.reward, strict=True):
            rows[kind] = critic.rows(inputs, obs=now.obs[kind], action=taken[kind])
            then = critic.rows(following, obs=after.obs[kind], action=aims[kind])
            reward = reward.unsqueeze(1 if self.actors[kind].apart else 0)
            stats[kind] = critic.learn(now=rows[kind], after=then, reward=reward)
        for kind, actor in self.actors.items():
            critic = self.critics[kind]
            raw, trace = actor.look(now.obs[kind])
            own, soft = actor.act(raw, now.mask[kind], generator)
            slope = critic.slopes(rows[kind], inputs=inputs, own=own)[1]
            actor.step(trace, slope=actor.chain(soft, -slope), raw=raw, mask=now.mask[kind])
        for part in self.parts.values():
            part.target.flat.lerp_(part.stack.flat, part.config.target_rate)
        found = list(stats.values())
        first, *others = (stats["loss"] for stats in found)
        return {
            "critic_loss": sum(others, first) / len(found),
            "q_mean": found[0]["mean"],
            "explained_variance_global": found[0]["explained"],
            "explained_variance_centre": found[-1]["explained"],
        }


def critic_inputs(state: Tensor, actions: Mapping[str, Tensor]) -> Tensor:
    """Return critics' inputs [n, I]: the state [n, S], then each agent's action [A, n, W]."""
    return torch.cat(
        [state, *(action.transpose(0, 1).flatten(1) for action in actions.values())], dim=1
    )
