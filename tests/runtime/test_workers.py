"""Local processes: one line if one is killed, none of them left when their parent is gone."""

import inspect
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
from joblib.externals.loky import process_executor

from dtlib import ConfigError
from dtlib.runtime import workers
from dtlib.runtime.workers import in_parallel


def cube(number):
    return os.getpid() if number < 0 else number**3


def die(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order(jobs):
    assert list(in_parallel(cube, [(number,) for number in range(5)], jobs)) == [0, 1, 8, 27, 64]
    where = set(in_parallel(cube, [(-1,), (-1,)], jobs))
    assert (where == {os.getpid()}) == (jobs == 1)
    assert set(in_parallel(cube, [(-1,)], jobs)) == {os.getpid()}, "one task needs no other"
    assert list(in_parallel(cube, [], jobs)) == []


def test_a_killed_worker_is_one_line():
    with pytest.raises(ConfigError, match="^jobs = 2: a process was killed [^\n]*$"):
        list(in_parallel(die, [(number,) for number in range(4)], 2))


def test_a_worker_that_joblib_replaces_is_no_news():
    assert workers.REPLACED in inspect.getsource(process_executor)
    with warnings.catch_warnings(record=True) as said:
        list(in_parallel(cube, [(2,)], 1))
        warnings.warn(f"{workers.REPLACED}. This can be …", UserWarning, stacklevel=1)
    assert not said


PARENT = """
import os, sys, time
from pathlib import Path
from dtlib.runtime.workers import in_parallel

def work(number):
    (Path(sys.argv[1]) / str(os.getpid())).touch()
    time.sleep(60)

list(in_parallel(work, [(0,), (1,)], 2))
"""


SIGNALS = (signal.SIGTERM, signal.SIGKILL)


def test_workers_end_with_their_parents(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    parents = {}
    for kill in SIGNALS:
        (tmp_path / kill.name).mkdir()
        command = [sys.executable, "parent.py", kill.name]
        said = {"stderr": subprocess.PIPE, "text": True}
        parents[kill] = subprocess.Popen(command, cwd=tmp_path, env=environment, **said)
    end = time.monotonic() + 600  # of a loaded machine
    while len(workers := list(tmp_path.glob("SIG*/*"))) < 4 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(workers) == 4
    for kill, parent in parents.items():
        parent.send_signal(kill)
        assert parent.communicate()[1] == "" and parent.returncode == -kill
    end = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(alive, workers))


def alive(path):
    try:
        os.kill(int(path.name), 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{path.name}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
