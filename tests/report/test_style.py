import matplotlib
import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb

from dtlib.report import style


def test_style_applies_and_can_be_repeated():
    style.use_style()
    first = dict(matplotlib.rcParams)
    style.use_style()
    assert dict(matplotlib.rcParams) == first
    assert first["figure.figsize"][0] == style.WIDTH
    assert not first["axes.spines.top"]


def test_every_algorithm_can_be_drawn_and_told_apart():
    styles = style.ALGORITHMS
    assert list(styles) == [
        "beta-happo", "gaussian-happo", "beta-mappo", "maddpg",
        "genie", "channel-inversion", "power-on-demand",
        "demand-or-silence", "equal-power",
    ]  # fmt: skip
    _, ax = plt.subplots()
    for look in styles.values():
        ax.plot([0, 1], [0, 1], **look)
    for key in ("color", "marker", "label"):
        assert len({look[key] for look in styles.values()}) == len(styles)
    assert len({str(look["linestyle"]) for look in list(styles.values())[:4]}) == 4


def test_beta_happo_is_in_front_and_markers_do_not_meet():
    looks = [style.line_style(name, 80) for name in style.ALGORITHMS]
    assert [look["zorder"] for look in looks] == sorted(look["zorder"] for look in looks)[::-1]
    assert len({look["markevery"] for look in looks[:4]}) == 4
    assert style.line_style("beta-happo")["markevery"] == (0, 1)


def test_colours_are_valid_and_repeat_after_ten():
    colours = style.site_colours(12)
    assert len(colours) == 12
    assert colours[10:] == colours[:2]
    assert len({to_rgb(colour) for colour in colours[:10]}) == 10


def test_who_has_no_style_is_drawn_dotted():
    found = style.line_style("mine", 20)
    assert (found["label"], found["linestyle"]) == ("mine", ":")
    plt.figure().add_subplot().plot([1, 2], **found)
