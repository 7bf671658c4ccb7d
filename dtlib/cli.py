"""The command line. Every error of the user's is one line and exit code 2."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from dtlib.runtime import paths
from dtlib.runtime.errors import ConfigError, FileError
from dtlib.runtime.kinds import read_value
from dtlib.runtime.messages import check_name, check_once, show
from dtlib.settings.env import EnvConfig
from dtlib.settings.presets import NETWORKS, PRESETS
from dtlib.settings.train import TrainConfig

if TYPE_CHECKING:
    from dtlib.experiments.runner import Effort

STOPPED = "stopped; what is finished is kept, and the same command goes on from there"
KEEPING = ("train", "figure", "reproduce", "policies", "references")
"""Commands that take up what they have begun."""


class _OneLine(click.Group):
    """A group whose commands report bad settings and files as usage errors, and end when told."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except (click.NoSuchOption, click.BadOptionUsage) as error:
            _refuse(ctx, error.format_message())

    def invoke(self, ctx: click.Context) -> Any:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be UTF-8
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            said = STOPPED if ctx.invoked_subcommand in KEEPING else "stopped"
            click.echo(f"\ndtlib: {said}", err=True)
            ctx.exit(130)
        except (ConfigError, FileError) as error:
            _refuse(ctx, " ".join(str(error).splitlines()))
        except click.UsageError as error:
            _refuse(ctx, error.format_message())


def _refuse(ctx: click.Context, line: str) -> NoReturn:
    click.echo(f"dtlib: {line}", err=True)
    ctx.exit(2)


