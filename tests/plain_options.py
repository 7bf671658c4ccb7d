"""The plain update of :mod:`dtlib.happo.plain` with every option that the companion has."""

from dataclasses import replace
from unittest.mock import patch

import torch
from torch.distributions import Bernoulli, Normal

from dtlib import simulate
from dtlib.happo import plain
from dtlib.happo.algorithm import agent_order
from dtlib.model.observations import global_state


class Critic(plain.Critic):
    """A critic of any number of outputs, of either target, on the scale of returns or not."""

    def rescale(self, returns):
        self.returns = returns
        if self.config.value_norm:
            super().rescale(returns)

    def improve(self, state, reward):
        if self.config.critic_target == "td":
            super().improve(state, reward)
        else:
            error = (self.returns - self.mean) / self.std - self.network(state)[:, :-1]
            self.network.descend(0.5 * error.square().mean())


class Actor(plain.Actor):
    """One agent with any head; ``slot`` [n] says to which slot a row belongs."""

    def __init__(self, network, head, slot, *data):
        self.head, self.slot = head, slot
        super().__init__(network, *data)

    def law(self, raw):
        first, second = raw.tensor_split(2, dim=-1)
        if self.head == "gaussian":
            return Normal((1 + first) / 2, 0.02 + 0.23 * torch.sigmoid(1 + second))
        if self.head == "original-gaussian":  # one deviation, whatever is observed
            numbers = self.action.shape[-1]
            spread = self.network[-1].bias[numbers : 2 * numbers]
            return Normal(first, 0.5 * torch.sigmoid(1 + spread))
        return super().law(raw)

    def look(self):
        raw, numbers = self.network(self.obs), self.action.shape[-1]
        if self.head == "categorical" or raw.shape[-1] == 2 * numbers:
            return super().look()
        law, coin = self.law(raw[:, :-numbers]), Bernoulli(logits=raw[:, -numbers:])
        acts = self.action != 0
        log_prob = coin.log_prob(acts.to(raw.dtype))
        log_prob = log_prob + acts * law.log_prob(self.action.where(acts, 0.5))
        entropy = coin.entropy() + coin.probs * law.entropy()
        return (log_prob * self.effect).sum(-1), (entropy * self.effect).sum(-1)


def standardise(advantage):
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)


def data(array):
    """[W, N, ...] to [W·(N−1), ...]: the worlds one after another, each without its last slot."""
    return torch.cat([one[:-1] for one in array])


def effects(episode):
    """[W, N, K]: r_g minus what it would have been had one user sent with its mean power instead.

    Everything is simulated again for each user, and both rewards are under the queue as it was.
    """
    decision, outcome = episode.decision, episode.outcome
    env, columns = decision.env, []

    def reward(one):
        pressure = outcome.frame_queue * (one.failure.double() - env.failure_threshold)
        pressure *= env.control_factor
        if env.objective_scale == "scaled":
            return -env.reward_scale / env.num_users * (one.energy_j + pressure).sum(-1)
        if env.objective_scale == "mean":
            return -((env.reward_scale * one.energy_j + pressure) / env.num_users).sum(-1)
        energy = one.energy_j / (env.frames * env.frame_slots * env.num_users)
        return -env.reward_scale * (energy + pressure).sum(-1)

    for k in range(env.num_users):
        power = decision.actions.power.clone()
        power[..., k] = decision.mean_power[..., k]
        other = simulate(decision.world, replace(decision.actions, power=power), env)
        columns.append(reward(outcome) - reward(other))
    return torch.stack(columns, dim=-1)


def becomes_deployment(request, env):
    """[W, N, K]: whether the centre's choice in this slot is that of a frame."""
    found = torch.zeros_like(request)
    for frame in range(env.frames):
        start = frame * env.frame_slots
        slot = start - 1 if env.deployment_decision == "frame-end" else start
        if slot >= 0:
            found[:, slot] = True
    return found


