"""What the companion changes: settings that differ, and runs made up by hand."""

import pandas as pd
import pytest

from dtlib import TrainConfig
from dtlib.experiments import alternatives
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.pages import taken_back, variants
from dtlib.report.columns import ENERGY_LABEL
from dtlib.verdicts.statistics import range_text


def results():
    """Two seeds of each variant: 20 episodes, and two users on tuning worlds."""
    runs = [
        {"variant": variant, "seed": seed, "place": place + 100 * seed}
        for place, variant in enumerate(taken_back.ORDER) for seed in range(2)
    ]  # fmt: skip
    curves = [run | {"x": x, "reward_centre": -run["place"] - (x < 18)} for run in runs
              for x in range(20)]  # fmt: skip
    tuning = [run | {FAILED: (run["place"] + user) / 1e3, "energy_per_slot_j": 1e-3 * (1 + user)}
              for run in runs for user in (0, 2)]  # fmt: skip
    return taken_back.by_run(pd.DataFrame(curves), pd.DataFrame(tuning))


def test_settings_that_differ():
    table = taken_back.differences()
    paper, companion = (TrainConfig.from_preset(name) for name in ("paper", "companion"))
    for name, (first, second) in table.iterrows():
        at = [one.env if name.startswith("env.") else one for one in (paper, companion)]
        assert [first, second] == [getattr(one, name.removeprefix("env.")) for one in at]
        assert first != second
    assert {"learning_rate", "env.frames"} <= set(table.index)
    assert not {"preset", "env"} & set(table.index)


def test_runs_by_hand():
    runs = results()
    assert len(runs) == 2 * len(taken_back.ORDER)
    second = runs.loc[(taken_back.ORDER[2], 1)]
    assert second.to_dict() == pytest.approx({FAILED: 0.103, ENERGY: 2e-3, "reward_centre": -102.0})


def test_means_are_on_the_way_and_back():
    table = variants.table(results(), taken_back.SHOWN, range_text)
    place = len(alternatives.FORWARD)
    assert len(table) == len(set(table.index)) == len(taken_back.ORDER)
    assert list(table.index[:place]) == list(alternatives.FORWARD)
    assert table.index[place].startswith("+ episodes") and table.index[place + 1] == "companion"
    assert table.iloc[3]["failed requests (%)"].replace("\xa0", " ") == "5.4 [0.4, 10.4]"


def test_the_picture_has_a_point_per_run():
    failed, energy = taken_back.draw(results()).axes
    points = [line for line in failed.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in points] == [2] * len(taken_back.ORDER)
    assert failed.get_ylim()[0] > failed.get_ylim()[1]
    assert " ".join(energy.get_xlabel().split()) == ENERGY_LABEL
