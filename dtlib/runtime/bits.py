"""Portable arithmetic: the same bits on every x86-64 processor that has AVX2 and FMA.

NumPy, OpenBLAS, torch and MKL choose their code by the processor, once, when they are loaded. Five
variables settle the choice; so this comes before them and imports neither. Processes that are
started from here inherit it. Run as a program, it prints the variables for a shell::

    env $(python -m dtlib.runtime.bits) dask worker …

MKL's functions of a number (``torch.log``, ``torch.tanh`` …) escape these variables, so none is
called: :mod:`dtlib.kernels.portable` has others.

Elsewhere, and with ``DTLIB_ARITHMETIC=native``, nothing is set: equal statistics, other digits.
"""

import os
import platform
import sys

PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4,AVX512_ICL,AVX512_SPR",
}
"""torch's own loops; MKL's factorisations; products and their order; NumPy's loops.
OpenBLAS adds in another order with another number of threads."""
WAITING = ("OMP_WAIT_POLICY", "PASSIVE")
"""Threads of torch that wait for each other leave their core to whoever works beside them. Else a
page that takes 35 s beside two busy processes takes six minutes. It moves no bit."""
SWITCH = "DTLIB_ARITHMETIC"
LATE = (
    "dtlib: {} was imported before dtlib, so results may differ from the committed ones in their "
    "last digits. Import dtlib first, or set {}=native if that is what you want."
)


def wanted() -> dict[str, str]:
    """Return the variables that portable arithmetic needs here; none where it cannot be had."""
    here = platform.machine().lower() in ("x86_64", "amd64")
    native = os.environ.get(SWITCH) == "native"
    return PORTABLE if here and not native and {"avx2", "fma"} <= _flags() else {}


def _flags() -> set[str]:
    """Return what the processor can do; what is needed, where that is not told."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            line = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        line = ""
    return set(line.split()) or {"avx2", "fma"}


def settle() -> None:
    """Set the variables for this process and those it starts; say so if it is too late.

    How threads wait is left as it is where somebody has said it.
    """
    os.environ.setdefault(*WAITING)
    missing = {name: text for name, text in wanted().items() if os.environ.get(name) != text}
    os.environ.update(missing)
    early = [name for name in ("numpy", "torch") if name in sys.modules]
    if missing and early:
        print(LATE.format(" and ".join(early), SWITCH), file=sys.stderr)


if __name__ == "__main__":
    print(*(f"{name}={text}" for name, text in wanted().items()))
