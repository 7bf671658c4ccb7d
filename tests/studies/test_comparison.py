"""Learners against what is not learnt: interpolation and shares by hand."""

import math

import pandas as pd
import pytest

from dtlib.experiments.results import ENERGY, FAILED
from dtlib.studies import comparison


def rows(*pairs):
    columns = ["failure_ratio_slots_user_max", "energy_per_user_slot_j"]
    return pd.DataFrame(pairs, columns=columns)


def test_energy_at_equal_failures_is_log_linear():
    known = rows((0.3, 1e-5), (0.1, 4e-5), (0.2, 2e-5))
    assert comparison.at_failures(known, 0.15) == pytest.approx(math.sqrt(8) * 1e-5)
    assert comparison.at_failures(known, 0.2) == pytest.approx(2e-5)
    assert comparison.at_failures(known, 0.0) == pytest.approx(4e-5)
    assert comparison.at_failures(known, 0.9) == pytest.approx(1e-5)
    everyone = known.assign(failure_ratio_slots=known["failure_ratio_slots_user_max"] / 2)
    found = comparison.at_failures(everyone, 0.1, "failure_ratio_slots")
    assert found == pytest.approx(2e-5)


def test_share_closed():
    assert comparison.closed(1e-3, equal_j=1e-2, genie_j=1e-4) == pytest.approx(0.5)


POLICIES = ("equal power", "channel inversion", comparison.BEST, f"{comparison.BEST}, priced")


def references():
    """Rules at three thresholds, of which energy falls with failures; genie; what has no level."""
    known = [
        {"policy": policy, "threshold": threshold, ENERGY: (place + 1) * 0.1 / threshold,
         comparison.WORST: threshold, comparison.ALL: threshold / 2}
        for place, policy in enumerate(POLICIES) for threshold in (0.1, 0.175, 0.195, 0.2)
    ]  # fmt: skip
    known += [{"policy": "genie bound", "threshold": ratio} for ratio in (0.1, 0.2)]
    return pd.DataFrame([*known, {"policy": "random power"}])


def test_each_policy_as_14b_asks():
    asked = comparison.as_asked(references(), limit=0.2)["threshold"].fillna(0).to_dict()
    tuned = dict.fromkeys(POLICIES[:3], 0.175) | {POLICIES[3]: 0.195}
    assert asked == tuned | {"genie bound": 0.2, "random power": 0}


def runs(energies, *others):
    """Two seeds of each algorithm, the second with twice the energy, with more columns."""
    rows = [
        {"algorithm": name, "seed": seed, ENERGY: energy * (1 + seed),
         comparison.WORST: 0.1 + 0.1 * seed, comparison.ALL: 0.05 + 0.05 * seed, **dict(others)}
        for name, energy in energies.items() for seed in range(2)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_energy_over_that_of_others():
    held = runs({"beta-happo": 0.1, "beta-mappo": 0.4}).set_index(["algorithm", "seed"])
    priced = runs({"beta-happo": 0.05}).set_index(["algorithm", "seed"])
    energies = {"beta-happo": 1.0, "beta-mappo": 2.0, "maddpg": 4.0}
    parts = [
        runs(energies, ("control_factor", eta)) for eta in (*comparison.CONTROL_FACTORS[:2], 1.0)
    ]
    trained = pd.concat(parts).set_index(["algorithm", "control_factor", "seed"])
    trained = trained.drop(("maddpg", 1.0, 1))
    found = comparison.energy_ratios(
        held=held,
        priced=priced,
        trained=trained,
        references=references(),
        algorithms=["beta-mappo", "maddpg"],
    )
    best = comparison.BEST
    ratios = {key: [round(ratio, 9) for ratio in values] for key, values in found.items()}
    assert ratios["(14b) held", "equal power"] == pytest.approx([0.175, 0.35])
    assert ratios["(14b) held", best] == pytest.approx([0.175 / 3, 0.35 / 3])
    for where, energy in (("(14b) held", 0.1), ("η = 0.0003, as trained", 1.0)):
        for who in ("its worst user", "all users together"):  # the rule needs 3, and 1.5
            own = ratios[where, f"{best}, {who} failing as often"]
            assert own == pytest.approx([energy / 3, 2 * energy / 1.5])
    assert ratios["priced", f"{best}, priced"] == pytest.approx([0.195 / 8, 0.195 / 4])
    assert ratios["priced", "Beta-HAPPO without a price"] == [0.5, 0.5]
    assert ratios["(14b) held", "beta-mappo"] == [0.25, 0.25]
    assert ("(14b) held", "maddpg") not in ratios, "it is not calibrated"
    assert (ratios["η = 1", "beta-mappo"], ratios["η = 1", "maddpg"]) == ([0.5, 0.5], [0.25])


def test_beside_a_rule_that_fails_as_often():
    curve = pd.DataFrame({FAILED: [0.1, 0.4], ENERGY: [4e-3, 1e-3]})
    runs = pd.DataFrame({FAILED: [0.1, 0.25, 0.9], ENERGY: 1.0})
    found = comparison.beside_curve(runs, curve)
    assert list(found["rule_j"]) == pytest.approx([4e-3, 2e-3, 1e-3])
    assert list(found["more"]) == pytest.approx([249, 499, 999])
