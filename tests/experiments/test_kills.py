"""Commands killed at random moments, again and again: in the end every byte is as if undisturbed.

A few kills unless ``DTLIB_KILLS`` says how many; ``DTLIB_KILLS_SEED`` draws other moments. With
``-s`` a line tells of each.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from dtlib.runtime.checkpoint import load_checkpoint
from dtlib.training.loop import TIMINGS
from dtlib.training.run_folder import CHECKPOINT, HISTORY

FEW = 2
KILLS, SEED = (
    int(os.environ.get(name, usual))
    for name, usual in (("DTLIB_KILLS", FEW), ("DTLIB_KILLS_SEED", 0))
)
COMMANDS = {
    "train": ("train", "--set", "episodes=6", "--threads", "1", "--out", "run"),
    "figure": ("figure", "fig12"),
    "reproduce": ("reproduce",),
}
CASES = [
    ("train", "group"),
    *(
        (command, who)
        for command in ("figure", "reproduce")
        for who in ("group", "parent", "workers")
    ),
]
MOST_S = 600


def begin(place: Path, command: str) -> subprocess.Popen:
    """Start a command in a session, a home and a store of its own."""
    (place / "tmp").mkdir(parents=True, exist_ok=True)
    own = {"DTLIB_HOME": place, "DTLIB_STORE": place / "runs", "TMPDIR": place / "tmp"}
    more = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    arguments = [*COMMANDS[command], "--preset", "smoke", "--quiet"]
    with (place / "tmp" / "said").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "dtlib", *arguments],
            cwd=place, env=os.environ | own | more, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=said,
        )  # fmt: skip


def session(leader: int) -> dict[int, str]:
    """Return the command lines of the living processes of a session."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(its) == leader and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:  # it has just ended
            continue
    return found


def shared_memory() -> set[str]:
    """Return the names of joblib's folders; numbers of processes come again, so look before."""
    return {path.name for path in Path("/dev/shm").glob("joblib*")}


def workers(leader: int) -> list[int]:
    return [process for process, line in session(leader).items() if "popen_loky" in line]


def strike(process: subprocess.Popen, who: str, moment: float, one: bool) -> bool:
    """Send SIGKILL after so many seconds; return whether it found anybody at work."""
    end = time.monotonic() + moment
    while time.monotonic() < end or (who == "workers" and not workers(process.pid)):
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    if who == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif who == "parent":
        process.kill()
    else:
        for worker in workers(process.pid)[: 1 if one else None]:
            os.kill(worker, signal.SIGKILL)
    return process.wait(MOST_S) != 0


def orphans(leader: int, within_s: float = 200.0) -> dict[int, str]:
    """Return what still lives of a session after a while: less than idle workers wait for work."""
    end = time.monotonic() + within_s
    while (left := session(leader)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def told(path: Path) -> str:
    """Return what of a file must not depend on who was killed: all but seconds that passed."""
    if path.name == CHECKPOINT:
        arrays, rest = load_checkpoint(path)
        rows = [{k: v for k, v in row.items() if k not in TIMINGS} for row in rest["rows"]]
        bits = {name: array.numpy().tobytes().hex() for name, array in arrays.items()}
        content = json.dumps([rest["config"], rows, bits]).encode()
    elif path.name == HISTORY:
        content = pd.read_csv(path).drop(columns=[*TIMINGS]).to_csv().encode()
    elif path.name == "manifest.json":
        found = json.loads(path.read_text())
        runs = [run | {"seconds_of_training": 0} for run in found["runs"]]
        content = json.dumps(found | {"runs": runs, "sha256": ""}).encode()
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def everything(place: Path) -> dict[str, str]:
    """Return what lies below a place, temporary files included."""
    said = place / "tmp" / "said"
    files = sorted(path for path in place.rglob("*") if path.is_file() and path != said)
    return {str(path.relative_to(place)): told(path) for path in files}


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """What a command leaves behind that nothing disturbs, and the seconds that it takes."""
    known = {}

    def find(command):
        if command not in known:
            place, start = tmp_path_factory.mktemp(command), time.monotonic()
            assert begin(place, command).wait(MOST_S) == 0
            known[command] = everything(place), time.monotonic() - start
        return known[command]

    return find


@pytest.mark.parametrize(("command", "who"), CASES, ids=map("-".join, CASES))
def test_killed_at_random_moments(command, who, calm, tmp_path):
    wanted = KILLS // len(CASES) + (CASES.index((command, who)) < KILLS % len(CASES))
    if not wanted:
        pytest.skip(f"DTLIB_KILLS={len(CASES)} or more also kills here; it takes minutes")
    moments = random.Random(f"{SEED} {command} {who}")
    expected, span = calm(command)
    place, struck = tmp_path / "0", 0
    while struck < wanted:
        before = shared_memory()
        process = begin(place, command)
        moment, one = span * moments.uniform(0, 0.7), moments.random() < 0.5
        at_work = strike(process, who, moment, one)
        said = (place / "tmp" / "said").read_text()
        print(f"{command}, {who}: {moment:.1f} s, exit {process.returncode}, {said!r}")
        assert not orphans(process.pid)
        assert not any(f"_{process.pid}_" in name for name in shared_memory() - before)
        assert said.count("\n") == (1 if who == "workers" and at_work else 0), said
        assert not at_work or process.returncode == (2 if who == "workers" else -signal.SIGKILL)
        struck += at_work
        if process.returncode == 0:  # it was faster
            assert everything(place) == expected
            place = tmp_path / str(1 + int(place.name))
    assert begin(place, command).wait(MOST_S) == 0
    assert everything(place) == expected
