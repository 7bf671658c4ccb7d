"""HAPPO and MAPPO on the twin network: from episodes to improved actors and critics."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from dtlib.agents.credit import reward_parts
from dtlib.agents.episode import Episode
from dtlib.agents.policies import Policies
from dtlib.agents.spaces import columns
from dtlib.happo.algorithm import update
from dtlib.happo.critic import Critics
from dtlib.happo.experience import Experience
from dtlib.kernels.networks import MLPStack
from dtlib.kernels.train_state import TrainState
from dtlib.model.layouts import state_layout
from dtlib.runtime.beside import beside
from dtlib.runtime.checkpoint import overwrite
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig


class Learner:
    """Actors, critics and optimisers of R runs that learn side by side, each from its own episodes.

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
        self.config, env, runs = config, config.env, len(generators)
        self.policies = [Policies(config, generator) for generator in generators]
        """One per run."""
        agents = sum(stack.count for stack in self.policies[0].stacks.values())
        shared, state = config.critic == "shared", state_layout(env, config.critic_sees_queue)
        self.critic_of = [0] * (agents - 1) + [1] if shared else list(range(agents))
        self.critics = Critics(
            count=2 if shared else agents,
            inputs=state.size,
            outputs=reward_parts(config),
            config=config,
            generators=generators,
            columns=columns(state),
            device=device,
        )
        for policies in self.policies:
            policies.to(device)
        self.actors: list[TrainState] = []
        for kind in self.policies[0].stacks:
            joint = MLPStack.join([policies.stacks[kind] for policies in self.policies])
            count = joint.count // runs
            self.actors += [TrainState(joint, config, index=i, runs=runs) for i in range(count)]

    @staticmethod
    def stretch(env: EnvConfig) -> int:
        """Slots that one policy plays before it is improved: an episode."""
        return env.slots

    def update(
        self, episodes: Sequence[Episode], generator: Generator, progress: float = 0.0
    ) -> list[dict[str, float]]:
        """Learn from one episode of each run (lines 17–27 of Algorithm 1).

        Between the first epoch and the last, nothing waits for the device.

        Args:
            episodes: one per run.
            generator: of the agents' order, which is the same in all runs.
            progress: how much of the training is over, from 0 to 1.

        Returns:
            Diagnostics by name, one record per run.
        """
        for train_state in (*self.actors, *self.critics.train_states):
            train_state.rate = self.config.learning_rate * self.config.left(progress)
        experience = Experience(self.config, self.critic_of, episodes)
        with beside() as meanwhile:
            stats = update(
                self.actors, self.critics, experience, config=self.config, generator=generator,
                meanwhile=meanwhile,
            )  # fmt: skip
        pairs = enumerate(zip(self.critics.explained[0], self.critics.explained[-1], strict=True))
        names = "explained_variance_global", "explained_variance_centre"
        return [stats.summary(run) | dict(zip(names, pair, strict=True)) for run, pair in pairs]

    def state(self, run: int = 0) -> dict[str, Tensor]:
        """Return every array of one run that learning changes, by name."""
        stacks = {f"actors.{kind}": stack for kind, stack in self.policies[run].stacks.items()}
        stacks["critics"] = self.critics.stacks[run]
        parts = {prefix: stack.state() for prefix, stack in stacks.items()}
        parts["value_norm"] = self.critics.norm.state(run)
        parts |= {f"adam.actor{i}": actor.state(run) for i, actor in enumerate(self.actors)}
        critics = enumerate(self.critics.train_states)
        parts |= {f"adam.critic{i}": critic.state(run) for i, critic in critics}
        return {
            f"{of}.{name}": tensor for of, part in parts.items() for name, tensor in part.items()
        }

    def load(self, state: dict[str, Tensor], run: int = 0) -> None:
        """Copy arrays of :meth:`state` into place.

        Raises:
            ValueError: names, shapes or types differ; nothing is changed then.
        """
        overwrite(self.state(run), state)
