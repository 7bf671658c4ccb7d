"""Algorithm 1, lines 17 to 27, in plain PyTorch as published: one network at a time, autograd.

Slow, and written to be read. Data are n slots: those of W worlds, one after another, each without
its last slot, whose value only bootstraps. Comments name the lines of the listing (see its errata).
"""

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Beta, Categorical, Distribution

from dtlib.agents.episode import Episode
from dtlib.happo.learner import Learner
from dtlib.kernels.batch import standardise
from dtlib.kernels.networks import MLPStack
from dtlib.model.observations import global_state
from dtlib.runtime.kinds import check_defaults
from dtlib.settings.train import PLAIN_FIELDS, TrainConfig


class Network(nn.Sequential):
    """A perceptron with its Adam; it begins as a copy of network ``index`` of a stack."""

    def __init__(self, stack: MLPStack, index: int, config: TrainConfig) -> None:
        layers: list[nn.Module] = []
        for weight, bias in zip(stack.weights, stack.biases, strict=True):
            linear = nn.Linear(weight.shape[1], weight.shape[2], dtype=weight.dtype)
            linear.load_state_dict({"weight": weight[index].mT, "bias": bias[index, 0]})
            layers += [linear, nn.ReLU() if config.activation == "relu" else nn.Tanh()]
        super().__init__(*layers[:-1])
        self.config = config
        self.adam = torch.optim.Adam(self.parameters(), config.learning_rate, eps=config.adam_eps)

    def descend(self, loss: Tensor) -> None:
        """Take one step down a loss, eqs. (33) and (34)."""
        self.adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)
        self.adam.step()


class Critic:
    """V(s) of one agent. Its network predicts standardised returns, which the paper leaves open."""

    def __init__(self, network: Network) -> None:
        self.network, self.config = network, network.config
        self.weight, self.bias = list(network.parameters())[-2:]  # of the last layer
        self.moments = torch.zeros(3, len(self.bias), dtype=self.bias.dtype)
        self.mean, self.std = torch.zeros(()), torch.ones(())

    @torch.no_grad()
    def advantages(self, state: Tensor, reward: Tensor) -> Tensor:
        """Return Â (31), [W, N−1, 1], from states [W, N, d] and rewards [W, N−1, 1]."""
        value = self.network(state) * self.std + self.mean
        error = reward + self.config.discount * value[:, 1:] - value[:, :-1]
        for n in reversed(range(error.shape[1] - 1)):
            error[:, n] += self.config.discount * self.config.gae_lambda * error[:, n + 1]
        self.rescale(error + value[:, :-1])
        return error

    def rescale(self, returns: Tensor) -> None:
        """Learn mean and deviation of returns; the last layer changes so that V does not."""
        self.moments.lerp_(torch.stack([returns**0, returns, returns**2]).mean((1, 2)), 0.1)
        mean, square = self.moments[1:] / self.moments[0]
        std = (square - mean**2).clamp_min(1e-8).sqrt()
        self.weight.mul_((self.std / std)[:, None])
        self.bias.copy_((self.bias * self.std + self.mean - mean) / std)
        self.mean, self.std = mean, std

    def improve(self, state: Tensor, reward: Tensor) -> None:
        """Take one regression step towards r + γ V(s′), held fixed, eq. (32)."""
        value = self.network(state)
        target = reward + self.config.discount * (value[:, 1:].detach() * self.std + self.mean)
        self.network.descend(((target - self.mean) / self.std - value[:, :-1]).square().mean() / 2)


