"""Each figure of the paper as a grid of runs: what is stated here is all that is run and drawn."""

from collections.abc import Iterable

from dtlib.experiments import alternatives
from dtlib.experiments.experiment import (
    BASELINES,
    BETA_MAPPO,
    LEARNERS,
    OWN,
    Axis,
    Experiment,
)
from dtlib.experiments.search import FINALISTS, episodes_of
from dtlib.runtime.messages import check_name
from dtlib.settings.presets import NETWORKS
from dtlib.training.calibration import MARGIN, PRICED

LONGER = {"companion": 300}
"""Episodes of these runs: after half of them, energy at equal failures still falls.

Of MADDPG with as many, a rule was written before the runs: its short training is why its energy
does not fall in Fig. 6 if the 95 % t interval of the fall, last tenth against first, then leaves 0
out; and why Beta-HAPPO saves more than the paper says if the interval of what it then saves within
a seed holds the paper's number.
"""

MADDPG_ENDS = {"quick": {"maddpg": 15}, "companion": {"maddpg": 50}}
"""Its episodes, fewer than others have: one takes four times as long."""
SO_FAR = {"maddpg": 2}
"""Episodes of the preset ``paper`` that are run, where they are not all: one of MADDPG's takes as
long as eight to fifteen of the others'."""
KNEE = {"num_users": Axis((10, 15, 20, 25, 30), (10, 30), (4, 6))}
"""Where failures begin to rise."""

