"""Films load nothing from elsewhere, and are the same for the same pictures."""

import re
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
from matplotlib.animation import FuncAnimation
from matplotlib.colors import to_rgba

from dtlib import EnvConfig, sample_world, simulate
from dtlib.baselines.rules import EqualPower, Reference
from dtlib.model.simulator import initial_carry
from dtlib.report import film


def animate(frames=3):
    fig, ax = plt.subplots(figsize=(2, 2))
    (line,) = ax.plot([0], [0], "o")
    ax.set_xlim(0, frames)
    return FuncAnimation(fig, lambda i: line.set_data([i], [0]), frames=frames)


def test_animation_loads_nothing():
    text = film.animation_html(animate(), alt='users & "twins"').data
    assert not re.search(r"https?:|<link|\bfa-|src=[\"']?//", text)
    assert text.count("data:image/png;base64,") == 3
    assert text.count("<button") == 9
    assert all(icon in text for icon in film.ICONS.values())
    assert 'alt="users &amp; &quot;twins&quot;"' in text


def test_requests_have_the_colour_of_their_outcome():
    env = EnvConfig(num_users=4, num_bs=2, frames=2, frame_slots=3, migration_slots=1)
    world = sample_world(env, 0)
    policy = Reference(env, EqualPower(1e-4))
    whole = simulate(world, policy.act(world, carry=initial_carry(world), env=env), env)
    late = torch.zeros_like(whole.failure)
    late[0, 2, :2] = True
    outcome = replace(whole, request=torch.ones_like(late), failure=late)
    ax = plt.figure().add_subplot()
    film._panel(ax, "a policy", outcome, world=world, env=env)(2)
    asks = ax.collections[1]
    missed, served = (to_rgba(colour) for colour in (film.MISSED, film.SYNCHRONISED))
    assert list(map(tuple, asks.get_facecolor())) == [missed] * 2 + [served] * 2
    assert asks.get_offsets().tolist() == world.position[0, 2].tolist()
    assert ax.get_xlabel().endswith("failed so far 17%"), "two of twelve"
    entries = {line.get_label(): line for line in film._legend()}
    assert entries["base station"].get_markerfacecolor() == ax.lines[0].get_markerfacecolor()
    assert [entries[name].get_color() for name in ("failed", "synchronised")] == [
        film.MISSED, film.SYNCHRONISED
    ]  # fmt: skip


def test_animation_is_the_same_for_the_same_pictures():
    first, second = (film.animation_html(animate(), "").data for _ in range(2))
    assert first == second
    assert film.animation_html(animate(4), "").data != first
    name = re.search(r"_anim_img(\w+)", first)[1]
    assert f"anim{name} = new Animation" in first
