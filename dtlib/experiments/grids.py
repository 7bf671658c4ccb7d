"""Each figure of the paper as a grid of runs: what is stated here is all that is run and drawn."""

from collections.abc import Iterable
from typing import Any

from dtlib.experiments.experiment import BASELINES, LEARNERS, OWN, Axis, Experiment
from dtlib.experiments.search import FINALISTS, episodes_of, grid, setting_label
from dtlib.runtime.messages import check_name
from dtlib.settings.presets import NETWORKS, merge
from dtlib.training.calibration import MARGIN, PRICED

VARIANTS: dict[str, dict[str, Any]] = {name: {"algorithm": name} for name in LEARNERS}
CONTROL_FACTORS = (0.0003, 0.001, 0.01, 1.0)
"""η of the trade-off: from nearly the constrained problem (14) to Table I's. The less η, the longer
the queue that makes a failure dear, and the steadier its price."""

CONSTRAINED = {
    name: VARIANTS[name] | {"env": {"control_factor": CONTROL_FACTORS[1]}, "averaged": 0.2}
    for name in LEARNERS[:3]
}
"""Learners that choose silence, where it pays, trained until energy at equal failures has stopped
falling, with the mean of their last weights. With less η still, users fail less equally."""
BOUNDED = {"algorithm": "gaussian-happo", "gaussian": "bounded"}
WORTH: dict[str, dict[str, Any]] = {
    "Beta": VARIANTS["beta-happo"],
    "Beta, M = 1": VARIANTS["beta-mappo"],
    "Gaussian": VARIANTS["gaussian-happo"],
    "bounded Gaussian": BOUNDED,
    "bounded Gaussian, Beta's steps": BOUNDED | {"learning_rate": 3e-3, "epochs": 10},
}
"""What M and the Beta policy are worth. Of the bounded Gaussian, the one with the steps that the
search's rule chooses on tuning worlds (:mod:`dtlib.experiments.search`) is compared."""

SENDING: dict[str, dict[str, Any]] = {
    "watts": {},
    "levels": {"power_action": "path-loss"},
    "levels or silence": {"power_action": "path-loss", "silence": "choice"},
}
"""What a user's action is: a share of P_max; a level above the noise, from which the path loss
gives the power; or this after a draw of whether to send at all."""
SILENCE = {
    f"{name}, eta={eta:g}": action | {"env": {"control_factor": eta}}
    for name, action in SENDING.items()
    for eta in CONTROL_FACTORS[1:]
}
"""What it takes to learn silence. The rule, written when only seed 0 of the last was known: it is
learnt where every seed needs less than *demand or silence* where as many requests fail. An action
for it is what does it if that holds of no other action with the same η; η is, if of no other η."""