BEYOND = {"smoke": 1, "quick": 1, "companion": 3}
TRAINED = {"smoke": 1, "companion": 3}
SWEPT = BEYOND | {"companion": 6, "paper": 5}
"""Seeds of what is beyond the paper, of what only full training can show, and of sweeps: when
sweeps were planned, 6 found four sentences with a power of 80 % that 5 would miss."""
SHORTER = {"companion": 60}
SHORTEST = SHORTER | {"quick": 15}
"""Episodes of what is beyond the paper."""
HALF = {"companion": 150}
HALF_EACH = MADDPG_ENDS | {"companion": dict.fromkeys(LEARNERS, 150) | MADDPG_ENDS["companion"]}
"""Episodes at each point of a sweep, but for Figs. 7 and 8, where failures have to be rare."""

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in [
        Experiment(
            name="fig04_06",
            title="Convergence: rewards and energy against time slots",
            variants=alternatives.VARIANTS,
            seeds={"smoke": 1, "quick": 2, "companion": 10, "paper": 5},
            episodes=MADDPG_ENDS
            | {"quick": dict.fromkeys(LEARNERS, 50) | {"maddpg": 20}, "paper": SO_FAR},
            aliases=("fig04", "fig05", "fig06"),
        ),
        Experiment(
            name="fig07_08",
            title="Energy and failures against the number of users",
            variants=alternatives.VARIANTS,
            seeds=SWEPT,
            episodes=MADDPG_ENDS,
            aliases=("fig07", "fig08"),
            axes={"num_users": Axis((10, 15, 20, 25, 30, 35, 40), (10, 25, 40), (4, 6))},
            baselines=BASELINES,
        ),
        Experiment(
            name="fig09",
            title="Energy against the number of base stations",
            variants=alternatives.VARIANTS,
            seeds=SWEPT,
            episodes=HALF_EACH,
            axes={"num_bs": Axis((3, 4, 5, 6, 7), (3, 7), (2, 3))},
            env={"num_users": 25},
            baselines=BASELINES,
        ),
        Experiment(
            name="fig10",
            title="Energy against the request probability",
            variants=alternatives.VARIANTS,
            seeds=SWEPT,
            episodes=HALF_EACH,
            axes={"request_prob": Axis((0.3, 0.4, 0.5, 0.6, 0.7), (0.3, 0.7), (0.3, 0.6))},
            baselines=BASELINES,
        ),
        Experiment(
            name="fig11",
            title="Energy against data size and bandwidth",
            variants={"beta-happo": {}},
            seeds=SWEPT,
            episodes=HALF,
            axes={
                "data_bits_max": Axis(
                    (20e3, 25e3, 30e3, 200e3, 250e3, 300e3), (20e3, 30e3), (20e3, 2e5)
                ),
                "bandwidth_hz": Axis((8e6, 10e6, 12e6), (8e6, 12e6), (10e6,)),
            },
            baselines=BASELINES,
        ),
        Experiment(
            name="fig12",
            title="Energy and failures against the control factor",
            variants={"beta-happo": {}},
            seeds=SWEPT,
            episodes=HALF,
            axes={
                "control_factor": Axis((0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3), (0.7, 1.3), (0.7, 1.3))
            },
            baselines=BASELINES,
        ),
        Experiment(
            name="fig13_14",
            title="Energy and failures with many users",
            variants={"beta-happo": {}},
            seeds=SWEPT,
            episodes=HALF,
            aliases=("fig13", "fig14"),
            axes={"num_users": Axis((50, 52, 54, 56, 58, 60), (50, 58), (7, 8))},
            baselines=BASELINES,
        ),
        Experiment(
            name="worth",
            title="What the factor M and the Beta policy are worth",
            variants=alternatives.WORTH,
            seeds={"smoke": 1, "companion": 5},
        ),
        Experiment(
            name="unshared",
            title="Beta-HAPPO beside Beta-MAPPO where users have no common weights",
            variants={
                f"{name}, {what}": alternatives.VARIANTS[name] | changes
                for what, changes in alternatives.UNSHARED.items()
                for name in (OWN, BETA_MAPPO)
            },
            seeds=TRAINED | {"companion": 6},
        ),
        Experiment(
            name="held_back",
            title="What holds Beta-HAPPO back with Table I as printed",
            variants=alternatives.HELD_BACK,
            seeds={"paper": 5},
            episodes={"paper": 20},
        ),
        Experiment(
            name="once_a_frame",
            title="Beta-HAPPO whose centre learns from one choice of each frame",
            variants=alternatives.ONCE_A_FRAME,
            seeds=TRAINED | {"companion": 6},
        ),
        Experiment(
            name="silence",
            title="What it takes for Beta-HAPPO to learn not to send",
            variants=alternatives.SILENCE,
            seeds=TRAINED,
        ),
        Experiment(
            name="equal_slots",
            title="MADDPG trained for as many slots as the others",
            variants={"maddpg": alternatives.VARIANTS["maddpg"]},
            seeds=TRAINED,
            episodes=LONGER,
        ),
        Experiment(
            name="crowd",
            title="What Beta-HAPPO serves of 50 users' requests, by what its agents' action is",
            variants=alternatives.CROWD,
            seeds=TRAINED | {"companion": alternatives.CROWD_SEEDS},
            episodes=HALF,
            env={"num_users": 50},
        ),
        Experiment(
            name="outage",
            title="Failures of trained Beta-HAPPO against the number of users: where the knee lies",
            variants={"beta-happo": {}},
            seeds=BEYOND,
            axes=KNEE,
            baselines=BASELINES[:2],
        ),
        Experiment(
            name="whole",
            title="Failures of Beta-HAPPO against the number of users, with slices used whole",
            variants={"whole slices": alternatives.WHOLE},
            seeds=TRAINED,
            axes=KNEE,
        ),
        Experiment(
            name="printed_reward",
            title="Beta-HAPPO with the reward as printed, where energy weighs next to nothing",
            variants=alternatives.PRINTED_REWARD,
            seeds=TRAINED,
            axes={"num_users": Axis((20, 30), (20, 30), (4,))},
        ),
        Experiment(
            name="divided",
            title="Failures of Beta-HAPPO up to 25 users, with servers that divide their CPU",
            variants=alternatives.WITHOUT_SLICES,
            seeds=TRAINED | {"companion": alternatives.WITHOUT_SLICES_SEEDS},
            axes={"num_users": Axis((10, 15, 20, 25), (10, 25), (4,))},
        ),
        Experiment(
            name="steps",
            title="From Table I to the companion, one setting at a time, "
            "and each taken back by itself",
            variants={"companion": {}} | alternatives.TAKEN_BACK | alternatives.forward(),
            seeds=BEYOND,
            episodes=HALF
            | {
                preset: dict.fromkeys(("long episodes", *alternatives.FORWARD), count)
                for preset, count in (("quick", 6), ("smoke", 1))
            },
        ),
        Experiment(
            name="search",
            title="Learning settings: as many tries for each algorithm, on tuning worlds",
            variants=alternatives.TRIED,
            seeds={"smoke": 1, "companion": 2},
            episodes={"companion": episodes_of(alternatives.TRIED, maddpg=20, others=40)},
            chooses=True,
        ),
        Experiment(
            name="finalists",
            title="Learning settings, second round: what was there against what the search chose",
            variants={name: alternatives.TRIED[name] for name in FINALISTS},
            seeds={"smoke": 1, "companion": 2},
            episodes={"companion": episodes_of(FINALISTS, maddpg=25, others=150)},
            chooses=True,
        ),
        Experiment(
            name="strict",
            title="Failures of trained Beta-HAPPO where (14b) allows hardly any",
            variants={"beta-happo": {"env": alternatives.STRICT}},
            seeds=TRAINED,
            axes={"num_users": Axis((10, 20), (10, 20), (4,))},
        ),
        Experiment(
            name="trends",
            title="Energy of trained Beta-HAPPO at the ends of what Figs. 9 to 11 sweep",
            variants={name: {"env": env} for name, env in alternatives.ENDS.items()},
            seeds=TRAINED,
            episodes=SHORTER,
        ),
        Experiment(
            name="published",
            title="Table I and Fig. 3 to the letter in the work-conserving network",
            variants=alternatives.VARIANTS,
            seeds={"paper": 3},
            episodes={"paper": {"maddpg": 20}},
            network=NETWORKS[1],
        ),
        Experiment(
            name="tradeoff",
            title="Energy against failures: every learner at several control factors",
            variants={
                f"{name} eta={eta:g}": alternatives.VARIANTS[name]
                | {"env": {"control_factor": eta}}
                for name in LEARNERS
                for eta in alternatives.CONTROL_FACTORS
            },
            seeds=BEYOND,
            network=NETWORKS[1],
        ),
        Experiment(
            name="constrained",
            title="(14b) held by every user: learners calibrated as reference policies are",
            variants=alternatives.CONSTRAINED,
            seeds={"smoke": 1, "quick": 1, "companion": 5},
            episodes=LONGER,
            target=MARGIN,
            network=NETWORKS[1],
        ),
        Experiment(
            name="priced",
            title="The same where users see their virtual queues",
            variants={"beta-happo": alternatives.CONSTRAINED["beta-happo"]},
            seeds={"smoke": 1, "quick": 1, "companion": 5},
            episodes=LONGER,
            target=PRICED,
            network=NETWORKS[1],
        ),
        Experiment(
            name="ablations",
            title="What each of the companion's settings buys Beta-HAPPO",
            variants=alternatives.ABLATIONS,
            seeds=BEYOND,
            episodes=SHORTEST,
            network=NETWORKS[1],
        ),
        Experiment(
            name="maddpg",
            title="What was tried to make MADDPG learn",
            variants={
                name: alternatives.VARIANTS["maddpg"] | changes
                for name, changes in alternatives.TRIED_FOR_MADDPG.items()
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


def find(name: str, beside: Iterable[str] = ()) -> Experiment:
    """Return the experiment of that name or of that figure, such as ``fig05``.

    Args:
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
