"""Generalised advantage estimation, eq. (31)."""

import torch
from torch import Tensor


def gae(reward: Tensor, *, value: Tensor, discount: float, gae_lambda: float) -> Tensor:
    """Return advantages Â[n] = Σ_l (γϱ)^l δ[n+l] with δ[n] = r[n] + γV(s[n+1]) − V(s[n]).

    The sum ends with the data and the last value bootstraps what follows: an episode's end is a
    time limit, not a terminal state. It is evaluated by doubling, in ⌈log₂ N⌉ array expressions.

    Args:
        reward: [..., N].
        value: [..., N+1].
        discount: γ.
        gae_lambda: ϱ.

    Returns:
        [..., N], in units of reward.

    >>> reward, value = torch.tensor([0.0, 0.0, 8.0]), torch.zeros(4)
    >>> gae(reward, value=value, discount=0.5, gae_lambda=1.0)
    tensor([2., 4., 8.])
    """
    total = reward + discount * value[..., 1:] - value[..., :-1]
    decay, reach = discount * gae_lambda, 1
    while reach < total.shape[-1] and decay > torch.finfo(total.dtype).tiny:
        longer = total.clone()
        longer[..., :-reach] += decay * total[..., reach:]
        total, decay, reach = longer, decay**2, 2 * reach
    return total
