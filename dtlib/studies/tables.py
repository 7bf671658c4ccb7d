"""What is committed under a name: runs of an experiment, or a table that is of no runs."""

from dtlib.experiments import grids
from dtlib.experiments.experiment import Experiment
from dtlib.studies import corrected, demand, effect_of_m, mechanisms, readings, references
from dtlib.studies.measured_table import MeasuredTable

MEASURED = {
    study.TABLE.name: study.TABLE
    for study in (readings, references, mechanisms, effect_of_m, demand, corrected)
}
"""The second kind, by name."""


def find(name: str) -> Experiment | MeasuredTable:
    """Return the table of no runs of that name, or else the experiment as in :func:`.grids.find`.

    Raises:
        ConfigError: there is neither.
    """
    return MEASURED.get(name) or grids.find(name, beside=MEASURED)
