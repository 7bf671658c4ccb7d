"""The update of Algorithm 1 written plainly: dense arrays, torch's distributions, autograd, Adam.

One network at a time, every forward pass anew, nothing shared with the fast version but the data
of the episode and the initial weights.
"""

from dataclasses import replace

import torch
from torch.distributions import Bernoulli, Beta, Categorical, Normal
from torch.nn.utils import clip_grad_norm_

from dtlib import simulate
from dtlib.algorithms.gae import gae
from dtlib.algorithms.happo import agent_order
from dtlib.observations import global_state
from dtlib.policies import station_mask


class Network:
    """A perceptron with autograd, from a snapshot of one network of a stack."""

    def __init__(self, stack, index, config):
        self.leaves = [p.detach().clone().requires_grad_() for p in stack.parameters(index)]
        self.config = config
        self.adam = torch.optim.Adam(self.leaves, lr=config.learning_rate, eps=config.adam_eps)

    def __call__(self, inputs):
        depth, hidden = len(self.leaves) // 2, inputs
        between = {"relu": torch.relu, "tanh": torch.tanh}[self.config.activation]
        for layer in range(depth):
            hidden = hidden @ self.leaves[layer] + self.leaves[depth + layer]
            hidden = between(hidden) if layer < depth - 1 else hidden
        return hidden

    def descend(self, loss):
        self.adam.zero_grad()
        loss.backward()
        clip_grad_norm_(self.leaves, self.config.max_grad_norm)
        self.adam.step()


class Actor:
    """One agent: obs [n, d], value and mask [n, D], advantage [n] or [n, K], slot [n]."""

    def __init__(self, network, head, obs, value, mask, advantage, slot):
        self.network, self.head, self.obs, self.slot = network, head, obs, slot
        self.value, self.mask, self.advantage = value, mask, advantage
        self.counts = self._add_up(mask) > 0
        with torch.no_grad():
            self.behaviour = self.terms()[0]

    def _add_up(self, each):
        """Sum over the numbers of a group: all of a slot, or those that concern one user."""
        if self.advantage.dim() == 1:
            return each.sum(-1)
        return each.view(len(each), -1, self.advantage.shape[1]).sum(1)

    def terms(self):
        """Log-probability and entropy of every group; zero where nothing counts."""
        raw, numbers = self.network(self.obs), self.value.shape[-1]
        gated = self.head != "categorical" and raw.shape[-1] == 3 * numbers
        raw, logit = (raw[:, :-numbers], raw[:, -numbers:]) if gated else (raw, None)
        if self.head == "beta":
            first, second = (1 + torch.nn.functional.softplus(raw)).chunk(2, dim=-1)
            law = Beta(first, second)
            log_prob = law.log_prob(torch.where(self.mask & (self.value != 0), self.value, 0.5))
        elif self.head == "gaussian":
            mean, spread = raw.chunk(2, dim=-1)
            law = Normal((1 + mean) / 2, 0.02 + 0.23 * torch.sigmoid(1 + spread))
            log_prob = law.log_prob(self.value)
        elif self.head == "original-gaussian":
            mean = raw.chunk(2, dim=-1)[0]
            spread = self.network.leaves[-1][0, numbers : 2 * numbers]  # whatever is observed
            law = Normal(mean, 0.5 * torch.sigmoid(1 + spread))
            log_prob = law.log_prob(self.value)
        else:
            law = Categorical(logits=raw.view(*self.value.shape, -1))
            log_prob = law.log_prob(self.value)
        entropy = law.entropy()
        if gated:
            acts, coin = self.value != 0, Bernoulli(logits=logit)
            log_prob = coin.log_prob(acts.to(raw.dtype)) + log_prob * acts
            entropy = coin.entropy() + coin.probs * entropy
        return self._add_up(log_prob * self.mask), self._add_up(entropy * self.mask)

    def step(self, log_factor):
        """Improve the actor; add its new log-ratio to ``log_factor`` [N]."""
        config = self.network.config
        if not self.counts.any():
            return
        limit = config.max_log_factor
        factor = log_factor[self.slot].clamp(-limit, limit).exp()
        factor = factor if self.advantage.dim() == 1 else factor[:, None]
        log_prob, entropy = self.terms()
        ratio = (log_prob - self.behaviour).exp()
        weighted = factor * self.advantage
        gain = torch.minimum(
            ratio * weighted, ratio.clamp(1 - config.clip, 1 + config.clip) * weighted
        )
        self.network.descend(-(gain + config.entropy_coef * entropy)[self.counts].mean())
        with torch.no_grad():
            change = self.terms()[0] - self.behaviour
            change = change if self.advantage.dim() == 1 else change.sum(-1)
            log_factor.index_add_(0, self.slot, change)


def standardise(advantage):
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)


def data(array):
    """[W, N, ...] to [W·(N−1), ...]: the worlds one after another, each without its last slot."""
    return torch.cat([one[:-1] for one in array])


