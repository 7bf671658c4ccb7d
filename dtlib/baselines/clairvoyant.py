"""A rule that knows all gains, serves as many requests as it can, and spends the least on them."""

from dataclasses import dataclass, replace

from dtlib.baselines.admission import admit
from dtlib.baselines.genie import genie
from dtlib.model.simulator import Actions, Carry, deploy, first_carry
from dtlib.model.world import World
from dtlib.settings.env import EnvConfig

KEPT_FREE = 1e-4
"""Part of a deadline that is kept free, since worlds are in float32."""


@dataclass(frozen=True)
class Clairvoyant:
    """The genie's least energy for the requests that :func:`admit` lets in; others are silent.

    Twins follow their users. Fewer failures than its own may be possible, since to serve the most
    is NP-hard in general.
    """

    env: EnvConfig

    def act(
        self, world: World, *, carry: Carry | None = None, env: EnvConfig | None = None
    ) -> Actions:
        """See :meth:`dtlib.baselines.rules.Reference.act`; nothing is drawn."""
        env = self.env if env is None else env
        carry = first_carry(world, carry)
        deployment, migrating, _ = deploy(world.association, env, carry)
        early = replace(world, deadline_s=(1 - KEPT_FREE) * world.deadline_s)
        wanted = world.request & ~migrating
        served = admit(early, env, served=wanted, deployment=deployment)
        best = genie(early, env, served=served, deployment=deployment)
        return best.actions(world.association, env)
