"""A film of an episode: users, their twins, who asks, who fails; one panel for each outcome."""

import html
import re
from collections.abc import Callable, Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML
from matplotlib.animation import Animation, FuncAnimation
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from dtlib.model.simulator import Outcome
from dtlib.model.world import World
from dtlib.report import style
from dtlib.runtime.reading import sha256
from dtlib.settings.env import EnvConfig

SYNCHRONISED, MISSED = "#8fd6b5", "#f0a0a5"
MOST_PICTURES = 40
"""Of a film: each is some 30 kB of the page."""
ICONS = {
    "fa-minus": "−",
    "fa-fast-backward": "⇤",
    "fa-step-backward": "‹",
    "fa-play fa-flip-horizontal": "◀\ufe0e",
    "fa-pause": "‖",
    "fa-play": "▶\ufe0e",
    "fa-step-forward": "›",
    "fa-fast-forward": "⇥",
    "fa-plus": "+",
}


def film(outcomes: Mapping[str, Outcome], world: World, env: EnvConfig, alt: str) -> HTML:
    """Return a film of the first replica, with controls, that needs no network.

    Args:
        outcomes: of what acted in this world, by the panel's title.
        world: the users' and base stations' places.
        alt: says what is shown to those who cannot see it.
    """
    stride = -(-world.slots // MOST_PICTURES)
    fig, axes = plt.subplots(
        1, len(outcomes), figsize=(style.WIDTH, 0.7 + style.WIDTH / len(outcomes)), squeeze=False
    )
    shows = [
        _panel(ax, title, outcome, world=world, env=env)
        for ax, (title, outcome) in zip(axes[0], outcomes.items(), strict=True)
    ]
    fig.legend(handles=_legend(), loc="outside lower center", ncols=4)
    fig.set_layout_engine("constrained", h_pad=0.1)
    fig.canvas.draw()
    fig.set_layout_engine("none")

    def draw(n: int) -> list[Axes]:
        for show in shows:
            show(n)
        return []

    found = animation_html(
        FuncAnimation(fig, draw, frames=range(0, world.slots, stride), interval=350), alt
    )
    plt.close(fig)
    return found


def animation_html(animation: Animation, alt: str) -> HTML:
    """Return an animation with its controls as HTML that loads nothing from elsewhere.

    Matplotlib's ``to_jshtml`` takes the buttons' icons from a web font; here they are characters.
    The same pictures give the same text: the random identifier becomes a digest of them.

    Args:
        animation: its frames are drawn at ``savefig.dpi`` = ``figure.dpi``.
        alt: says what is shown to those who cannot see it.
    """
    with mpl.rc_context({"savefig.dpi": "figure", "savefig.bbox": None}):
        text = animation.to_jshtml()
    text = re.sub(r"<link\b[^>]*>", "", text)
    text = re.sub(r'<i class="fa ([^"]+)"></i>', lambda match: ICONS[match[1]], text)
    text = text.replace("<img id=", f'<img alt="{html.escape(alt)}" id=')
    text = text.replace('class="anim-slider"', 'class="anim-slider" aria-label="frame of the film"')
    name = re.findall(r"_anim_img(\w+)", text)[0]
    digest = sha256(text.replace(name, ""))[:16]
    return HTML(text.replace(name, digest))


def _panel(
    ax: Axes, title: str, outcome: Outcome, *, world: World, env: EnvConfig
) -> Callable[[int], None]:
    """Prepare a panel; return what draws a slot into it."""
    users, sites = env.num_users, world.bs_position.numpy()
    position = world.position[0].numpy()
    angle = 2 * np.pi * np.arange(users) / users
    ring = 0.06 * env.area_m * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    ax.set(xlim=(0, env.area_m), ylim=(0, env.area_m), aspect="equal", xticks=[], yticks=[])
    ax.set_xlabel(" ", loc="left")
    ax.set_title(title)
    ax.spines[:].set_visible(True)
    ax.plot(*sites.T, "^", color="white", markeredgecolor=style.INK, markersize=11)
    links = LineCollection([], linewidths=1.2, zorder=1)
    ax.add_collection(links)
    asks = ax.scatter([], [], s=130, zorder=2)
    (people,) = ax.plot([], [], "o", color=style.INK, markersize=5)
    (twins,) = ax.plot([], [], "D", color=style.PALETTE[0], markersize=4)

    def show(n: int) -> None:
        here = outcome.deployment[0, n].numpy()
        before = outcome.deployment[0, max(n - 1 - n % env.frame_slots, 0)].numpy()
        moving = outcome.migrating[0, n].numpy()
        home = np.where(moving[:, None], (sites[here] + sites[before]) / 2, sites[here]) + ring
        remote = here != world.association[0, n].numpy()
        request, failure = outcome.request[0, n].numpy(), outcome.failure[0, n].numpy()
        links.set_segments(list(np.stack([position[n], home], axis=1)))
        colours = np.where(remote, style.PALETTE[1], style.FAINT)
        links.set_color(list(np.where(moving, style.ALARM, colours)))
        links.set_linestyle([":" if moves else "-" for moves in moving])
        asks.set_offsets(position[n][request])
        asks.set_facecolor(list(np.where(failure[request], MISSED, SYNCHRONISED)))
        people.set_data(*position[n].T)
        twins.set_data(*home.T)
        failed, asked = (int(x[0, : n + 1].sum()) for x in (outcome.failure, outcome.request))
        seconds = n * env.slot_s
        ax.set_xlabel(
            f"frame {n // env.frame_slots}, {seconds:.1f} s; failed so far "
            f"{failed / max(asked, 1):.0%}",
            loc="left",
        )

    return show


def _legend() -> list[Line2D]:
    def dot(label: str, marker: str, color: str, *, size: float) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=color, ms=size, label=label)

    return [
        Line2D([], [], ls="", marker="^", color="white", markeredgecolor=style.INK, ms=9,
               label="base station"),
        dot("user", "o", style.INK, size=5),
        dot("twin", "D", style.PALETTE[0], size=4),
        Line2D([], [], color=style.FAINT, label="at the nearest server"),
        Line2D([], [], color=style.PALETTE[1], label="elsewhere"),
        Line2D([], [], color=style.ALARM, linestyle=":", label="migrating"),
        dot("synchronised", "o", SYNCHRONISED, size=10),
        dot("failed", "o", MISSED, size=10),
    ]  # fmt: skip
