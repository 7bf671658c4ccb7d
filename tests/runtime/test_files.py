"""Files are written whole or not at all."""

import os

import pytest

from dtlib.runtime.errors import FileError
from dtlib.runtime.files import write_text, write_whole


def test_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "history.csv"
    write_text(path, "old")

    def fail(aside):
        aside.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["history.csv"]


def test_unwritable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        write_text(tmp_path / "file" / "x" / "history.csv", "")
