"""Kernels of notebooks, forked from a server that has loaded their libraries once.

Half of what a page takes would go into loading torch and seaborn, anew in each kernel. What is
dtlib's, a kernel imports itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any

import processes


def kernel(ready: Connection, connection_file: str, folder: str | None, env: dict[str, str]):
    """Be a kernel: in a session of its own, as the launcher wants it."""
    os.setsid()
    ready.send(True)
    os.environ.clear()
    os.environ.update(env, JPY_PARENT_PID=str(os.getppid()))
    if folder:
        os.chdir(folder)
    import matplotlib
    from ipykernel.kernelapp import IPKernelApp

    matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"
    IPKernelApp.launch_instance(["-f", connection_file])


class ForkedKernel:
    """What the launcher needs of ``subprocess.Popen``."""

    stdout = stderr = None

    def __init__(self, connection_file: str, folder: str | None, env: Mapping[str, str]):
        self.stdin = BytesIO()  # the launcher closes it
        ours, theirs = processes.CONTEXT.Pipe()
        arguments = (theirs, connection_file, folder, dict(env))
        self.process = processes.CONTEXT.Process(target=kernel, args=arguments)
        self.process.start()
        theirs.close()
        ours.recv()  # signals go to the kernel's group: not before it has one of its own
        self.pid = self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self) -> int | None:
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def launch(command: list[str], *, cwd=None, env=None, **options: Any):
    """Start a kernel of Python as a fork, and whatever else as a process.

    It takes the place of ``jupyter_client.launcher.Popen``. Elsewhere than on Linux, libraries may
    not survive a fork.
    """
    if sys.platform == "linux" and command[1:-1] == ["-m", "ipykernel_launcher", "-f"]:
        return ForkedKernel(command[-1], cwd, env or os.environ)
    return subprocess.Popen(command, cwd=cwd, env=env, **options)
