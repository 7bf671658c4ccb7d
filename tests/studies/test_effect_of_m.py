"""How far M moves an update: M is what is changed, no more, at the end of the run of each point."""

import torch
from tiny import own_folders  # noqa: F401

from dtlib import TrainConfig
from dtlib.experiments import results, store
from dtlib.experiments.grids import find
from dtlib.studies import effect_of_m
from dtlib.training.loop import Trainer
from dtlib.training.run_folder import take_up

CONFIG = TrainConfig.from_preset("smoke", algorithm="beta-happo")


def test_an_effect_is_a_distance_by_the_length_without_m(monkeypatch):
    changes = {
        ("beta-mappo", 0, 0): [2.0, 0.0], ("beta-happo", 0, 0): [2.0, 1.0],
        ("beta-happo", 0, 1): [2.0, 4.0], ("beta-mappo", 1, 0): [10.0, 0.0],
    }  # fmt: skip
    monkeypatch.setattr(
        effect_of_m, "_change",
        lambda trainer, who, *, number, order=0: torch.tensor(changes[who, number, order]),
    )  # fmt: skip
    assert effect_of_m.update_effects(Trainer([CONFIG])) == {
        "effect_of_m": 0.5, "effect_of_order": 1.5, "effect_of_data": 4.0,
    }  # fmt: skip


def test_effects_begin_at_the_same_place_and_change_nothing():
    trainer = Trainer([CONFIG])
    trainer.episode()
    before = {name: array.clone() for name, array in trainer.state(0).items()}
    first, again = (effect_of_m.update_effects(trainer) for _ in range(2))
    assert first == again and all(value > 0 for value in first.values())
    assert all(torch.equal(before[name], array) for name, array in trainer.state(0).items())


def test_without_a_limit_to_m_there_is_no_effect():
    """With |log M| held at nearly nothing, HAPPO's update is MAPPO's, in any order."""
    trainer = Trainer([CONFIG.replace(max_log_factor=1e-9)])
    found = effect_of_m.update_effects(trainer)
    assert max(found["effect_of_m"], found["effect_of_order"]) < 1e-4 < found["effect_of_data"]


def test_table_has_each_point_at_the_end_of_its_run():
    table = effect_of_m.TABLE.read("smoke", jobs=1)
    points = {name: list(rows["x"].unique()) for name, rows in table.groupby("figure")}
    assert points == {"fig07_08": [4, 6], "fig09": [2, 3]}
    (planned,) = (
        run for run in find("fig09").runs("smoke")
        if run.algorithm == "beta-happo" and run.at == {"num_bs": 3}
    )  # fmt: skip
    trainer = Trainer([planned.config])
    take_up(store.folder(planned.config, planned.episodes), trainer, 0)
    assert len(trainer.rows[0]) == planned.episodes
    row = table.query("figure == 'fig09' and x == 3").iloc[0]
    assert dict(row[3:]) == effect_of_m.update_effects(trainer)
    folder = effect_of_m.TABLE.write("smoke", jobs=1)
    assert results.read(folder, results.DATA, effect_of_m.TABLE.key("smoke", None)) is not None