LONGER = {"companion": 300}
"""Episodes of these runs: after half of them, energy at equal failures still falls."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "companion": {},
    "credit per user": {"credit": "per-user"},
    "credit joint": {"credit": "joint"},
    "power in dB": {"power_action": "decibel", "power_range_db": 40.0},
    "power in W": {"power_action": "watt"},
    "positions only": {"observation": "positions"},
    "a network each": {"actors": "per-agent"},
    "silent below a threshold": {"silence": "threshold"},
    "never silent": {"silence": "threshold", "silent_below": 0.0},
    "one world": {"worlds": 1, "env": {"frames": 10}},
    "a critic each": {"critic": "per-agent"},
    "GAE 0.95": {"gae_lambda": 0.95},
    "returns unscaled": {"value_norm": False},
    "4 critic steps": {"critic_passes": 4},
    "25 epochs": {"epochs": 25},
    "rate of Table I": {"learning_rate": 1e-4},
    "falling rate": {"anneal": True},
    "no entropy bonus": {"entropy_coef": 0.0},
    "clip 0.1": {"clip": 0.1},
    "M of all agents": {"factor": "all", "max_log_factor": 10.0},
    "queue reset": {"env": {"queue_reset": True}},
    "as published": {
        "credit": "joint", "power_action": "watt", "observation": "positions", "worlds": 1,
        "actors": "per-agent", "env": {"frames": 10, "queue_reset": True}, "gae_lambda": 0.95,
        "critic_target": "td", "factor": "all", "max_log_factor": 10.0,
    },
}  # fmt: skip
"""The companion's settings, each taken back by itself to what the paper has or implies, and single
changes of how actors and critics step."""

TABLE_I = {"noise_variance": 0.5}
TRIED_FOR_MADDPG: dict[str, dict[str, Any]] = {
    "noise of Table I": TABLE_I,
    "falling noise and rate": TABLE_I | {"anneal": True},
    "short memory": TABLE_I | {"replay_slots": 4000},
    "small batches": TABLE_I | {"batch_size": 64, "updates_per_frame": 40},
    "queue reset": TABLE_I | {"env": {"queue_reset": True}},
    "weak noise (as used)": {},
}
"""MADDPG with the noise of Table I, and single changes that might have made it better."""

MADDPG_ENDS = {"quick": {"maddpg": 15}, "companion": {"maddpg": 50}}
"""Its episodes, fewer than others have: one takes four times as long."""
SO_FAR = dict.fromkeys(LEARNERS, 75) | {"maddpg": 2}
"""Episodes of the preset ``paper`` that are run, where they are not all: one of MADDPG's takes as
long as ten to fifteen of the others'."""
SEEDS_SO_FAR = dict.fromkeys(LEARNERS, 3) | {"maddpg": 1}
"""Seeds of it so far."""
PLANNED = {"paper": 5}
"""Seeds that a preset is to have in the end, where it has fewer so far."""
HERE, THERE = (*BASELINES[:2], BASELINES[3]), BASELINES[2:]
"""What is measured beside learners in Section V's network, and in the work-conserving one."""

BEYOND = {"smoke": 1, "quick": 1, "companion": 3}
TRAINED = {"smoke": 1, "companion": 3}
SWEPT = BEYOND | {"companion": 6, "paper": 1}
"""Seeds of what is beyond the paper, of what only full training can show, and of sweeps: with 6,
four sentences are found with a power of 80 % that 5 would miss (page "Scoreboard")."""
SHORTER = {"companion": 60}
SHORTEST = SHORTER | {"quick": 15}
"""Episodes of what is beyond the paper."""
HALF = {"companion": 150}
HALF_EACH = MADDPG_ENDS | {"companion": dict.fromkeys(LEARNERS, 150) | MADDPG_ENDS["companion"]}
"""Episodes at each point of a sweep, but for Figs. 7 and 8, where failures have to be rare."""

TAKEN_BACK: dict[str, dict[str, Any]] = {
    "rate of Table I": {"learning_rate": 1e-4},
    "GAE 0.95": {"gae_lambda": 0.95},
    "credit joint": {"credit": "joint"},
    "a critic each": {"critic": "per-agent"},
    "positions only": {"observation": "positions"},
    "a network each": {"actors": "per-agent"},
    "long episodes": {"env": {"frames": 50}, "episodes": 30},
    "25 epochs": {"epochs": 25},
}
"""Each setting of ``companion`` as Table I and Fig. 3 have it; the number of slots stays."""
FORWARD = (
    "as printed", "+ rate 0.003", "+ GAE 0", "+ credit by difference", "+ a critic for each reward",
    "+ derived observations", "+ one network for all MUs",
)  # fmt: skip

TRIED = {setting_label(setting): setting for name in LEARNERS for setting in grid(name)}
"""What each learner tries in the search for the companion's settings."""
ENDS: dict[str, dict[str, Any]] = {
    "lambda 0.3": {"request_prob": 0.3},
    "lambda 0.7": {"request_prob": 0.7},
    "D 20 kbit": {"data_bits": (15e3, 20e3)},
    "D 30 kbit": {"data_bits": (15e3, 30e3)},
    "B 8 MHz": {"bandwidth_hz": 8e6},
    "B 12 MHz": {"bandwidth_hz": 12e6},
    "M 3": {"num_users": 25, "num_bs": 3},
    "M 7": {"num_users": 25, "num_bs": 7},
}
"""The ends of what Figs. 9 to 11 sweep; D is the largest request."""


