"""Files are written whole or not at all, and read only if they are what they should be."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from dtlib.runtime import files, paths, reading
from dtlib.runtime.errors import FileError
from dtlib.runtime.files import write_text, write_whole
from dtlib.runtime.reading import Damaged, parse_json, read_text


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


def test_a_pipe_or_device_is_not_replaced(tmp_path):
    os.mkfifo(pipe := tmp_path / "pipe")
    (link := tmp_path / "link").symlink_to("/dev/null")
    for path in (pipe, link):
        with pytest.raises(FileError, match=r"cannot be written \(is no regular file\)"):
            write_text(path, "text")
    assert pipe.is_fifo() and link.is_symlink() and len(list(tmp_path.iterdir())) == 2


def test_unwritable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        write_text(tmp_path / "file" / "x" / "history.csv", "")
    with pytest.raises(FileError, match="cannot be written"):
        write_text(tmp_path / ("x" * 300), "")


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO])
def test_a_disk_that_refuses_is_one_line_and_keeps_what_was_there(
    tmp_path, monkeypatch, call, code
):
    path = tmp_path / "history.csv"
    write_text(path, "old")

    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, refuse)
        with pytest.raises(FileError) as told:
            write_text(path, "new")
    assert str(told.value) == f"{path}: cannot be written ({os.strerror(code)})"
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["history.csv"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_have_the_mode_that_the_umask_allows(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "history.csv", "")
        write_whole(tmp_path / "other", lambda aside: (aside.touch(), aside.chmod(0o400)))
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


def test_no_link_is_followed(tmp_path):
    target, path = tmp_path / "target", tmp_path / "run" / "history.csv"
    target.write_text("mine")
    path.parent.mkdir()
    path.symlink_to(target)
    for place in (f".{path.name}.{os.getpid()}.part", f".dtlib-{files._HOST}-{os.getpid()}-0.part"):
        (path.parent / place).symlink_to(target)
    write_text(path, "new")
    assert target.read_text() == "mine" and path.read_text() == "new" and not path.is_symlink()


def test_what_killed_processes_left_is_removed_by_the_next_write(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {
        f".dtlib-{files._HOST}-{dead.pid}-{'0' * 16}.part": False,
        f".dtlib-{files._HOST}-{os.getpid()}-{'1' * 16}.part": True,
        f".dtlib-{'f' * 8}-{dead.pid}-{'2' * 16}.part": True,
        ".thesis.tex.part": True,
    }
    for name in names:
        (tmp_path / name).write_text("half")
    write_text(tmp_path / "history.csv", "")
    left = {*os.listdir(tmp_path)} - {"history.csv"}
    assert left == {name for name, stays in names.items() if stays}
    old = tmp_path / f".dtlib-{'f' * 8}-{dead.pid}-{'2' * 16}.part"
    os.utime(old, (0, 0))
    os.utime(tmp_path / ".thesis.tex.part", (0, 0))
    files.remove_leftovers(tmp_path)
    assert not old.exists() and (tmp_path / ".thesis.tex.part").exists()


@pytest.fixture
def tiny_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        allowed = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        allowed = False
    if not allowed:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(tiny_disk):
    import torch

    from dtlib.runtime.checkpoint import load_checkpoint, save_checkpoint

    path = tiny_disk / "run" / "history.csv"
    write_text(path, "old")
    save_checkpoint(tiny_disk / "c.safetensors", {"a": torch.zeros(9)}, {})
    for write in (
        lambda: write_text(path, "x" * 100_000),
        lambda: save_checkpoint(tiny_disk / "c.safetensors", {"a": torch.zeros(99_999)}, {}),
        lambda: write_text(tiny_disk / "new" / "history.csv", "x" * 100_000),
    ):
        with pytest.raises(FileError, match="No space left on device") as told:
            write()
        assert "\n" not in str(told.value)
    kept = sorted(file for file in tiny_disk.rglob("*") if file.is_file())
    assert kept == [tiny_disk / "c.safetensors", path]
    assert path.read_text() == "old"
    assert load_checkpoint(tiny_disk / "c.safetensors")[0]["a"].shape == (9,)


def test_a_path_is_shown_whole_where_there_is_no_working_folder(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert paths.relative(tmp_path / "run") == str(tmp_path / "run")


# --- reading ------------------------------------------------------------------------------------


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(Damaged, match="no regular file"):
            read_text(path)
    assert read_text(tmp_path / "absent") is None


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_is_no_name_of_a_file_is_one_line(tmp_path, name):
    with pytest.raises(FileError, match="^'[^\n]*: is no name of a file [^\n]*$"):
        read_text(tmp_path / name)


def test_what_may_not_be_read_is_not_taken_for_damaged(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(reading.os, "open", refuse)
    with pytest.raises(FileError, match=r"file: cannot be read \(Permission denied\)") as told:
        read_text(tmp_path / "file")
    assert not isinstance(told.value, Damaged)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "null", "{", '{"a": 1', "[" * 100_000, '{"a":' * 100_000, "9" * 9999]
)
def test_json_that_holds_no_object(tmp_path, text):
    with pytest.raises(Damaged, match=f"^{tmp_path}: [^\n]*$"):
        parse_json(tmp_path, text)