def effects(episode):
    """[W, N, K]: r_g less what it had been had one user sent with its mean power instead.

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
        other = simulate(episode.world, replace(decision.actions, power=power), env)
        columns.append(reward(outcome) - reward(other))
    return torch.stack(columns, dim=-1)


class PlainLearner:
    """Takes up a fresh ``Learner`` and updates copies of its networks."""

    def __init__(self, learner, run=0):
        self.config, self.critic_of = learner.config, learner.critic_of
        stacks = learner.policies[run].stacks.values()
        self.actors = [
            Network(stack, i, self.config) for stack in stacks for i in range(stack.count)
        ]
        critics = learner.critics.runs[run]
        self.critics = [Network(critics, i, self.config) for i in range(critics.count)]
        self.moments = [(0.0, 0.0, 0.0)] * critics.count
        self.scale = [(0.0, 1.0)] * critics.count

    def update(self, episode, generator, progress=0.0):
        config, decision, outcome = self.config, episode.decision, episode.outcome
        if config.anneal:
            for network in self.actors + self.critics:
                network.adam.param_groups[0]["lr"] = config.learning_rate * (1 - progress)
        queue = outcome.frame_queue if config.critic_sees_queue else None
        state = global_state(episode.world, decision.deployment, decision.env, queue)
        parts = (outcome.reward_global_user, outcome.reward_centre_user)
        if config.credit == "joint":
            parts = (outcome.reward_global[..., None], outcome.reward_centre[..., None])
        rewards = [
            parts[int(c == len(self.critics) - 1)][:, :-1].to(state.dtype)
            for c in range(len(self.critics))
        ]
        advantages, returns = [], []
        for c, critic in enumerate(self.critics):
            mean, std = self.scale[c]
            with torch.no_grad():
                value = critic(state) * std + mean
                worlds = zip(rewards[c].mT, value.mT, strict=True)
                advantage = [gae(*one, config.discount, config.gae_lambda).mT for one in worlds]
                advantages.append(torch.cat(advantage))
                returns.append(torch.stack(advantage) + value[:, :-1])
                if config.value_norm:
                    self._rescale(c, returns[c])
        actors = self._actors(episode, advantages)
        slots = len(advantages[0])
        orders = [agent_order(len(actors), generator) for _ in range(config.epochs)]
        for order in orders:
            for _ in range(config.critic_passes):
                for c in range(len(self.critics)):
                    self._critic_step(c, state, rewards[c], returns[c])
            log_factor = torch.zeros(2, slots, dtype=state.dtype)
            for agent in order:
                other = config.factor == "by-reward" and agent == len(actors) - 1
                alone = config.algorithm == "beta-mappo"
                known = torch.zeros_like(log_factor[0]) if alone else log_factor[int(other)]
                actors[agent].step(known)

    def _rescale(self, c, returns, decay=0.9):
        weight, first, second = self.moments[c]
        weight = decay * weight + 1 - decay
        first = decay * first + (1 - decay) * returns.mean((0, 1))
        second = decay * second + (1 - decay) * (returns**2).mean((0, 1))
        self.moments[c] = weight, first, second
        mean, std = self.scale[c]
        new_mean = first / weight
        new_std = (second / weight - new_mean**2).clamp_min(1e-8).sqrt()
        depth = len(self.critics[c].leaves) // 2
        self.critics[c].leaves[depth - 1] *= std / new_std
        bias = self.critics[c].leaves[-1]
        bias.copy_((bias * std + mean - new_mean) / new_std)
        self.scale[c] = new_mean, new_std

    def _critic_step(self, c, state, reward, returns):
        mean, std = self.scale[c]
        prediction = self.critics[c](state)
        target = returns
        if self.config.critic_target == "td":
            target = reward + self.config.discount * (prediction.detach()[:, 1:] * std + mean)
        self.critics[c].descend(0.5 * ((target - mean) / std - prediction[:, :-1]).pow(2).mean())

    def _actors(self, episode, advantages):
        """The actors with what each learns from; one for all users has a ratio for each of them."""
        world, decision, config = episode.world, episode.decision, self.config
        env, choice = decision.env, decision.actions.deployment
        shared, by_twin = config.actors == "shared", config.actors != "per-agent"
        difference = config.credit == "difference"
        gains = [one.sum(-1) if config.credit == "joint" else one for one in advantages]
        slots = torch.arange(len(gains[0]))
        users, twins, centre = [], [], decision.centre_obs
        for k in range(env.num_users):
            one = slice(k, k + 1)
            arrays = decision.user_obs[:, :, k], decision.power_unit[..., one]
            critic = self.critic_of[0 if shared else k]
            own = data(effects(episode))[:, k] if difference else advantages[critic].sum(-1)
            users.append([*map(data, (*arrays, decision.sending[..., one])), own, slots])
            if by_twin:
                arrays = centre[:, :, k], choice[..., one], world.request[..., one]
                fine = gains[-1] if config.credit == "joint" else gains[-1][:, k]
                twins.append([*map(data, arrays), fine, slots])
        if shared:
            users = [map(torch.cat, zip(*users, strict=True))]
        if by_twin:
            twins = [map(torch.cat, zip(*twins, strict=True))]
        else:
            twins = [[*map(data, (centre, choice, world.request)), gains[-1], slots]]

        mask = station_mask(world.association, decision.deployment, decision.served, env)
        stations = []
        for m in range(env.num_bs):
            arrays = decision.station_obs[:, :, m], decision.weight_unit[:, :, m], mask[:, :, m]
            gain = gains[self.critic_of[len(users) + m]]
            stations.append([*map(data, arrays), gain, slots])
        material = [(config.head, *arrays) for arrays in users + stations]
        material.append(("categorical", *twins[0]))
        scale = standardise if config.normalize_advantage else (lambda array: array)
        return [
            Actor(network, head, obs, value, counts, scale(gain), slot)
            for network, (head, obs, value, counts, gain, slot) in zip(
                self.actors, material, strict=True
            )
        ]
