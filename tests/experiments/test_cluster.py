"""The same runs on a real Dask cluster on the loopback, one of whose workers is killed."""

import os
import signal
import socket
import subprocess
import sys

import pandas as pd
import pytest

from dtlib import ConfigError
from dtlib.experiments import datasets, grids, store
from dtlib.experiments.runner import Effort
from dtlib.runtime import paths

distributed = pytest.importorskip("distributed")
SMALL = {"algorithm": "beta-happo", "env": {"num_users": 3, "num_bs": 2}, "episodes": 30}
GRID = grids.Experiment("grid", "", {"beta": SMALL}, {"smoke": 3}, axes=grids.find("fig10").axes)


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
    yield address, processes[1:]
    for process in processes:
        process.kill()
        process.wait()


def test_a_worker_dies_and_results_are_the_same(cluster, tmp_path, monkeypatch):
    address, workers = cluster
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "shared"))
    reaper = subprocess.Popen(
        [sys.executable, "-c", REAPER, str(workers[0].pid), str(tmp_path / "shared")]
    )
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
while not list(Path(sys.argv[2]).rglob("history.csv")):
    assert time.time() < end
    time.sleep(0.02)
os.kill(int(sys.argv[1]), signal.SIGKILL)
"""


def test_nobody_answers(monkeypatch, tmp_path):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    address = f"tcp://127.0.0.1:{free_port()}"
    client, waits = distributed.Client, []

    def impatient(where, timeout):
        waits.append(timeout)
        return client(where, timeout="1s")

    monkeypatch.setattr(distributed, "Client", impatient)
    with pytest.raises(ConfigError, match=f"scheduler = '{address}': no Dask scheduler answers"):
        datasets.collect(GRID, GRID.runs("smoke"), Effort(scheduler=address))
    assert waits == ["10s"] and not store.episodes_done(GRID.runs("smoke")[0].config)


def test_where_nothing_is_missing_no_scheduler_is_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    runs = GRID.runs("smoke")[:1]
    table = datasets.collect(GRID, runs, Effort(jobs=1))["data.csv"]
    nowhere = Effort(scheduler=f"tcp://127.0.0.1:{free_port()}")
    pd.testing.assert_frame_equal(datasets.collect(GRID, runs, nowhere)["data.csv"], table)
