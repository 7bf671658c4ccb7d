"""Kernels of notebooks, forked from a server that has loaded their libraries once.

Half of what a page takes would go into loading torch and seaborn, anew in each kernel. What is
dtlib's, a kernel imports itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any

import processes


def kernel(ready: Connection, options: list[str], folder: str | None, env: dict[str, str]):
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
    IPKernelApp.launch_instance(options)


class ForkedKernel(processes.CONTEXT.Process):
    """A process that has what the launcher needs of ``subprocess.Popen`` besides.

    It is no daemon: a page may have processes of its own.
    """

    stdin, stdout, stderr = BytesIO(), None, None  # the launcher closes the first

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def launch(command: list[str], *, cwd=None, env=None, **options: Any):
    """Start a kernel of Python as a fork, and whatever else as a process.

    It takes the place of ``jupyter_client.launcher.Popen``. Elsewhere than on Linux, libraries may
    not survive a fork.
    """
    if sys.platform != "linux" or command[1:3] != ["-m", "ipykernel_launcher"]:
        return subprocess.Popen(command, cwd=cwd, env=env, **options)
    ours, theirs = processes.CONTEXT.Pipe()
    arguments = (theirs, command[3:], cwd, dict(env or os.environ))
    forked = ForkedKernel(target=kernel, args=arguments)
    forked.start()
    theirs.close()
    ours.recv()  # signals go to the kernel's group: not before it has one of its own
    return forked