def by_user(slot, obs, value, mask, gain):
    """Rows with the actions that concern one user: one row for each slot and user."""
    users = gain.shape[1]
    mine = torch.arange(value.shape[1]) % users == torch.arange(users)[:, None]
    rows = [one.repeat_interleave(users, 0) for one in (slot, obs, value, mask)]
    return *rows[:3], rows[3] & mine.repeat(len(slot), 1), gain.flatten()


class PlainLearner(plain.PlainLearner):
    def __init__(self, learner, run=0):
        with patch.object(plain, "check_defaults"):  # this one has them all
            super().__init__(learner, run)
        self.critic_of = learner.critic_of
        self.critics = [Critic(one.network) for one in self.critics]

    def update(self, episode, generator, progress=0.0):
        config, decision, outcome = self.config, episode.decision, episode.outcome
        for network in self.networks + [one.network for one in self.critics]:
            left = 1 - progress if config.anneal else 1
            network.adam.param_groups[0]["lr"] = config.learning_rate * left
        queue = outcome.frame_queue if config.critic_sees_queue else None
        state = global_state(decision.world, decision.deployment, decision.env, queue=queue)
        parts = [outcome.reward_global_user] * len(self.critics)
        parts[-1] = outcome.reward_centre_user
        if config.credit == "joint":
            parts = [outcome.reward_global[..., None]] * len(self.critics)
            parts[-1] = outcome.reward_centre[..., None]
        rewards = [one[:, :-1].to(state.dtype) for one in parts]
        pairs = zip(self.critics, rewards, strict=True)
        actors = self.actors(episode, [one.advantages(state, r).flatten(0, 1) for one, r in pairs])
        limit = config.max_log_factor
        for _ in range(config.epochs):
            for _ in range(config.critic_passes):
                for critic, reward in zip(self.critics, rewards, strict=True):
                    critic.improve(state, reward)
            log_factor = torch.zeros(2, rewards[0][..., 0].numel(), dtype=state.dtype)
            for u in agent_order(len(actors), generator):
                actor, apart = actors[u], config.factor == "by-reward" and u == len(actors) - 1
                known = log_factor[int(apart)]
                if config.algorithm == "beta-mappo":
                    known = torch.zeros_like(known)
                factor = known[actor.slot].clamp(-limit, limit).exp() * actor.advantage
                known.index_add_(0, actor.slot, actor.improve(factor))

    def actors(self, episode, advantages):
        """The actors with what each learns from; one for all users learns from all their rows."""
        config, env = self.config, episode.decision.env
        *agents, centre = plain.experience(episode)
        if config.centre_steps == "frames":
            centre[2] = centre[2] & data(becomes_deployment(episode.decision.world.request, env))
        gains = [one.sum(-1) if config.credit == "joint" else one for one in advantages]
        slot = torch.arange(len(gains[0]))
        own = data(effects(episode)) if config.credit == "difference" else None
        users, twins = [], [[slot, *centre, gains[-1]]]
        for k in range(env.num_users):
            critic = self.critic_of[0 if config.actors == "shared" else k]
            gain = advantages[critic].sum(-1) if own is None else own[:, k]
            users.append([slot, *agents[k], gain])
        if config.actors == "shared":
            users = [[torch.cat(one) for one in zip(*users, strict=True)]]
        if config.actors != "per-agent":
            obs, choice, request = centre
            by_twin = gains[-1] if gains[-1].dim() == 2 else gains[-1][:, None].expand_as(choice)
            each = (one.flatten(0, 1) for one in (obs, choice[..., None], request[..., None]))
            rows = slot.repeat_interleave(env.num_users)
            twins = [[rows, *each, by_twin.flatten()]]
        stations = [
            [slot, *agents[env.num_users + m], gains[self.critic_of[len(users) + m]]]
            for m in range(env.num_bs)
        ]
        scale = standardise if config.normalize_advantage else (lambda array: array)
        actors = []
        for network, (*arrays, gain) in zip(self.networks, users + stations + twins, strict=True):
            head = "categorical" if arrays[2].dtype == torch.int64 else config.head
            rows = *arrays, scale(gain)
            actors.append(Actor(network, head, *(by_user(*rows) if gain.dim() == 2 else rows)))
        return actors
