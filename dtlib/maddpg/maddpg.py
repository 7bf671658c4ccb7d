"""MADDPG (Lowe et al. 2017): deterministic actors, critics that see everybody's actions, replay."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from dtlib.agents.credit import difference_reward, reward_parts, reward_streams
from dtlib.agents.episode import Episode
from dtlib.agents.policies import Policies
from dtlib.agents.spaces import layouts, leading
from dtlib.maddpg.actors import Actors
from dtlib.maddpg.replay import Replay
from dtlib.maddpg.slots import check_sites, recall, record, shapes
from dtlib.maddpg.team import Team
from dtlib.model.layouts import state_layout
from dtlib.runtime.checkpoint import check_arrays, overwrite
from dtlib.settings.env import EnvConfig
from dtlib.settings.train import TrainConfig


class MADDPG:
    """MADDPG of the twin network in R runs, each with a replay buffer of its own.

    Agents are MUs, base stations, then the centre. The interface is the on-policy learner's.

    Args:
        config: the settings that all runs have in common; of the network, sizes only.
        generators: of the initial weights, one per run.
    """

    def __init__(
        self,
        config: TrainConfig,
        generators: Sequence[Generator],
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self.policies = [Policies(config, generator) for generator in generators]
        """One per run."""
        self.teams, self.replays = [], []
        for policies, generator in zip(self.policies, generators, strict=True):
            policies.to(device)
            self.teams.append(self._team(policies, generator))
            fields = shapes(config)
            self.replays.append(
                Replay(config.replay_slots, fields=fields, worlds=config.worlds, device=device)
            )

    def _team(self, policies: Policies, generator: Generator) -> Team:
        config, env = self.config, self.config.env
        constant = {
            kind: leading(layout, lambda field: field.changes == "never").size
            for kind, layout in layouts(config).items()
        }
        own = config.credit == "difference"  # an MU's reward is its own, of its slot alone
        users = Actors(
            policies.users,
            config.replace(discount=0.0) if own else config,
            agents=env.num_users,
            constant=0 if config.shares_users else constant["users"],
            apart=own,
        )
        stations = Actors(
            policies.stations, config, agents=env.num_bs, constant=constant["stations"]
        )
        centre = Actors(
            policies.centre,
            config,
            agents=env.num_users if config.twin_by_twin else 1,
            choices=env.num_bs,
            apart=config.twin_by_twin and config.credit != "joint",
        )
        return Team(
            {"users": users, "stations": stations, "centre": centre},
            state=state_layout(env, config.critic_sees_queue).size,
            outputs=reward_parts(config),
            generator=generator,
        )

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
            self._learn(run, episode, generator=Generator().manual_seed(seed), progress=progress)
            for run, episode in enumerate(episodes)
        ]

    def _learn(
        self, run: int, episode: Episode, *, generator: Generator, progress: float
    ) -> dict[str, float]:
        world, config, found = episode.decision.world, self.config, []
        team, replay = self.teams[run], self.replays[run]
        for part in team.parts.values():
            part.train_state.rate = config.learning_rate * config.left(progress)
        rows = record(world, episode.decision, episode.outcome, reward=self._rewards(episode))
        replay.append(rows, follows=episode.outcome.carry.slot > world.slots)
        for _ in range(config.updates_per_frame):
            if (drawn := replay.sample(config.batch_size, generator)) is None:
                return {}
            batch = recall(
                drawn, bs_position=world.bs_position, env=episode.decision.env, config=config
            )
            found.append(team.improve(batch, generator))
        return {name: float(sum(stats[name] for stats in found)) / len(found) for name in found[0]}

    def _rewards(self, episode: Episode) -> Tensor:
        """Return the reward of each kind of agents, [3, outputs, W, N].

        An MU's difference reward is against silence: a mean action, as in on-policy learning, would
        change between playing a slot and learning from it.
        """
        credit = self.config.credit
        streams = torch.stack(list(reward_streams(credit, episode.outcome)))
        if credit == "difference":
            silence = torch.zeros_like(episode.decision.actions.power)
            streams[0] = difference_reward(episode, silence).movedim(-1, 0)
        return streams

    def state(self, run: int = 0) -> dict[str, Tensor]:
        """Return every array of one run that learning changes, by name, the buffer included."""
        replay = self.replays[run].state()
        return self._networks(run) | {f"replay.{name}": array for name, array in replay.items()}

    def _networks(self, run: int) -> dict[str, Tensor]:
        team, held = self.teams[run], dict[str, dict[str, Tensor]]()
        for name, part in team.parts.items():
            held |= {name: part.stack.state(), f"targets.{name}": part.target.state()}
            held |= {f"adam.{name}{i}": part.train_state.state(i) for i in range(part.stack.count)}
        held |= {f"value_norm.{kind}": critic.norm.state() for kind, critic in team.critics.items()}
        return {f"{of}.{name}": array for of, part in held.items() for name, array in part.items()}

    def load(self, state: dict[str, Tensor], run: int = 0) -> None:
        """Copy arrays of :meth:`state` into place.

        Raises:
            ValueError: names, shapes or types differ, or a base station that there is not is named;
                nothing is changed then.
        """
        kept = {name: array for name, array in state.items() if name.startswith("replay.")}
        own, learnt = self._networks(run), {name: state[name] for name in state if name not in kept}
        check_arrays(own, learnt)
        check_sites(kept, self.config.env.num_bs)
        self.replays[run].load(
            {name.removeprefix("replay."): array for name, array in kept.items()}
        )
        overwrite(own, learnt)
