"""What a user is told, as tests read it."""

import pytest
from click.testing import CliRunner, Result

from dtlib import ConfigError
from dtlib.cli import main

SMALL = ["--preset", "smoke", "--set", "episodes=1", "--set", "env.num_users=3", "--quiet"]
"""Options of ``dtlib train`` for a run of a second."""


def call(*arguments: object) -> Result:
    """Return what the command line answers."""
    return CliRunner().invoke(main, [str(one) for one in arguments])


def refused(*arguments: object) -> str:
    """Return the one line with which the command line refuses."""
    result = call(*arguments)
    assert result.exit_code == 2
    lines = result.output.strip().splitlines()
    assert len(lines) == 1, result.output
    return lines[0]


def one_line(make, shorter_than):
    """Return the one line with which settings are refused."""
    with pytest.raises(ConfigError) as caught:
        make()
    text = str(caught.value)
    assert len(text.splitlines()) == 1 and len(text) < shorter_than
    return text
