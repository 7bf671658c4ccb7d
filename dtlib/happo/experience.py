"""What was seen, done and earned in an episode, laid out for critics and for each agent's actor."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dtlib.agents.credit import difference_reward, reward_streams
from dtlib.agents.episode import Episode
from dtlib.agents.policies import Decision
from dtlib.agents.spaces import carried_out, columns, layouts, outputs
from dtlib.kernels.batch import ActorBatch, ActorData, Distribution, actor_data, standardise
from dtlib.model.observations import global_state
from dtlib.settings.train import TrainConfig


class Experience:
    """Episodes of R runs. A world's last slot serves to bootstrap; the slots before are the data.

    Agents are MUs, base stations, then the centre; the last critic is the centre's.

    Args:
        config: whose reward an agent learns from, and how.
        critic_of: the number of each agent's critic.
        episodes: one per run.
    """

    def __init__(
        self, config: TrainConfig, critic_of: Sequence[int], episodes: Sequence[Episode]
    ) -> None:
        self.config, self.critic_of, self.episodes = config, critic_of, episodes
        assert config.head != "deterministic"  # MADDPG's
        self.distribution: Distribution = config.head

    @property
    def states(self) -> list[Tensor]:
        """Each run's global states, [W, N, d]."""
        sees_queue, each = self.config.critic_sees_queue, self.episodes
        pairs = [(e.decision, e.outcome.frame_queue if sees_queue else None) for e in each]
        return [global_state(d.world, d.deployment, d.env, queue=queue) for d, queue in pairs]

    @property
    def rewards(self) -> Tensor:
        """[C, R, outputs, W, N−1]: each critic's reward, whole or by user."""
        others = max(self.critic_of)  # all critics but the centre's
        streams = (reward_streams(self.config.credit, each.outcome) for each in self.episodes)
        rows = [torch.stack([one.users] * others + [one.centre])[..., :-1] for one in streams]
        return torch.stack(rows, dim=1)

    def batches(self, advantage: Tensor) -> list[ActorBatch]:
        """Lay out each agent's data in all runs.

        Args:
            advantage: [C, R, outputs, W, N−1], of each critic.
        """
        config, stations = self.config, self.config.env.num_bs
        seen, put_out = layouts(config), outputs(config)
        users = 1 if config.shares_users else config.env.num_users
        kinds = ["users"] * users + ["stations"] * stations + ["centre"]
        advantage = advantage.flatten(3)
        runs = [self.data(run, advantage[:, run]) for run in range(len(self.episodes))]
        return [
            ActorBatch(data, advantage.shape[-1], put_out[kind], columns=columns(seen[kind]))
            for data, kind in zip(zip(*runs, strict=True), kinds, strict=True)
        ]

    def data(self, run: int, advantage: Tensor) -> list[ActorData]:
        """Return each agent's data in one run, world after world.

        Args:
            run: its number.
            advantage: [C, outputs, slots], slots of all worlds.
        """
        config = self.config
        scale = standardise if config.normalize_advantage else (lambda array: array)
        whole, others = config.credit == "joint", self.critic_of[-config.env.num_bs - 1 :]
        fine = [scale(advantage[c, 0] if whole else advantage[c].mT) for c in others]
        each = self._own(run, advantage)
        own = [scale(each)] if config.shares_users else [scale(one) for one in each.unbind(-1)]
        episode = self.episodes[run]
        return [
            *self._users(episode.decision, own),
            *self._stations(episode.decision, fine[:-1]),
            self._centre(episode.decision, fine[-1]),
        ]

    def _own(self, run: int, advantage: Tensor) -> Tensor:
        """[slots, K], each MU's advantage: of the reward of all, or of its own effect on it."""
        config, episode = self.config, self.episodes[run]
        users = config.env.num_users
        if config.credit == "difference":
            return _data(difference_reward(episode, episode.decision.mean_power))
        critics = [0] * users if config.shares_users else self.critic_of[:users]
        joint = advantage.sum(1)
        return torch.stack([joint[c] for c in critics], dim=-1)

    def _users(self, decision: Decision, advantages: Sequence[Tensor]) -> list[ActorData]:
        kind, obs = self.distribution, _data(decision.user_obs)
        unit, mask = _data(decision.power_unit), _data(decision.sending)
        if self.config.shares_users:
            return [_all_users(kind, obs=obs, action=unit, mask=mask, advantage=advantages[0])]
        unit, mask = unit[..., None], mask[..., None]
        return _each(kind, obs=obs, action=unit, mask=mask, advantages=advantages)

    def _stations(self, decision: Decision, advantages: Sequence[Tensor]) -> list[ActorData]:
        obs, weight = _data(decision.station_obs), _data(decision.weight_unit)
        mask = _data(decision.weight_counts)
        return _each(self.distribution, obs=obs, action=weight, mask=mask, advantages=advantages)

    def _centre(self, decision: Decision, advantage: Tensor) -> ActorData:
        obs, choice = _data(decision.centre_obs), _data(decision.actions.deployment)
        counts = decision.world.request
        if self.config.centre_steps == "frames":
            counts = carried_out(counts, decision.env)
        mask = _data(counts)
        if not self.config.twin_by_twin:
            return actor_data("categorical", obs=obs, action=choice, mask=mask, advantage=advantage)
        by_twin = advantage if advantage.dim() == 2 else advantage[:, None].expand_as(choice)
        return _all_users("categorical", obs=obs, action=choice, mask=mask, advantage=by_twin)


def _data(array: Tensor) -> Tensor:
    """[W, N, …] to [W·(N−1), …]: each world without its last slot."""
    return array[:, :-1].flatten(0, 1)


def _each(
    kind: Distribution, *, obs: Tensor, action: Tensor, mask: Tensor, advantages: Sequence[Tensor]
) -> list[ActorData]:
    """Collect what A agents decided, each its own: [slots, A, d] and twice [slots, A, D]."""
    return [
        actor_data(kind, obs=obs[:, a], action=action[:, a], mask=mask[:, a], advantage=advantage)
        for a, advantage in enumerate(advantages)
    ]


def _all_users(
    kind: Distribution, *, obs: Tensor, action: Tensor, mask: Tensor, advantage: Tensor
) -> ActorData:
    """Collect what one network decided for K users: [slots, K, d] and three times [slots, K].

    One user after another, so that an observation's first columns repeat.
    """
    arrays = obs, action[..., None], mask[..., None], advantage
    obs, action, mask, by_row = (array.transpose(0, 1).flatten(0, 1) for array in arrays)
    found = actor_data(kind, obs=obs, action=action, mask=mask, advantage=by_row)
    return replace(found, slot=found.slot % len(advantage))
