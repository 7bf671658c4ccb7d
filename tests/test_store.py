"""The store: one folder per content, finished runs are loaded, damaged ones are set aside."""

import pytest

from dtlib import TrainConfig, store
from dtlib.checkpoint import FileError
from dtlib.training import CHECKPOINT

TINY = TrainConfig.from_preset("smoke", episodes=2, env={"num_users": 3, "num_bs": 2})


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))


def test_key_is_content():
    assert store.key(TINY) == store.key(TINY.replace())
    others = [TINY.replace(seed=1), TINY.replace(env={"request_prob": 0.4}), TINY.replace(clip=0.1)]
    assert len({store.key(one) for one in [TINY, *others]}) == 4


def test_key_changes_with_the_code(monkeypatch):
    before = store.key(TINY)
    monkeypatch.setattr(store, "RESULTS_VERSION", -1)
    assert store.key(TINY) != before


def test_finished_runs_are_not_trained_again():
    assert store.episodes_done(TINY) == 0
    run = store.get(TINY)
    assert store.episodes_done(TINY) == 2
    stamp = (store.folder(TINY) / CHECKPOINT).stat().st_mtime_ns
    assert store.get(TINY).history.equals(run.history)
    assert (store.folder(TINY) / CHECKPOINT).stat().st_mtime_ns == stamp


def test_damaged_run_is_set_aside():
    run = store.get(TINY)
    checkpoint = store.folder(TINY) / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    again = store.get(TINY)
    assert again.history["reward_global"].equals(run.history["reward_global"])
    names = {one.name for one in store.folder(TINY).parent.iterdir() if one.is_dir()}
    assert names == {store.folder(TINY).name, f"{store.folder(TINY).name}.damaged0"}


def test_store_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "file"))
    with pytest.raises(FileError, match="cannot be written"):
        store.get(TINY)