def forward() -> dict[str, dict[str, Any]]:
    """Return the way from ``paper`` to ``companion``: each step keeps one setting more.

    The last two steps are a variant of ``TAKEN_BACK`` and the companion itself.
    """
    changes = list(TAKEN_BACK.values())
    return {name: merge(*changes[kept:]) for kept, name in enumerate(FORWARD)}


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in [
        Experiment(
            name="fig04_06",
            title="Convergence: rewards and energy against time slots",
            variants=VARIANTS,
            seeds={"smoke": 1, "quick": 2, "companion": 10, "paper": SEEDS_SO_FAR},
            episodes=MADDPG_ENDS
            | {"quick": dict.fromkeys(LEARNERS, 50) | {"maddpg": 20}, "paper": SO_FAR},
            aliases=("fig04", "fig05", "fig06"),
        ),
        Experiment(
            name="fig07_08",
            title="Energy and failures against the number of users",
            variants=VARIANTS,
            seeds=SWEPT,
            episodes=MADDPG_ENDS,
            aliases=("fig07", "fig08"),
            axes={"num_users": Axis((10, 15, 20, 25, 30, 35, 40), (10, 25, 40), (4, 6))},
            baselines=HERE,
        ),
        Experiment(
            name="fig09",
            title="Energy against the number of base stations",
            variants=VARIANTS,
            seeds=SWEPT,
            episodes=HALF_EACH,
            axes={"num_bs": Axis((3, 4, 5, 6, 7), (3, 7), (2, 3))},
            env={"num_users": 25},
            baselines=HERE,
        ),
        Experiment(
            name="fig10",
            title="Energy against the request probability",
            variants=VARIANTS,
            seeds=SWEPT,
            episodes=HALF_EACH,
            axes={"request_prob": Axis((0.3, 0.4, 0.5, 0.6, 0.7), (0.3, 0.7), (0.3, 0.6))},
            baselines=HERE,
        ),
        Experiment(
            name="fig11",
            title="Energy against data size and bandwidth",
            variants={"beta-happo": {}},
            seeds=SWEPT,
            episodes=HALF,
            axes={
                "data_bits_max": Axis(
                    (20e3, 25e3, 30e3, 200e3, 250e3, 300e3), (20e3, 30e3, 200e3, 300e3), (20e3, 2e5)
                ),
                "bandwidth_hz": Axis((8e6, 10e6, 12e6), (8e6, 12e6), (10e6,)),
            },
            baselines=HERE,
        ),
        Experiment(
            name="fig12",
            title="Energy and failures against the control factor",
            variants={"beta-happo": {}},
            seeds=SWEPT | {"quick": 3},
            episodes=HALF | {"quick": 50},
            axes={
                "control_factor": Axis((0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3), (0.7, 1.3), (0.7, 1.3))
            },
            baselines=HERE,
        ),
        Experiment(
            name="fig13_14",
            title="Energy and failures with many users",
            variants={"beta-happo": {}},
            seeds=SWEPT | {"quick": 3},
            episodes=HALF,
            aliases=("fig13", "fig14"),
            axes={"num_users": Axis((50, 52, 54, 56, 58, 60), (50, 58), (7, 8))},
            baselines=HERE,
        ),
        Experiment(
            name="worth",
            title="What the factor M and the Beta policy are worth",
            variants=WORTH,
            seeds={"smoke": 1, "companion": 5},
        ),
        Experiment(
            name="silence",
            title="What it takes for Beta-HAPPO to learn not to send",
            variants=SILENCE,
            seeds=TRAINED,
        ),
        Experiment(
            name="outage",
            title="Failures of trained Beta-HAPPO against the number of users: where the knee lies",
            variants={"beta-happo": {}},
            seeds=BEYOND,
            axes={"num_users": Axis((10, 15, 20, 25, 30), (10, 30), (4, 6))},
            baselines=HERE[:2],
        ),
        Experiment(
            name="steps",
            title="From Table I to the companion, one setting at a time, "
            "and each taken back by itself",
            variants={"companion": {}} | TAKEN_BACK | forward(),
            seeds=BEYOND,
            episodes=HALF
            | {
                preset: dict.fromkeys(("long episodes", *FORWARD), count)
                for preset, count in (("quick", 6), ("smoke", 1))
            },
        ),
        Experiment(
            name="search",
            title="Learning settings: as many tries for each algorithm, on tuning worlds",
            variants=TRIED,
            seeds={"smoke": 1, "companion": 2},
            episodes={"companion": episodes_of(TRIED, maddpg=20, others=40)},
            chooses=True,
        ),
        Experiment(
            name="finalists",
            title="Learning settings, second round: what was there against what the search chose",
            variants={name: TRIED[name] for name in FINALISTS},
            seeds={"smoke": 1, "companion": 2},
            episodes={"companion": episodes_of(FINALISTS, maddpg=25, others=150)},
            chooses=True,
        ),
        Experiment(
            name="strict",
            title="Failures of trained Beta-HAPPO where (14b) allows hardly any",
            variants={"beta-happo": {"env": {"failure_threshold": 0.01}}},
            seeds=TRAINED,
            axes={"num_users": Axis((10, 20), (10, 20), (4,))},
        ),
        Experiment(
            name="trends",
            title="Energy of trained Beta-HAPPO at the ends of what Figs. 9 to 11 sweep",
            variants={name: {"env": env} for name, env in ENDS.items()},
            seeds=TRAINED,
            episodes=SHORTER,
        ),
        Experiment(
            name="partition",
            title="Energy and failures against the number of users where servers divide their CPU",
            variants={"beta-happo": {}},
            seeds=BEYOND,
            episodes=SHORTER,
            axes={
                "num_users": Axis(
                    (10, 15, 20, 25, 30, 35, 40, 50, 52, 54, 56, 58, 60),
                    (10, 25, 40, 50, 58),
                    (4, 6),
                )
            },
            baselines=THERE,
            network=NETWORKS[1],
        ),
        Experiment(
            name="published",
            title="Table I and Fig. 3 to the letter in the work-conserving network",
            variants=VARIANTS,
            seeds={"paper": 3},
            episodes={"paper": {"maddpg": 20}},
            network=NETWORKS[1],
        ),
        Experiment(
            name="tradeoff",
            title="Energy against failures: every learner at several control factors",
            variants={
                f"{name} eta={eta:g}": VARIANTS[name] | {"env": {"control_factor": eta}}
                for name in LEARNERS
                for eta in CONTROL_FACTORS
            },
            seeds=BEYOND,
            network=NETWORKS[1],
        ),
        Experiment(
            name="constrained",
            title="(14b) held by every user: learners calibrated as reference policies are",
            variants=CONSTRAINED,
            seeds={"smoke": 1, "quick": 1, "companion": 5},
            episodes=LONGER,
            target=MARGIN,
            network=NETWORKS[1],
        ),
        Experiment(
            name="priced",
            title="The same where users see their virtual queues",
            variants={"beta-happo": CONSTRAINED["beta-happo"]},
            seeds={"smoke": 1, "quick": 1, "companion": 5},
            episodes=LONGER,
            target=PRICED,
            network=NETWORKS[1],
        ),
        Experiment(
            name="ablations",
            title="What each of the companion's settings buys Beta-HAPPO",
            variants=ABLATIONS,
            seeds=BEYOND,
            episodes=SHORTEST,
            network=NETWORKS[1],
        ),
        Experiment(
            name="maddpg",
            title="What was tried to make MADDPG learn",
            variants={
                name: VARIANTS["maddpg"] | changes for name, changes in TRIED_FOR_MADDPG.items()
            },
            seeds=BEYOND,
            episodes=SHORTEST,
            network=NETWORKS[1],
        ),
    ]
}


def of_preset(preset: str) -> list[Experiment]:
    """Return the experiments that a preset runs."""
    return [experiment for experiment in EXPERIMENTS.values() if preset in experiment.seeds]


def planned_seeds(name: str, preset: str) -> int:
    """Return how many seeds an experiment's runs of Beta-HAPPO are to have in the end."""
    return PLANNED.get(preset) or find(name).seeds_of(preset)[OWN]


def find(name: str, beside: Iterable[str] = ()) -> Experiment:
    """Return the experiment of that name or of that figure, such as ``fig05``.

    Args:
        name: whose.
        beside: names that are no experiment's, but allowed where this one was given.

    Raises:
        ConfigError: there is no such experiment.
    """
    known = {
        called: experiment
        for experiment in EXPERIMENTS.values()
        for called in (experiment.name, *experiment.aliases)
    }
    check_name("figure", name, [*sorted(known), *beside])
    return known[name]
