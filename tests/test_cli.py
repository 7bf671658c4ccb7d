"""The command line: what it does."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pandas as pd
import pytest
from said import SMALL, call

from dtlib import __main__, load_run
from dtlib.cli import STOPPED, main, settings
from dtlib.experiments import cards, datasets, grids, runner
from dtlib.report import pictures
from dtlib.runtime import paths
from dtlib.studies.measured_table import MeasuredTable
from dtlib.training import run_folder
from dtlib.verdicts import scoreboard


@pytest.mark.parametrize(("limit", "said"), [(0.999, "holds"), (1e-4, "does not hold")])
def test_train_evaluate(tmp_path, limit, said):
    options = ["--algorithm", "beta-happo", "--seed", 4, *SMALL]
    options += ["--set", f"env.failure_threshold={limit}", "--out", tmp_path / "r"]
    result = call("train", *options)
    assert result.exit_code == 0, result.output
    last = pd.read_csv(tmp_path / "r" / "history.csv").iloc[-1]
    energy, failed = 1e3 * last.energy_per_user_slot_j, 100 * last.failure_ratio_requests
    assert f"{energy:.3f} mJ per user and slot, {failed:.1f} % of" in result.output and energy > 0
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    assert (config["seed"], config["env"]["num_users"]) == (4, 3)
    table = tmp_path / "worlds.csv"
    result = call("evaluate", tmp_path / "r", "--worlds", 2, "--csv", table, "--quiet")
    assert result.exit_code == 0, result.output
    assert "energy_per_user_slot_j" in result.output
    assert "the worst user fails in" in result.output
    assert len(table.read_text().splitlines()) == 3
    result = call("evaluate", tmp_path / "r", "--worlds", 1, "--csv", table, "--quiet")
    worst = 100 * pd.read_csv(table).failure_ratio_slots_worst_user[0]
    where = f"in {worst:.1f} % of all slots, {100 * limit:g} % are"
    assert f"(14b) {said}: the worst user fails {where}" in result.output


def test_names_of_files_need_not_be_utf_8(tmp_path):
    result = call("train", *SMALL, "--out", tmp_path / os.fsdecode(b"\xff"))
    assert result.exit_code == 0 and f"1 episodes in {tmp_path}/\\udcff: " in result.output
    assert os.listdir(os.fsencode(tmp_path)) == [b"\xff"]
    again = call("train", *SMALL, "--out", tmp_path / os.fsdecode(b"\xff"))
    assert (again.exit_code, again.output) == (0, result.output), "it is taken up"
    assert call("evaluate", tmp_path / os.fsdecode(b"\xff"), "--worlds", 1).exit_code == 0


def test_values_as_one_would_type_them(tmp_path):
    given = ["env.deadline_s=0.04,0.05", "env.speed_mps=(2, 10)", "env.data_bits=[2e4, 3e4]",
             "hidden_sizes=8", "env.queue_reset=False", "anneal=yes", "learning_rate=.001",
             "replay_slots=1e4"]  # fmt: skip
    options = [part for text in given for part in ("--set", text)]
    assert call("train", *SMALL, *options, "--out", tmp_path).exit_code == 0
    kept = json.loads((tmp_path / "config.json").read_text())
    env = kept["env"]
    assert (env["deadline_s"], env["speed_mps"]) == ([0.04, 0.05], [2.0, 10.0])
    assert (env["data_bits"], env["queue_reset"], kept["anneal"]) == ([2e4, 3e4], False, True)
    assert (kept["hidden_sizes"], kept["learning_rate"]) == ([8], 0.001)
    assert kept["replay_slots"] == 10_000


def test_figure_status_and_claims(tmp_path, monkeypatch):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    monkeypatch.setattr(paths, "pictures", lambda: tmp_path / "pictures")
    missing = call("figure", "fig12", "--preset", "smoke", "--finished")
    assert missing.exit_code == 2 and "no run of preset 'smoke' is finished" in missing.output
    assert call("figure", "fig12", "--preset", "smoke", "--quiet").exit_code == 0
    drawn = {path.name for path in (tmp_path / "pictures" / "smoke").iterdir()}
    assert drawn == {"fig12.png", "fig12.svg", "fig12.pdf"}
    first = (tmp_path / "pictures" / "smoke" / "fig12.pdf").read_bytes()
    again = call("pictures")
    assert again.output.count("is drawn") == 3, again.output
    assert (tmp_path / "pictures" / "smoke" / "fig12.pdf").read_bytes() == first
    none = call("pictures", "--preset", "quick").output
    assert none == "No figure of preset 'quick' is committed.\n"
    lines = call("status", "--preset", "smoke").output.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    # planned, done, begun, missing, failed, in results, older, minutes left
    assert rows["fig12"] == ["8", "8", "0", "0", "0", "8", "0", "0.0"]
    assert rows["fig10"][:7] == ["14", "0", "0", "14", "0", "0", "0"]
    assert float(rows["fig10"][7]) > 0
    some = call("status", "fig12", "fig07", "--preset", "smoke").output.splitlines()
    assert [line.split()[0] for line in some[1:]] == ["fig12", "fig07_08", "fig12:", "fig07_08:"]
    assert some[-2].endswith("against the control factor")

    judged = call("claims", "--check")
    assert judged.exit_code == 2 and "is not what the results say" in judged.output
    assert "Beta-HAPPO needs less energy than MADDPG." in judged.output
    assert call("claims").exit_code == 0 and call("claims", "--check").exit_code == 0


@pytest.fixture
def reproduced(tmp_path, monkeypatch):
    """What ``dtlib reproduce`` would have made, in its order."""
    done = []
    monkeypatch.setattr(runner, "finish", lambda runs, effort: done.append(len(runs)))

    def writes(name):
        done.append(name)
        return tmp_path

    monkeypatch.setattr(
        datasets, "write_experiment", lambda experiment, *_, **__: writes(experiment.name)
    )
    monkeypatch.setattr(MeasuredTable, "write", lambda *_: writes("references"))
    monkeypatch.setattr(scoreboard, "write_verdicts", lambda _: writes("claims"))
    monkeypatch.setattr(pictures, "save", lambda *rest: [])
    return done


@pytest.mark.parametrize("beyond", [False, True])
def test_reproduce_is_what_the_paper_has(reproduced, beyond):
    command = ["reproduce", "--preset", "smoke", "--quiet", *["--beyond"] * beyond]
    assert call(*command).exit_code == 0
    names = [name for name, each in grids.EXPERIMENTS.items() if "smoke" in each.seeds]
    own = [name for name in names if name.startswith("fig")]
    more = [name for name in names if name not in own]
    assert own[0] == "fig04_06" and own[-1] == "fig13_14" and "maddpg" in more
    count, *rest = reproduced
    assert count == sum(len(grids.find(name).runs("smoke")) for name in own + more * beyond)
    assert rest == own + [*more, "references"] * beyond + ["claims"]


@pytest.mark.parametrize("quiet", [True, False])
def test_quiet_is_without_a_bar(monkeypatch, quiet):
    told, command = [], ["policies", "--dirty", "--jobs", 3, "--device", "cpu"]
    monkeypatch.setattr(cards, "write_policies", lambda preset, effort: told.append(effort) or [])
    assert call(*command, *["--quiet"] * quiet).exit_code == 0
    assert told == [runner.Effort(jobs=3, device="cpu", progress=not quiet)]


def test_every_command_has_help(monkeypatch):
    passed = []
    done = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: passed.append(command) or done)
    for name in main.commands:
        result = call(name, "--help")
        assert result.exit_code == 0 and result.output.startswith("Usage: "), name
    assert not passed
    call("bench", "training", "--help", "--suite", "phases")
    assert passed[0][2:] == ["benchmarks.training", "--help", "--suite", "phases"]


def test_every_benchmark_is_known_by_name(request):
    """What has a ``main`` in ``benchmarks/`` is a name that ``dtlib bench`` takes."""
    files = (request.config.rootpath / "benchmarks").glob("*.py")
    runnable = {file.stem for file in files if "def main(" in file.read_text(encoding="utf-8")}
    [name] = [each for each in main.commands["bench"].params if each.name == "name"]
    assert set(name.type.choices) == runnable


def test_installed_command():
    done = subprocess.run(
        [sys.executable, "-m", "dtlib", "train", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--algorithm" in done.stdout and "--set" in done.stdout


LIGHT = """
import sys
from click.testing import CliRunner
from dtlib.cli import main
for line in ("--help", "train --help", "train", "train --out x --set epoch=3", "nonsense"):
    assert CliRunner().invoke(main, line.split()).exit_code in (0, 2)
