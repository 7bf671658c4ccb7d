"""What a user is told, as tests read it."""

import pytest

from dtlib import ConfigError


def one_line(make, shorter_than):
    """Return the one line with which settings are refused."""
    with pytest.raises(ConfigError) as caught:
        make()
    text = str(caught.value)
    assert len(text.splitlines()) == 1 and len(text) < shorter_than
    return text
