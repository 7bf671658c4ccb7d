"""The update of Algorithm 1 written plainly: dense arrays, torch's distributions, autograd, Adam.

One network at a time, every forward pass anew, nothing shared with the fast version but the data
of the episode and the initial weights.
"""

import torch
from torch.distributions import Beta, Categorical
from torch.nn.utils import clip_grad_norm_

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
    """One agent: obs [N, d], value and mask [N, D], advantage [N] or [N, K]."""

    def __init__(self, network, head, obs, value, mask, advantage):
        self.network, self.head, self.obs = network, head, obs
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
        raw = self.network(self.obs)
        if self.head == "beta":
            first, second = (1 + torch.nn.functional.softplus(raw)).chunk(2, dim=-1)
            law = Beta(first, second)
            log_prob = law.log_prob(torch.where(self.mask, self.value, 0.5))
        else:
            law = Categorical(logits=raw.view(*self.value.shape, -1))
            log_prob = law.log_prob(self.value)
        return self._add_up(log_prob * self.mask), self._add_up(law.entropy() * self.mask)

    def step(self, log_factor):
        """Improve the actor; add its new log-ratio to ``log_factor`` [N]."""
        config = self.network.config
        if not self.counts.any():
            return
        limit = config.max_log_factor
        factor = log_factor.clamp(-limit, limit).exp()
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
            log_factor += change if self.advantage.dim() == 1 else change.sum(-1)


def standardise(advantage):
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)


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

    def update(self, episode, generator):
        config, decision, outcome = self.config, episode.decision, episode.outcome
        env = decision.env
        queue = outcome.frame_queue if config.critic_sees_queue else None
        state = global_state(episode.world, decision.deployment, env, queue)[0]
        parts = {
            "joint": (outcome.reward_global[0, :, None], outcome.reward_centre[0, :, None]),
            "per-user": (outcome.reward_global_user[0], outcome.reward_centre_user[0]),
        }[config.credit]
        rewards = [
            parts[int(c == len(self.critics) - 1)][:-1].to(state.dtype)
            for c in range(len(self.critics))
        ]
        advantages, returns = [], []
        for c, critic in enumerate(self.critics):
            mean, std = self.scale[c]
            with torch.no_grad():
                value = critic(state) * std + mean
                advantage = gae(rewards[c].mT, value.mT, config.discount, config.gae_lambda).mT
                advantages.append(advantage)
                returns.append(advantage + value[:-1])
                if config.value_norm:
                    self._rescale(c, returns[c])
        actors = self._actors(episode, advantages)
        slots = len(state) - 1
        orders = [agent_order(len(actors), generator) for _ in range(config.epochs)]
        for order in orders:
            for _ in range(config.critic_passes):
                for c in range(len(self.critics)):
                    self._critic_step(c, state, rewards[c], returns[c])
            log_factor = torch.zeros(2, slots, dtype=state.dtype)
            for agent in order:
                other = config.factor == "by-reward" and agent == len(actors) - 1
                actors[agent].step(log_factor[int(other)])

    def _rescale(self, c, returns, decay=0.9):
        weight, first, second = self.moments[c]
        weight = decay * weight + 1 - decay
        first = decay * first + (1 - decay) * returns.mean(0)
        second = decay * second + (1 - decay) * (returns**2).mean(0)
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
            target = reward + self.config.discount * (prediction.detach()[1:] * std + mean)
        self.critics[c].descend(0.5 * ((target - mean) / std - prediction[:-1]).pow(2).mean())

    def _actors(self, episode, advantages):
        config, world, decision = self.config, episode.world, episode.decision
        env, actions = decision.env, decision.actions
        per_user = config.credit == "per-user"
        scale = standardise if config.normalize_advantage else (lambda array: array)

        def advantage(agent, fine):
            one = advantages[self.critic_of[agent]]
            return scale(one if fine and per_user else one.sum(-1))

        mask = station_mask(world.association, decision.deployment, decision.served, env)
        weights = torch.cat([actions.cpu_share, actions.wired_share], dim=-1)
        material = []
        for k in range(env.num_users):
            mine = slice(k, k + 1)
            material.append(
                ("beta", decision.user_obs[0, :, k], decision.power_unit[0, :, mine],
                 decision.sending[0, :, mine], False)
            )  # fmt: skip
        for m in range(env.num_bs):
            material.append(
                ("beta", decision.station_obs[0, :, m], weights[0, :, m], mask[0, :, m], True)
            )
        material.append(
            ("categorical", decision.centre_obs[0], actions.deployment[0], world.request[0], True)
        )
        return [
            Actor(network, head, obs[:-1], value[:-1], counts[:-1], advantage(agent, fine))
            for agent, (network, (head, obs, value, counts, fine)) in enumerate(
                zip(self.actors, material, strict=True)
            )
        ]