print(sorted({"numpy", "pandas", "scipy", "torch"} & sys.modules.keys()))
"""


def test_help_and_usage_errors_need_no_torch(tmp_path):
    """It takes seconds to load, and Ctrl-C in them would show a traceback."""
    command = [sys.executable, "-c", LIGHT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_process_that_trains_does_without_scipy(tmp_path):
    """Its import adds two fifths to what all others take, in each command, worker and kernel."""
    code = "import sys; from dtlib.experiments import runner; import dtlib; dtlib.train(dtlib."
    code += "TrainConfig.from_preset('smoke', episodes=1)); print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=lambda told: told.name)
def test_told_to_stop_it_says_one_line_and_can_go_on(told, tmp_path):
    command = [sys.executable, "-m", "dtlib", "train", "--preset", "smoke", "--quiet"]
    command += ["--set", "episodes=5000", "--set", "epochs=1", "--out", str(tmp_path / "run")]
    heeded = partial(signal.signal, told, signal.SIG_DFL)  # also in the background
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heeded)
    try:
        while not (tmp_path / "run" / "history.csv").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(told)
        said = process.communicate(timeout=60)[1].strip()
    finally:
        process.kill()
    assert process.returncode == 130
    assert said.startswith("dtlib: stopped;") and len(said.splitlines()) == 1
    done = len(load_run(tmp_path / "run").history)
    assert 0 < done < 5000


LOADS = "import os, signal, time; os.kill(os.getpid(), signal.{}); time.sleep(60)"
TOLD = "import signal, dtlib.__main__ as m; signal.signal(signal.{}, m.stop); import loads"


@pytest.mark.parametrize("told", ["SIGINT", "SIGTERM"])
def test_while_modules_load_it_ends_at_once_in_one_line(told, tmp_path):
    (tmp_path / "loads.py").write_text(LOADS.format(told))
    done = subprocess.run([sys.executable, "-c", TOLD.format(told)], capture_output=True,
                          env=os.environ | {"PYTHONPATH": str(tmp_path)}, timeout=50)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"\ndtlib: stopped\n")


def test_later_it_is_an_exception():
    with pytest.raises(KeyboardInterrupt):
        __main__.stop(signal.SIGTERM, None)


def test_settings_of_the_network_at_once_and_one_by_one():
    """The single one wins, whatever comes first."""
    both = ['env={"num_bs":2, "num_users":9}', "env.num_users=3"]
    for given in (both, both[::-1]):
        found = settings("smoke", tuple(given)).env
        assert (found.num_bs, found.num_users) == (2, 3)


def test_places_are_where_the_command_was_given(tmp_path, monkeypatch):
    """Notebooks and benchmarks run in other folders."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DTLIB_STORE", "mine")
    call("status", "readings", "--preset", "smoke")
    assert os.environ["DTLIB_STORE"] == str(tmp_path / "mine")


def test_a_figure_with_two_names_is_one():
    result = call("status", "fig04", "fig05", "fig04_06", "--preset", "smoke")
    assert result.output.count("fig04_06: ") == 1


@pytest.mark.parametrize(
    ("command", "kept"),
    [(["policies", "--dirty"], True), (["verify"], False), (["evaluate", "no/such/run"], False)],
)
def test_what_is_not_kept_is_not_said_to_be(command, kept, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cards, "write_policies", stop)
    monkeypatch.setattr(grids, "of_preset", stop)
    monkeypatch.setattr(run_folder, "load_run", stop)
    result = call(*command)
    assert result.exit_code == 130
    assert result.output.strip() == f"dtlib: {STOPPED if kept else 'stopped'}"
