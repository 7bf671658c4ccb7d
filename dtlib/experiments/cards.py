"""Trained policies for the repository: one per algorithm of Figs. 4–6, each with a card."""

import hashlib
import json
from pathlib import Path

import pandas as pd

from dtlib.experiments import measurements, results, runner, store
from dtlib.experiments.experiment import LEARNERS, PlannedRun
from dtlib.experiments.grids import find
from dtlib.experiments.keys import config_key
from dtlib.experiments.runner import Effort
from dtlib.runtime import paths
from dtlib.runtime.errors import ConfigError
from dtlib.runtime.files import write_text
from dtlib.settings.base import RESULTS_VERSION
from dtlib.settings.train import TrainConfig
from dtlib.training.published import POLICY
from dtlib.training.run_folder import publish

FIGURE, SEED = "fig04_06", 0
"""Whose runs are passed on, and which: the first, whatever it has learnt."""
FOLDER = "policies"
CARD = "README.md"
BY_WORLD = "held-out.csv"
"""Results of mean actions, a row per held-out world."""
TOLD = {
    "energy_per_user_slot_j": ("energy per user and slot", 1e3, "mJ"),
    "failure_ratio_requests": ("failed requests", 100, "%"),
    "failure_ratio_slots": ("failed slots", 100, "%"),
    "failure_ratio_slots_user_max": ("of the worst user", 100, "%"),
    "migrations_per_frame": ("migrations in a frame", 1, ""),
}
"""What a card says of held-out worlds: name, factor, unit."""


def policy_folder(algorithm: str) -> Path:
    """Return where the policy of an algorithm is committed."""
    return results.folder_of(FOLDER, algorithm)


def write_policies(preset: str, effort: Effort) -> list[Path]:
    """Write a trained policy with its card for each algorithm to ``results/policies/``.

    Runs that the store lacks are trained.

    Raises:
        ConfigError: those of another preset are there.
    """
    found = {results.manifest(policy_folder(name)).get("of_preset", preset) for name in LEARNERS}
    if others := sorted(found - {preset}):
        place = paths.relative(paths.results() / FOLDER)
        raise ConfigError(
            f"preset = {preset!r}: {place} has those of {others[0]!r}; remove them first"
        )
    runs = [run for run in find(FIGURE).runs(preset) if run.config.seed == SEED]
    runner.finish(runs, effort)
    return [_write(planned) for planned in runs]


def _write(planned: PlannedRun) -> Path:
    folder, config = policy_folder(planned.variant), planned.config
    publish(folder, store.get(config, planned.episodes))
    found = measurements.evaluation(planned, "held-out")
    digest = hashlib.sha256((folder / POLICY).read_bytes()).hexdigest()
    facts = {
        "figure": FIGURE,
        "of_preset": config.preset,
        "episodes": planned.episodes,
        "policy_sha256": digest,
        "trained_by": store.made_by(config),
        "config_sha256": config_key(config),
    }
    results.write(folder, planned.digest, tables={BY_WORLD: found.worlds}, facts=facts)
    write_text(folder / CARD, _card(planned, pd.Series(found.summary()), digest))
    return folder


def _card(planned: PlannedRun, found: pd.Series, digest: str) -> str:
    """Return what a reader should know before using a policy, as Markdown."""
    name, config, env = planned.variant, planned.config, planned.config.env
    slots = planned.episodes * config.worlds * env.slots
    rows = "\n".join(
        f"| {label} | {factor * found[column]:.4g}{f' {unit}' if unit else ''} |"
        for column, (label, factor, unit) in TOLD.items()
    )
    return f"""\
# A trained policy: {name}, preset `{config.preset}`

Actors of {env.num_users} mobile users, {env.num_bs} base stations and the control centre.
Trained for {planned.episodes} episodes, {slots} slots, with seed {config.seed}: the \
first run of Figs. 4–6,
whatever it has learnt. Use it from the root of the repository:

```sh
dtlib evaluate results/{FOLDER}/{name} --worlds {planned.worlds}
```

```python
run = dtlib.load_run("results/{FOLDER}/{name}")
actions = run.policies.act(dtlib.sample_world(run.config.env, seed=0))
```

With mean actions in {planned.worlds} held-out worlds of 50 frames:

| | mean |
|---|---|
{rows}

## Settings

What differs from Table I, or from what is usual where the paper is silent (`config.json` has all):

```json
{json.dumps(_departures(config), indent=1)}
```

## Limits

- It knows this network only: as many users and base stations, and positions in this area.
- It holds weights of actors, no critics and no optimiser: it cannot be trained further.
- Run and results are of results version {RESULTS_VERSION}: `{BY_WORLD}` has them,
  byte for byte, for whoever evaluates it with that version's code on x86-64 with AVX2.

sha256 of `{POLICY}`: `{digest}`. Licence: MIT, as the code.
"""


def _departures(config: TrainConfig) -> dict[str, object]:
    """Return the settings that differ from the preset ``paper``'s, as JSON holds them."""
    own = config.json_values()
    printed = TrainConfig(algorithm=config.algorithm).json_values()
    skip = {"preset", "env", "seed"}
    changed = {k: v for k, v in own.items() if k not in skip and v != printed[k]}
    network = {k: v for k, v in own["env"].items() if v != printed["env"][k]}
    return changed | ({"env": network} if network else {})