class Actor:
    """One agent's policy on its data: obs [n, d], action [n, D], had it an effect [n, D], Â [n]."""

    def __init__(self, network: Network, *data: Tensor) -> None:
        self.network, self.config = network, network.config
        self.obs, action, self.effect, self.advantage = data
        self.action = action.where(self.effect, action.new_tensor(0.5))  # 0 may be log 0
        self.behaviour = self.look()[0].detach()

    def law(self, raw: Tensor) -> Distribution:
        """Return the distribution of all actions, [n, D], from the network's output."""
        if not self.action.is_floating_point():  # the centre's
            return Categorical(logits=raw.unflatten(-1, (self.action.shape[-1], -1)))
        first, second = (1 + nn.functional.softplus(raw)).chunk(2, dim=-1)
        return Beta(first, second)

    def look(self) -> tuple[Tensor, Tensor]:
        """Return log π(a | o; θ) and the entropy S(o), each [n], under θ as it stands."""
        law = self.law(self.network(self.obs))
        log_prob, entropy = law.log_prob(self.action), law.entropy()
        return (log_prob * self.effect).sum(-1), (entropy * self.effect).sum(-1)

    def improve(self, factor: Tensor) -> Tensor:
        """Take one step up the clipped surrogate (30), given M [n]; return the log-ratio [n]."""
        log_prob, entropy = self.look()
        ratio, clip = (log_prob - self.behaviour).exp(), self.config.clip
        surrogate = torch.minimum(ratio * factor, ratio.clamp(1 - clip, 1 + clip) * factor)
        objective = (surrogate + self.config.entropy_coef * entropy)[self.effect.any(-1)]
        if len(objective):
            self.network.descend(-objective.mean())
        return self.look()[0].detach() - self.behaviour


class PlainLearner:
    """Updates copies of a new learner's networks; ConfigError if its settings are others'."""

    def __init__(self, learner: Learner, run: int = 0) -> None:
        self.config = config = learner.config
        check_defaults(config, PLAIN_FIELDS, "in PlainLearner")
        stacks = [*learner.policies[run].stacks.values(), learner.critics.stacks[run]]
        *actors, critics = ([Network(s, i, config) for i in range(s.count)] for s in stacks)
        self.networks, self.critics = sum(actors, []), [Critic(network) for network in critics]

    def update(self, episode: Episode, generator: Generator) -> None:
        """Learn from one episode, whose agents are MUs, base stations and the centre."""
        outcome, decision = episode.outcome, episode.decision
        state = global_state(decision.world, decision.deployment, decision.env)
        reward = [outcome.reward_global] * (len(self.critics) - 1) + [outcome.reward_centre]
        reward = [array[:, :-1, None].to(state.dtype) for array in reward]
        learnt = [self.critics[u].advantages(state, r) for u, r in enumerate(reward)]  # line 17
        agents = zip(self.networks, experience(episode), learnt, strict=True)
        actors = [Actor(net, *arrays, standardise(a.flatten())) for net, arrays, a in agents]
        limit = self.config.max_log_factor
        for _ in range(self.config.epochs):  # line 18
            log_product = torch.zeros_like(actors[0].advantage)
            for u in torch.randperm(len(actors), generator=generator).tolist():  # lines 19–20
                self.critics[u].improve(state, reward[u])  # line 21
                product = log_product.clamp(-limit, limit).exp()
                factor = product * actors[u].advantage  # line 22: M_{1:u}
                log_ratio = actors[u].improve(factor)  # line 23
                log_product = log_product + log_ratio  # line 22: M_{1:u+1}, after line 23
        # lines 24–27: nothing is kept of the episode


def experience(episode: Episode) -> list[list[Tensor]]:
    """Return what each agent saw [n, d] and did [n, D], and what of that had an effect [n, D]."""
    decision = episode.decision
    users = decision.user_obs, decision.power_unit[..., None], decision.sending[..., None]
    stations = decision.station_obs, decision.weight_unit, decision.weight_counts
    agents = [[a[:, :, k] for a in users] for k in range(decision.env.num_users)]
    agents += [[a[:, :, m] for a in stations] for m in range(decision.env.num_bs)]
    agents += [[decision.centre_obs, decision.actions.deployment, decision.world.request]]
    return [[a[:, :-1].flatten(0, 1) for a in arrays] for arrays in agents]
