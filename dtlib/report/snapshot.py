"""A picture of the area in one slot: who is where, who asks, whose twin lives elsewhere."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from dtlib.model.world import World
from dtlib.settings.env import EnvConfig


def draw(world: World, deployment: Tensor, env: EnvConfig, *, slot: int) -> np.ndarray:
    """Return a picture of one slot, [480, 480, 3], uint8.

    Args:
        world: R = N = 1.
        deployment: [1, 1, K], β in force.
        slot: its number, for the title.
    """
    figure = Figure(figsize=(4.8, 4.8), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot(
        xlim=(0, env.area_m), ylim=(0, env.area_m), aspect="equal", xlabel="x in m", ylabel="y in m"
    )
    users, sites = world.position[0, 0].numpy(), world.bs_position.numpy()
    nearest, server = world.association[0, 0].numpy(), deployment[0, 0].numpy()
    colours = [f"C{m % 10}" for m in range(env.num_bs)]
    for user in np.flatnonzero(nearest != server):
        ends = np.stack([users[user], sites[server[user]]])
        axes.plot(*ends.T, color=colours[server[user]], lw=0.8, ls=":", zorder=1)
    own = np.array(colours)[nearest]
    fill = np.where(world.request[0, 0].numpy(), own, "white")
    axes.scatter(users[:, 0], users[:, 1], s=28, c=fill, edgecolors=own, zorder=2)
    axes.scatter(
        sites[:, 0], sites[:, 1], s=110, c=colours, marker="s", edgecolors="black", zorder=3
    )
    axes.set_title(f"slot {slot} of {env.slots}, frame {slot // env.frame_slots}", fontsize=10)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
