"""Films load nothing from elsewhere, and are the same for the same pictures."""

import re

import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation

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


def test_animation_is_the_same_for_the_same_pictures():
    first, second = (film.animation_html(animate(), "").data for _ in range(2))
    assert first == second
    assert film.animation_html(animate(4), "").data != first
    name = re.search(r"_anim_img(\w+)", first)[1]
    assert f"anim{name} = new Animation" in first
