"""The store: one folder per content, finished runs are loaded, damaged ones are set aside."""

import json

import pytest

from dtlib import TrainConfig
from dtlib.experiments import datasets, measurements, provenance, store
from dtlib.experiments.experiment import PlannedRun
from dtlib.experiments.keys import config_key
from dtlib.runtime.errors import FileError
from dtlib.training import train as train_of
from dtlib.training.run_folder import CHECKPOINT

TINY = TrainConfig.from_preset("smoke", episodes=2, env={"num_users": 3, "num_bs": 2})


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))


def held_out(config, episodes):
    planned = PlannedRun(variant="tiny", config=config, episodes=episodes, worlds=1)
    return measurements.evaluation(planned, "held-out").worlds


def test_finished_runs_are_not_trained_again():
    assert store.episodes_done(TINY) == 0
    run = store.get(TINY)
    assert store.episodes_done(TINY) == 2
    stamp = (store.folder(TINY) / CHECKPOINT).stat().st_mtime_ns
    assert store.get(TINY).history.equals(run.history)
    assert (store.folder(TINY) / CHECKPOINT).stat().st_mtime_ns == stamp


def test_a_run_that_went_further_is_not_taken_for_a_shorter_one():
    """Whatever the order in which experiments ask for more and for fewer episodes of a run."""
    longer = TINY.replace(episodes=3)
    short = store.get(longer, 1).policies.users.flat.clone()
    first = held_out(longer, 1)
    whole = store.get(longer)
    assert not whole.policies.users.flat.equal(short)

    for path in store.folder(longer).glob("1-*"):
        path.unlink()
    again = store.get(longer, 1)
    assert len(again.history) == 1 and again.policies.users.flat.equal(short)
    assert held_out(longer, 1).equals(first)
    assert len(store.history(longer, 2)) == 2 and store.episodes_done(longer) == 3
    assert store.get(longer).policies.users.flat.equal(whole.policies.users.flat)


def test_what_is_there_before_learning_is_not_taken_for_the_whole_run():
    before = held_out(TINY, 0)
    after = held_out(TINY, 2)
    assert store.episodes_done(TINY) == 2 and not after.equals(before)
    assert held_out(TINY, 0).equals(before)


def test_damaged_run_is_set_aside():
    run = store.get(TINY)
    checkpoint = store.folder(TINY) / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    again = store.get(TINY)
    assert again.history["reward_global"].equals(run.history["reward_global"])
    names = {path.name for path in store.folder(TINY).parent.iterdir() if path.is_dir()}
    assert names == {store.folder(TINY).name, f"{store.folder(TINY).name}.damaged0"}


def test_rows_that_are_there_are_read_though_another_process_goes_on(monkeypatch):
    """Between two looks it adds an episode: nothing is trained again beside the run."""
    store.get(TINY, 1)
    done, train = store.episodes_done, store.train

    def went_on(config):
        found = done(config)
        train(config, store.folder(config))
        return found

    monkeypatch.setattr(store, "episodes_done", went_on)
    assert len(store.history(TINY, 1)) == 1
    assert not list(store.folder(TINY).glob("first-*")) and done(TINY) == TINY.episodes


def test_a_damaged_run_is_set_aside_where_its_first_rows_are_asked_for(capsys):
    store.get(TINY, 2)
    checkpoint = store.folder(TINY) / CHECKPOINT
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    assert len(store.history(TINY, 1)) == 1
    assert "damaged; kept as " in capsys.readouterr().err
    assert not list(store.folder(TINY).glob("first-*")) and store.episodes_done(TINY) == 2


def test_where_a_run_was_trained(monkeypatch):
    """It says so itself: what trained it, not what reads it later."""
    assert provenance.origin().keys() == {
        "commit", "torch", "processor", "arithmetic", "device"
    }  # fmt: skip
    assert store.made_by(TINY) == {}
    here = {"commit": "abc", "torch": "2.0", "processor": "one"}
    monkeypatch.setattr(provenance, "origin", lambda device: here | {"device": device})
    store.get(TINY, 1)
    here["device"] = "cpu"
    assert store.made_by(TINY) == here and store.made_by(TINY.replace(seed=1)) == {}
    monkeypatch.setattr(provenance, "origin", lambda device: here | {"commit": "def"})
    store.get(TINY)
    store.get(TINY)
    assert store.made_by(TINY) == here, "by whom it was begun"

    place = store.folder(TINY) / store.ORIGIN
    place.write_text("not JSON")
    assert store.made_by(TINY) == {}
    place.unlink()
    store.get(TINY)
    assert store.made_by(TINY) == {}, "of a run that was only read nothing is known"
    checkpoint = store.folder(TINY) / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    store.get(TINY)
    assert store.made_by(TINY)["commit"] == "def", "trained anew"


def test_where_a_run_was_trained_is_known_however_early_it_is_killed(monkeypatch):
    """Right after the last checkpoint, for one."""
    save = train_of.save

    def last(folder, trainer, index):
        save(folder, trainer, index)
        if len(trainer.rows[index]) == TINY.episodes:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_of, "save", last)
        with pytest.raises(KeyboardInterrupt):
            store.get(TINY)
    assert store.episodes_done(TINY) == TINY.episodes
    store.get(TINY)
    assert store.made_by(TINY) == provenance.origin("cpu")


def test_a_manifest_says_where_each_run_was_trained(monkeypatch):
    (planned,) = [PlannedRun(variant="tiny", config=TINY, episodes=2)]
    store.get(TINY)
    place = store.folder(TINY) / store.ORIGIN
    place.write_text(json.dumps({"commit": "abc", "torch": "2.0", "processor": "one"}))
    facts = datasets._facts(planned)
    assert (facts["commit"], facts["torch"], facts["processor"]) == ("abc", "2.0", "one")
    assert facts["sha256"] == config_key(TINY)
    place.unlink()
    assert not {"commit", "torch", "processor"} & datasets._facts(planned).keys()


def test_store_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "file"))
    with pytest.raises(FileError, match="cannot be written"):
        store.get(TINY)