@click.group(cls=_OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dtlib")
def main() -> None:
    """Two-timescale synchronisation and migration of digital twins: train, evaluate, reproduce."""
    paths.settle()


def parse_setting(text: str) -> tuple[list[str], Any]:
    """Split ``name=value`` or ``env.name=value`` into names and the value, read as its field's."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {show(text, str)}: must be name=value, such as env.num_users=12")
    name, fields = name.strip(), TrainConfig.model_fields
    if name in ("preset", "network", "seed", "algorithm"):
        raise ConfigError(f"--set {show(text, str)}: is chosen by --{name}")
    inside, leaf = name.startswith("env."), name.removeprefix("env.")
    field = (EnvConfig.model_fields if inside else fields).get(leaf)
    return ["env"] * inside + [leaf], read_value(value, field.annotation if field else None)


def settings(
    preset: str, assignments: tuple[str, ...], network: str = NETWORKS[0], **changes: Any
) -> TrainConfig:
    """Return a preset's settings, with ``name=value`` and ``env.name=value`` assignments."""
    values: dict[str, Any] = {k: v for k, v in changes.items() if v is not None}
    given = [parse_setting(text) for text in assignments]
    check_once("--set", [".".join(names) for names, _ in given])
    for (*inside, leaf), value in sorted(given, key=lambda one: len(one[0])):
        if inside and not isinstance(values.setdefault("env", {}), dict):
            raise ConfigError(f"env = {show(values['env'])}: must be a mapping of fields to values")
        (values["env"] if inside else values)[leaf] = value
    return TrainConfig.from_preset(preset, network, **values)


def _known_preset(ctx: click.Context, option: click.Parameter, name: str) -> str:
    check_name("preset", name, PRESETS)
    return name


_option = partial(click.option, show_default=True)
_preset = _option(
    "--preset", default="quick", callback=_known_preset, help="smoke, quick, companion or paper."
)
_network = _option("--network", default=NETWORKS[0], help=f"{' or '.join(NETWORKS)}.")
_quiet = click.option("--quiet", is_flag=True, help="No progress bar.")
_dirty = click.option(
    "--dirty", is_flag=True, help="Write results although dtlib/ has changes that no commit has."
)
_jobs = _option("--jobs", default=2, type=click.IntRange(1), help="Runs side by side.")
_device = _option("--device", default="auto", help="auto, cpu or cuda; auto prefers a GPU.")
_scheduler = click.option(
    "--scheduler", default="", metavar="ADDRESS",
    help="Send runs to an existing Dask cluster, such as tcp://localhost:8786.",
)  # fmt: skip
_seeds = click.option("--seeds", type=int, help="Seeds 0 … n−1; the preset's number if absent.")


def _with_effort(command: Callable[..., None]) -> Callable[..., None]:
    """Hand a command what its options say of how runs are worked off as one record, ``effort``."""

    @wraps(command)
    def collected(quiet: bool, effort: "Effort | None" = None, **given: Any) -> None:
        from dtlib.experiments.runner import Effort

        said = {name: given.pop(name) for name in ("jobs", "device", "scheduler") if name in given}
        command(effort=effort or Effort(**said, progress=not quiet), **given)

    return collected


@main.command()
@click.option("--algorithm", help="The learner [default: beta-happo].")
@_preset
@_network
@click.option("--seed", type=int, help="Seed of the run [default: 0].")
@click.option(
    "--set", "assignments", multiple=True, metavar="NAME=VALUE",
    help="Change a setting, e.g. --set epochs=5 --set env.speed_mps=2,10; may be repeated.",
)  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--threads", type=click.IntRange(1), help="Torch threads [default: all cores].")
@_device
@_quiet
def train(out: Path, threads: int | None, device: str, quiet: bool, **chosen: Any) -> None:
    """Train one run, or take it up where it was stopped."""
    config = settings(**chosen)
    from dtlib.runtime.devices import cores
    from dtlib.training.train import train as run_training

    threads = threads or cores()
    run = run_training(config, out, progress=not quiet, threads=threads, device=device)
    last = run.history.iloc[-1]
    click.echo(
        f"{len(run.history)} episodes in {out}: "
        f"{1e3 * last.energy_per_user_slot_j:.3f} mJ per user and slot, "
        f"{100 * last.failure_ratio_requests:.1f} % of requests failed in the last"
    )


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_option("--worlds", default=20, type=int, help="Held-out episodes.")
@click.option(
    "--csv", type=click.Path(dir_okay=False, path_type=Path), help="Write one row per world here."
)
@_quiet
def evaluate(folder: Path, worlds: int, csv: Path | None, quiet: bool) -> None:
    """Evaluate the run in DIR with mean actions on held-out worlds of 50 frames."""
    from dtlib.runtime.files import write_whole
    from dtlib.training.evaluation import evaluate as run_evaluation
    from dtlib.training.run_folder import load_run

    if csv is not None and not csv.name:
        raise FileError(f"--csv {str(csv)!r}: is no name of a file")
    run = load_run(folder)
    found = run_evaluation(run, worlds=worlds, progress=not quiet)
    if csv is not None:
        write_whole(csv, lambda aside: found.worlds.to_csv(aside, index=False))
    summary = found.worlds.drop(columns="world").agg(["mean", "std"]).T
    click.echo(summary.to_string(float_format=lambda value: f"{value:.6g}"))
    limit = run.config.env.failure_threshold
    click.echo(
        f"(14b) {'holds' if found.worst_user <= limit else 'does not hold'}: the worst user fails "
        f"in {100 * found.worst_user:.1f} % of all slots, {100 * limit:g} % are allowed"
    )


@main.command()
@click.argument("name")
@_preset
@_seeds
@_jobs
@_device
@_scheduler
@click.option("--keep", is_flag=True, help="Keep committed rows; run only what they lack.")
@click.option("--finished", is_flag=True, help="Run nothing; write what is finished so far.")
@_dirty
@_quiet
@_with_effort
def figure(
    name: str, preset: str, seeds: int | None, effort: "Effort",
    keep: bool, finished: bool, dirty: bool,
) -> None:  # fmt: skip
    """Run what figure NAME needs and write its data to results/PRESET/.

    NAME is one of the paper's figures, such as fig10; an experiment beside them, such as steps; or
    a table of no runs: readings (tested by the paper's sentences), references (not learnt),
    mechanisms and effect_of_m (why learners differ), demand (the rule that learners are held
    against) or corrected (trained policies put right).
    """
    from dtlib.experiments import provenance, results
    from dtlib.report.pictures import save
    from dtlib.report.stories import STORIES
    from dtlib.studies import tables

    one = tables.find(name)
    provenance.check_clean(preset, dirty)
    folder = tables.write(one, preset, seeds, effort=effort, keep=keep, finished=finished)
    click.echo(f"{paths.relative(folder)}: tables and manifest are written")
    if one.name in STORIES:
        data = results.read(folder, results.DATA)
        for file in save(one.name, data, paths.pictures() / preset):
            click.echo(f"{paths.relative(file)} is drawn")


@main.command()
@click.option("--preset", default="", help="Only of this preset [default: of all].")
def pictures(preset: str) -> None:
    """Draw every figure again from the committed data; run nothing."""
    from dtlib.report.pictures import redraw

    files = redraw(preset)
    for file in files:
        click.echo(f"{paths.relative(file)} is drawn")
    if not files:
        click.echo(f"No figure{preset and f' of preset {preset!r}'} is committed.")


@main.command()
@_preset
@_jobs
@_device
@_dirty
@_quiet
@_with_effort
def policies(preset: str, effort: "Effort", dirty: bool) -> None:
    """Write a trained policy of each algorithm, with a card, to results/policies/.

    It is the first run of Figs. 4 to 6. `dtlib evaluate results/policies/NAME` uses it.
    """
    from dtlib.experiments import cards, provenance

    provenance.check_clean(preset, dirty)
    for folder in cards.write_policies(preset, effort):
        click.echo(f"{paths.relative(folder)}: policy, card and results are written")


@main.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_preset
@_option(
    "--runs", default=1, type=click.IntRange(min=0),
    help="Runs of each figure, or parts of a table, that are made again, the cheapest of each "
    "learner first; 0 for all.",
)  # fmt: skip
@_jobs
@_quiet
@_with_effort
def verify(names: tuple[str, ...], preset: str, runs: int, effort: "Effort") -> None:
    """Make committed runs of figures NAME again, from nothing, and compare every byte.

    All of the paper's figures are verified if none is named. A table that is of no runs, such as
    readings, is measured again in parts. Exit code 1 if any byte differs.
    """
    import pandas as pd

    from dtlib.experiments import grids
    from dtlib.studies import tables

    of_the_paper = [each for each in grids.of_preset(preset) if each.of_the_paper]
    effort = replace(effort, device="cpu")
    found = pd.concat(
        tables.verify(one, preset, count=runs, effort=effort)
        for one in tables.find_all(names) or of_the_paper
    )
    differ = int((found["differs"] != "").sum())
    click.echo(found.replace({"differs": {"": "-"}}).to_string(index=False))
    click.echo(f"{len(found) - differ} of {len(found)} runs or parts are the same in every byte")
    sys.exit(1 if differ else 0)


@main.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_preset
@_seeds
def status(names: tuple[str, ...], preset: str, seeds: int | None) -> None:
    """Show which runs are done, missing or failed: of figures NAME, and what each is; or of all.

    Tables that are of no runs, such as readings, are below.
    """
    from dtlib.experiments import grids, status
    from dtlib.studies import tables
    from dtlib.studies.measured_table import MeasuredTable

    wanted = tables.find_all(names) or [*grids.of_preset(preset), *tables.MEASURED.values()]
    measured = [one for one in wanted if isinstance(one, MeasuredTable)]
    experiments = [one for one in wanted if not isinstance(one, MeasuredTable)]
    if experiments:
        click.echo(status.status(experiments, preset, seeds).to_string(index=False))
    for one in measured:
        click.echo(f"{one.name}: {one.state(preset)}")
    what = [f"{experiment.name}: {experiment.title}" for experiment in experiments if names]
    for line in [*what, *status.failed_runs(experiments, preset, seeds)]:
        click.echo(line)


@main.command()
@_preset
@_jobs
@_dirty
@_quiet
@_with_effort
def references(preset: str, effort: "Effort", dirty: bool) -> None:
    """Tune and measure what is not learnt: reference policies, informed limit, genie."""
    call = click.get_current_context().invoke
    call(figure, name="references", preset=preset, effort=effort, dirty=dirty)


@main.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a kept table differs.")
def claims(check: bool) -> None:
    """Judge every claim of Section V from the committed results, preset by preset."""
    from dtlib.verdicts import scoreboard

    columns = ["figure", "the paper says", "measured on", "companion", "paper"]
    table = scoreboard.verdicts()
    click.echo(table[columns].to_string(index=False))
    click.echo(scoreboard.counts(table).to_string(index=False))
    if not check:
        scoreboard.write_verdicts(table)
    for file in scoreboard.outdated(table) if check else ():
        raise FileError(f"{paths.relative(file)}: is not what the results say")
    names = ", ".join(scoreboard.KEPT)
    click.echo(f"{paths.relative(paths.results())}: {names} are what the results say")


@main.command()
@_preset
@_jobs
@_device
@_scheduler
@click.option("--beyond", is_flag=True, help="Also what the paper does not have.")
@_dirty
@_quiet
@_with_effort
def reproduce(preset: str, effort: "Effort", beyond: bool, dirty: bool) -> None:
    """Run the paper's figures of a preset, resuming what was begun, and judge its claims.

    Beyond the paper are all other experiments that the preset has, and reference policies.
    """
    from dtlib.experiments import grids, provenance, runner

    provenance.check_clean(preset, dirty)
    wanted = [each for each in grids.of_preset(preset) if beyond or each.of_the_paper]
    runs = [planned for experiment in wanted for planned in experiment.runs(preset)]
    runner.finish(runs, effort)
    call = click.get_current_context().invoke
    for experiment in wanted:
        call(figure, name=experiment.name, preset=preset, effort=effort, dirty=True)
    if beyond and preset != "paper":
        call(references, preset=preset, effort=effort, dirty=True)
    call(claims, check=False)


@main.command()
@click.argument("name")
@click.option(
    "-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
    help="Set a parameter of the notebook; may be repeated.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), help="Copy [default: _build/executed/NAME.ipynb]."
)
@_quiet
def notebook(
    name: str, parameters: tuple[tuple[str, str], ...], out: Path | None, quiet: bool
) -> None:
    """Execute notebook NAME with other parameters into a copy."""
    from dtlib.notebook import execute

    check_once("-p", [key for key, _ in parameters])
    copy = execute(name, dict(parameters), out, progress=not quiet)
    click.echo(f"{paths.relative(copy)} is written")


@main.command(context_settings={"allow_interspersed_args": False})
@click.argument("name", type=click.Choice(["episode", "training", "critics", "peer", "harl"]))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(name: str, arguments: tuple[str, ...]) -> None:
    """Run benchmark NAME of benchmarks/ with ARGUMENTS, such as --out; it has --help, too.

    Files that they name are relative to the checkout.
    """
    if not (paths.root() / "benchmarks" / f"{name}.py").is_file():
        raise FileError(f"{paths.root() / 'benchmarks'}: not found; run from a checkout")
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    sys.exit(subprocess.run(command, cwd=paths.root()).returncode)
