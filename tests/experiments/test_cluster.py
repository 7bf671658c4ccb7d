"""The same runs on a real Dask cluster on the loopback, whose processes are killed."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext

import pandas as pd
import pytest

from dtlib import ConfigError
from dtlib.experiments import datasets, grids, runner, store
from dtlib.experiments.runner import Effort
from dtlib.runtime import cluster as dask
from dtlib.runtime import paths

distributed = pytest.importorskip("distributed")
SMALL = {"algorithm": "beta-happo", "env": {"num_users": 3, "num_bs": 2}, "episodes": 30}
GRID = grids.Experiment(
    "grid", "", {"beta": SMALL}, seeds={"smoke": 3}, axes=grids.find("fig10").axes
)


@pytest.fixture(autouse=True)
def own_results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def start(*arguments) -> subprocess.Popen:
    command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, **quiet)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A scheduler's address and two workers, each a process with one thread."""
    monkeypatch.setenv("DTLIB_STORE", "/nowhere")  # workers learn the store's place from the task
    address = f"tcp://127.0.0.1:{free_port()}"
    host, port = address.removeprefix("tcp://").split(":")
    local = ["--local-directory", str(tmp_path / "scratch")]
    processes = [start("dask_scheduler", "--host", host, "--port", port, "--no-dashboard")]
    processes += [
        start("dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", *local)
        for _ in range(2)
    ]
    with distributed.Client(address, timeout="30s") as client:
        client.wait_for_workers(2, timeout=60)
    yield address, processes
    for process in processes:
        process.kill()
        process.wait()


def reap(when, *processes) -> subprocess.Popen:
    """Kill processes as soon as a file is found below the working folder, from another process."""
    command = [sys.executable, "-c", REAPER, when, *(str(process.pid) for process in processes)]
    return subprocess.Popen(command)


def test_a_worker_dies_and_results_are_the_same(cluster, tmp_path, monkeypatch):
    """The store's path is relative, and workers have another working folder."""
    address, (_, *workers) = cluster
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DTLIB_STORE", "shared")
    reaper = reap("shared/*/*/history.csv", workers[0])
    place = datasets.write_experiment(GRID, "smoke", effort=Effort(scheduler=address))
    assert reaper.wait() == 0 and workers[0].wait() == -signal.SIGKILL
    assert workers[1].poll() is None
    far = (place / "data.csv").read_bytes()
    (place / "data.csv").unlink()
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "own"))
    place = datasets.write_experiment(GRID, "smoke", effort=Effort(jobs=1))
    assert (place / "data.csv").read_bytes() == far
    assert len(pd.read_csv(place / "data.csv")) == 6


REAPER = """
import os, signal, sys, time
from pathlib import Path
end = time.time() + 600
while not list(Path().glob(sys.argv[1])):
    assert time.time() < end
    time.sleep(0.02)
for process in map(int, sys.argv[2:]):
    os.kill(process, signal.SIGKILL)
"""


def told(address) -> str:
    """Return the line with which an experiment ends on a cluster."""
    with pytest.raises(ConfigError) as caught:
        datasets.collect(GRID, GRID.runs("smoke"), effort=Effort(scheduler=address))
    line = str(caught.value)
    assert "\n" not in line and line.startswith(f"scheduler = '{address}': ")
    return line.removeprefix(f"scheduler = '{address}': ")


def test_what_a_cluster_loses_is_told(cluster, tmp_path, monkeypatch, capfd):
    """A store that is elsewhere, all workers, the scheduler; there are no leftovers."""
    address, (scheduler, *workers) = cluster
    place = tmp_path / "store"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DTLIB_STORE", str(place))
    with monkeypatch.context() as patch:
        patch.setattr(runner, "marked", lambda *_: nullcontext(tmp_path / "far" / "mark"))
        line = told(address)
    assert line.startswith(f"a worker failed with FileError: {tmp_path / 'far'}: the worker on ")
    assert line.endswith("must be a folder that all workers share") and not place.exists()

    monkeypatch.setattr(dask, "PATIENCE_S", 1.0)
    reaper = reap("store/*/*/history.csv", *workers)
    assert told(address).startswith("has had no workers for 1 s; what is finished is kept: run ")
    assert reaper.wait() == 0
    assert any(store.episodes_done(run.config) for run in GRID.runs("smoke"))

    monkeypatch.setattr(dask, "PATIENCE_S", 600.0)
    reaper = reap("store/.dtlib-*.part", scheduler)
    assert told(address).startswith("the scheduler is lost; what is finished is kept: run the ")
    assert reaper.wait() == 0
    assert not list(place.glob(".*")) and capfd.readouterr() == ("", "")


def test_nobody_answers(monkeypatch, tmp_path):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    address = f"tcp://127.0.0.1:{free_port()}"
    client, waits = distributed.Client, []

    def impatient(where, timeout):
        waits.append(timeout)
        return client(where, timeout=1)

    monkeypatch.setattr(distributed, "Client", impatient)
    assert told(address).startswith("no Dask scheduler answers there (")
    assert waits == [10] and not store.episodes_done(GRID.runs("smoke")[0].config)


def test_where_nothing_is_missing_no_scheduler_is_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    runs = GRID.runs("smoke")[:1]
    table = datasets.collect(GRID, runs, effort=Effort(jobs=1))["data.csv"]
    nowhere = Effort(scheduler=f"tcp://127.0.0.1:{free_port()}")
    pd.testing.assert_frame_equal(datasets.collect(GRID, runs, effort=nowhere)["data.csv"], table)
