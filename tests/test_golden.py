"""Golden hashes: the same bits here, with two threads, and on two other processors (emulated).

Code that changes them must raise ``RESULTS_VERSION``. `python tests/golden.py` writes them anew.
"""

import json
import os
import shutil
import subprocess
import sys

import golden
import pytest

from dtlib.runtime.bits import PORTABLE, SWITCH
from dtlib.runtime.fingerprint import arithmetic
from dtlib.settings.base import RESULTS_VERSION

GOLDEN = json.loads(golden.FILE.read_text())
QEMU = shutil.which("qemu-x86_64")
BARE = {name: text for name, text in os.environ.items() if name not in PORTABLE}
portably = pytest.mark.skipif(
    arithmetic() != "portable", reason="this processor has no AVX2, or DTLIB_ARITHMETIC=native"
)


def run_python(*arguments: str, emulator: tuple[str, ...] = (), **environment: str) -> str:
    command = [*emulator, sys.executable, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=BARE | environment
    )
    return done.stdout


def test_hashes_are_of_this_version():
    assert GOLDEN["version"] == RESULTS_VERSION, "new results need new hashes, and the reverse"


@portably
def test_here():
    assert golden.hashes() == GOLDEN["sha256"]


@portably
def test_from_a_bare_environment_with_more_threads():
    threads = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    assert json.loads(run_python(golden.__file__, "2", **threads)) == GOLDEN["sha256"]


@portably
@pytest.mark.skipif(QEMU is None, reason="needs qemu-x86_64 (Debian: qemu-user)")
@pytest.mark.parametrize("processor", ["Haswell", "EPYC-Rome"])
def test_on_another_processor(processor):
    found = run_python(golden.__file__, "1", emulator=(str(QEMU), "-cpu", processor))
    assert json.loads(found) == GOLDEN["sha256"]


CHECK = "{}import dtlib.runtime.fingerprint as f; print(f.arithmetic())"


@portably
@pytest.mark.parametrize("first", ["", "import scipy.stats, joblib, matplotlib; "])
def test_settled_when_dtlib_comes_first(first):
    assert run_python("-c", CHECK.format("import dtlib; " + first)) == "portable\n"


@pytest.mark.parametrize(
    "said, found", [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")]
)
def test_waiting_threads_leave_their_core_to_others(said, found):
    code = "import dtlib, os; print(os.environ['OMP_WAIT_POLICY'])"
    assert run_python("-c", code, **said) == f"{found}\n"


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_too_late_is_said_in_one_line(library):
    code = f"import {library}, sys; sys.stderr = sys.stdout; import dtlib"
    said = run_python("-c", code).splitlines()
    assert len(said) == 1 and said[0].startswith("dtlib: ") and "Import dtlib first" in said[0]
    assert run_python("-c", code, **PORTABLE) == run_python("-c", code, **{SWITCH: "native"}) == ""
