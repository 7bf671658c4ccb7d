"""What a training costs: fits and ratios by hand, and pages' tables from committed benchmarks."""

import pandas as pd
import pytest

from dtlib.experiments import speed
from dtlib.pages import cost


def measured(**cases):
    """Rows of the benchmark ``training``: three rounds of each quantity, the median is given."""
    same = {"sites": 5, "frames": 50, "epochs": 25, "runs": 1, "jobs": 1, "critic": "shared"}
    rows = [
        same | {"threads": 1, "suite": suite, "quantity": quantity, "value": factor * value} | case
        for suite, parts in cases.items() for case, values in parts
        for quantity, value in values.items() for factor in (0.5, 1.0, 9.0)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_medians_and_hours_of_a_training():
    seconds = dict.fromkeys(cost.PHASES, 2.0) | {"episode_s": 12.0}
    cases = [({"users": 30}, seconds), ({"users": 30, "threads": 2}, seconds)]
    table = cost.of_phases(measured(phases=cases))
    assert list(table.index) == ["shared, 1 thread", "shared, 2 threads"]
    assert table["actor_s"].to_list() == [2, 2]
    assert table["hours"].to_list() == pytest.approx([0.5, 0.5])
    (ax,) = cost.draw_phases(table).axes
    assert len(ax.patches) == 2 * len(cost.PHASES)


def test_exponents_of_growth():
    def grown(name, values, power):
        return [({"users": 30} | {name: x}, dict.fromkeys(cost.PARTS, x**power)) for x in values]

    few = {"users": 5}, dict.fromkeys(cost.PARTS, 100.0)  # not among those that are fitted
    users, sites = grown("users", (20, 40, 60), 0.5), grown("sites", (3, 5, 9), 2.0)
    rows = measured(users=[*users, few], sites=sites)
    found = cost.exponents(rows, from_users=20)
    assert found["users"].to_list() == pytest.approx([0.5] * 3)
    assert found["sites"].to_list() == pytest.approx([2.0] * 3)
    users, sites = cost.draw_growth(rows).axes
    assert len(users.lines) == len(sites.lines) == len(cost.PARTS)


def test_other_libraries_seconds_over_ours(monkeypatch):
    rows = [("dtlib", 1.0), ("dtlib", 2.0), ("dtlib", 4.0)]
    rows += [(library, seconds) for library in cost.PEERS for seconds in (10.0, 20.0, 40.0)]
    table = pd.DataFrame(rows, columns=["library", "seconds"]).assign(part="train")
    monkeypatch.setattr(cost, "rows", lambda benchmark: table)
    found = cost.beside_peers().loc[("HARL", "train")]
    assert found[["ratio", "at least", "at most"]].to_list() == [10, 2.5, 40]


def test_one_critic_or_one_each():
    rows = [
        (critic, seed, quantity, value + seed)
        for quantity, values in {"reward_global": (1.0, 2.0), "episode_s": (5.0, 9.0)}.items()
        for critic, value in zip(("shared", "per-agent"), values, strict=True)
        for seed in (0, 2)
    ]
    rows += [("per-agent", 0, "reward_centre", 1.5), ("per-agent", 2, "reward_centre", 3.0)]
    rows += [("shared", 0, "reward_centre", 1.0), ("shared", 2, "reward_centre", 3.2)]
    critics = pd.DataFrame(rows, columns=["critic", "seed", "quantity", "last"])
    table, seconds = cost.of_critics(critics.assign(variant="quick"))
    assert table.index.to_list() == [("quick", "r_g"), ("quick", "r_c")]
    assert table["p"].iloc[0] == 0 < 0.05 < table["p"].iloc[1], "all seeds agree, or they do not"
    own = table.loc[("quick", "r_g")]
    assert own[["shared", "one each"]].to_list() == [2, 3]
    assert own["difference in deviations"] == pytest.approx(1 / 2**0.5)
    assert seconds.loc["quick"].to_dict() == {"per-agent": 10, "shared": 6}


def test_what_is_committed_is_read():
    assert speed.notes()["rounds"] >= 5
    assert set(cost.GROWTH) <= set(speed.rows("training")["suite"])
