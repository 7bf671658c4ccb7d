"""Figures: the curves show the data they are given."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from dtlib.experiments import committed
from dtlib.report import curves, figures, pictures
from dtlib.report.style import FAINT, use_style
from dtlib.runtime.errors import FileError


@pytest.fixture(autouse=True)
def _style():
    """The house style, as where figures are drawn."""
    use_style()


@pytest.fixture
def data():
    slots = np.arange(1, 21) * 1000
    parts = []
    for algorithm in ("beta-happo", "maddpg"):
        for seed in range(3):
            columns = {
                "figure": "fig04_06", "algorithm": algorithm, "variant": algorithm, "seed": seed,
                "x": slots, "reward_global": -1 / slots + seed, "reward_centre": -0.5,
                "energy_per_user_slot_j": 1e-3 * (seed + 1),
            }  # fmt: skip
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def test_convergence(data):
    figure = curves.convergence(data)
    assert [ax.get_title(loc="center") or ax.get_title(loc="left") for ax in figure.axes] == [
        "Fig. 4",
        "Fig. 5",
        "Fig. 6",
    ]
    assert "time slots" in figure.axes[-1].get_xlabel()
    assert all(ax.get_ylabel() for ax in figure.axes)
    energy = figure.axes[2]
    means = [line.get_ydata() for line in energy.lines if len(line.get_ydata()) == 20]
    assert any(np.allclose(values, 2.0) for values in means), "mean of 1, 2 and 3 mJ"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Beta-HAPPO", "MADDPG"]
    assert legend.get_title().get_text() == (
        "Line: median of 3 seeds.\nBand: least to greatest of the seeds."
    )
    assert [ax.get_yscale() for ax in figure.axes] == ["linear", "linear", "linear"]


def test_beta_happo_is_drawn_on_top_and_lines_differ(data):
    ax = curves.convergence(pd.concat([data, data.replace("maddpg", "beta-mappo")])).axes[0]
    lines = {line.get_label(): line for line in ax.lines}
    assert max(lines, key=lambda label: lines[label].get_zorder()) == "Beta-HAPPO"
    for look in ("get_color", "get_linestyle", "get_marker"):
        assert len({getattr(line, look)() for line in lines.values()}) == 3


def test_maddpg_has_a_panel_where_it_would_hide_the_others(data):
    far = data["algorithm"] == "maddpg"
    data.loc[far, "energy_per_user_slot_j"] *= 20
    figure = curves.convergence(data)
    assert len(figure.axes) == 6
    assert [len(ax.lines) for ax in figure.axes] == [1] * 6
    shown = [ax.get_ylim() for ax in figure.axes]
    assert shown[2] == shown[3] and shown[4] != shown[5], "its own scale in Fig. 6 only"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Beta-HAPPO", "MADDPG"]


def test_spread_is_of_centred_means(data):
    own = data[data["algorithm"] == "beta-happo"].assign(y=lambda rows: rows["x"] / 1000)
    found = curves.spread(own, "y", 5)
    assert list(found["median"][[1000, 10000, 20000]]) == [2, 10, 19], "fewer at the ends"
    whole = curves.spread(own[own["x"] < 5000], "y", 5)
    assert list(whole["median"]) == [1, 2, 3, 4], "a run shorter than the window is left as it is"
    short = data[(data["algorithm"] == "beta-happo") | (data["x"] < 5000)]
    assert "of 5 episodes (none of fewer)" in curves.how_drawn(short, 5)
    assert "(none" not in curves.how_drawn(data, 5)
    few = curves.spread(own, "energy_per_user_slot_j").iloc[0]
    assert list(few) == [1e-3, 2e-3, 3e-3], "all seeds"
    many = pd.concat([own.assign(seed=seed, y=seed) for seed in range(5)])
    assert list(curves.spread(many, "y").iloc[0]) == [1, 2, 3], "the middle half"
    assert "middle half" in curves.how_drawn(many) and curves.window_of(own) == 1


def test_the_end_is_enlarged_where_the_scale_hides_it(data):
    flat = data.assign(reward_global=-1e3 * (data["x"] < 4000) - 0.1 * data["seed"])
    rewards, centre, _ = curves.convergence(flat).axes[:3]
    (inset,) = rewards.child_axes
    assert inset.get_xlim()[0] > 9 and inset.get_ylim()[0] > -1 and not centre.child_axes


def test_save(data, tmp_path):
    files = pictures.save("fig04_06", data, tmp_path / "quick")
    assert [file.name for file in files] == ["fig04_06.png", "fig04_06.svg", "fig04_06.pdf"]
    assert all(file.stat().st_size > 5000 for file in files)
    first = [file.read_bytes() for file in files]
    again = [file.read_bytes() for file in pictures.save("fig04_06", data, tmp_path / "quick")]
    assert first == again, "the same data, the same bytes"


def swept(figure, axes):
    rows = [
        {"figure": figure, "algorithm": a, "seed": s, "x": next(iter(at.values())), **at,
         "energy_per_user_slot_j": 1e-3 * (1 + s) * at[next(iter(at))],
         "failure_ratio_requests": np.nan if a == "genie" else 0.25}
        for a in ("beta-happo", "maddpg", "genie") for s in range(1 if a == "genie" else 3)
        for at in axes
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("name", pictures.SWEEPS)
def test_sweep(name):
    data = swept(name, [{"num_users": k} for k in (10, 20, 40)])
    figure = pictures.SWEEPS[name](data)
    energy, failures = figure.axes
    lines = {line.get_label(): line for line in energy.lines}
    assert list(lines["Beta-HAPPO"].get_xdata()) == [10, 20, 40]
    assert np.allclose(lines["Beta-HAPPO"].get_ydata(), [20, 40, 80]), "mean of seeds, mJ"
    assert "genie bound" not in lines, "a bound knows no failures"
    assert {25.0} == {y for line in failures.lines for y in line.get_ydata()}
    assert energy.get_yscale() == "log" and "(mJ)\nlogarithmic" in energy.get_ylabel()
    assert len(energy.collections) == 2, "spread over seeds"
    assert len(figure.legends[0].get_texts()) == 2


@pytest.mark.parametrize(
    ("failed", "inside"),
    [((0.02, 0.05, 0.14, 0.9), [10, 15, 20]), ((0.02, 0.05, 0.14, 0.3), []), ((0.02, 0.9), [])],
)
def test_few_failures_are_enlarged_where_the_scale_hides_them(failed, inside):
    data = swept("fig07_08", [{"num_users": 10 + 5 * place} for place in range(len(failed))])
    data["failure_ratio_requests"] = [failed[int(at / 5) - 2] for at in data["x"]]
    energy, failures = pictures.SWEEPS["fig07_08"](data).axes
    drawn = [list(line.get_xdata()) for inset in failures.child_axes for line in inset.lines]
    assert not energy.child_axes and drawn == [inside] * (3 if inside else 0)
    assert all(inset.get_ylim() == (0, figures.FEW_FAIL) for inset in failures.child_axes)


def test_what_is_not_learnt_is_drawn_where_it_fails_no_more():
    data = swept("fig10", [{"request_prob": at} for at in (0.3, 0.5, 0.7)])
    data = data.replace("genie", "power-on-demand")
    rule = data["algorithm"] == "power-on-demand"
    data.loc[rule, "failure_ratio_requests"] = [0.2, 0.25, 0.3]
    for ax in pictures.SWEEPS["fig10"](data).axes:
        lines = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
        assert lines["power on demand"] == [0.3, 0.5] and lines["Beta-HAPPO"] == [0.3, 0.5, 0.7]


@pytest.mark.parametrize(
    ("high", "labels"), [(30.0, {"1", "2", "5", "10", "20"}), (1e8, {"$\\mathdefault{10^{4}}$"})]
)
def test_numbers_of_a_logarithmic_axis_do_not_cover_each_other(high, labels):
    figure, ax = plt.subplots(figsize=(4, 2))
    ax.plot([0, 1], [1.0, high])
    figures.by_ratio(ax)
    figure.canvas.draw()
    shown = [label for label in ax.get_yticklabels() if label.get_text()]
    assert labels <= {label.get_text() for label in shown}
    boxes = sorted((label.get_window_extent() for label in shown), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in pairwise(boxes))


def test_labels_have_room():
    assert figures.apart([10, 20, 50, 52, 54, 58]) == [10, 20, 50, 54, 58]
    assert figures.apart([5]) == [5]


def test_fig_12_draws_failures_of_learner_and_rule():
    data = swept("fig12", [{"control_factor": eta} for eta in (0.7, 1.3)])
    data = data.replace("maddpg", "power-on-demand")
    energy, failures = pictures.SWEEPS["fig12"](data).axes
    assert "power on demand" in {line.get_label() for line in energy.lines}
    labels = {line.get_label() for line in failures.lines if len(line.get_xdata()) == 2}
    assert labels == {"Beta-HAPPO", "power on demand"}


def test_data_size_has_a_column_for_each_reading():
    sizes, widths = (2e4, 3e4, 2e5, 3e5), (8e6, 12e6)
    axes = [{"data_bits_max": d, "bandwidth_hz": b} for d in sizes for b in widths]
    data = swept("fig11", axes).replace("maddpg", "power-on-demand")
    data.loc[
        (data["algorithm"] == "power-on-demand") & (data["x"] == 3e5), "energy_per_user_slot_j"
    ] = np.inf
    figure = figures.data_size(data)
    lines = [line for line in figure.axes[0].lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in lines] == [
        "Beta-HAPPO, B = 8 MHz", "Beta-HAPPO, B = 12 MHz", "power on demand, each B",
    ]  # fmt: skip
    assert [list(line.get_xdata()) for line in lines] == [[20, 30]] * 3
    assert lines[0].get_color() != lines[1].get_color() != lines[2].get_color() == FAINT
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    (printed,) = [line for line in figure.axes[1].lines if line.get_label().endswith("each B")]
    assert list(printed.get_xdata()) == [0.2], "what is infinite is not drawn"
    assert [ax.get_xlabel()[-4:] for ax in figure.axes[2:]] == ["(Kb)", "(Mb)"]
    alone = figures.data_size(swept("fig11", axes[:4]).replace("maddpg", "power-on-demand"))
    assert [ax.get_title(loc="left") for ax in alone.axes] == ["Fig. 11 in Kb", ""]


def test_a_bound_is_drawn_at_its_threshold():
    others = pd.DataFrame(
        {"policy": "genie bound", "threshold": [0.0, 0.1, 0.2],
         "energy_per_user_slot_j": [np.inf, 5e-5, 2e-5], "failure_ratio_slots": np.nan}
    )  # fmt: skip
    learners = pd.DataFrame(
        {"algorithm": ["maddpg"], "control_factor": [1.0], "failure_ratio_slots": [0.1],
         "energy_per_user_slot_j": [1e-4]}
    )  # fmt: skip
    figure = figures.tradeoff(learners, others)
    above, near = figure.axes
    (bound,) = [line for line in near.lines if line.get_label() == "genie bound"]
    drawn = np.isfinite(bound.get_ydata())
    assert np.allclose(bound.get_xdata()[drawn], [10, 20])
    assert np.allclose(bound.get_ydata()[drawn], [0.05, 0.02])
    assert near.get_ylim() == figures.ZOOM and np.isfinite(above.get_ylim()).all()
    assert above.get_ylim()[0] == near.get_ylim()[1], "nothing falls between the panels"
    figure.canvas.draw()


def test_readings_are_drawn_beside_the_papers_numbers():
    rows = pd.DataFrame(
        [
            {"reading": reading, "rule": rule, "axis": axis, "x": x, "failure_ratio_requests": 0.5}
            for reading in ("slices", "divided")
            for rule in ("power on demand", "demand or silence")
            for axis, x in (("K", 25), ("K", 58), ("B", 8e6))
        ]
    )  # fmt: skip
    (ax,) = figures.outage(rows, ["slices", "divided"], "demand or silence").axes
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines["slices"].get_xdata()) == [25, 58]
    assert list(lines["slices"].get_ydata()) == [50, 50]
    assert list(lines["the paper"].get_ydata()) == [0, 100]


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    data = committed.fullest("fig10", "quick")
    with pytest.raises(FileError, match=r"file/fig10\.png: cannot be written [^\n]*$"):
        pictures.save("fig10", data, tmp_path / "file")


def test_failed_requests_of_trainings_beside_each_other():
    tables = {preset: committed.fullest("fig04_06", preset) for preset in ("paper", "companion")}
    figure = curves.draw_failures(tables)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [*tables]
    for ax, data in zip(figure.axes, tables.values(), strict=True):
        assert ax.get_ylim() == (0, 100)
        own = data[data["algorithm"] == "beta-happo"].pivot(
            index="x", columns="seed", values="failure_ratio_requests"
        )
        (line,) = (line for line in ax.lines if line.get_label() == "Beta-HAPPO")
        half = curves.window_of(data) // 2 + 1
        last = 100 * own.tail(half).mean().median()
        assert line.get_ydata()[-1] == pytest.approx(last)
