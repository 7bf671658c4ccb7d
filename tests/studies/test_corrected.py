"""Policies put right: only what is said changes, and the table is of the runs that it names."""

import pytest
import torch
from tiny import own_folders  # noqa: F401

from dtlib import EnvConfig, TrainConfig, sample_world
from dtlib.agents.policies import Policies
from dtlib.experiments import results
from dtlib.experiments.baseline import on_demand
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.kernels.distributions import beta_parameters
from dtlib.model.simulator import initial_carry
from dtlib.runtime.seeds import seeded
from dtlib.studies import corrected
from dtlib.training import evaluation

ENV = EnvConfig(num_users=45, num_bs=2, frames=1)


@pytest.fixture(autouse=True)
def short_worlds(monkeypatch):
    monkeypatch.setattr(evaluation, "EVALUATION_FRAMES", 2)


def test_only_what_is_said_changes():
    world = sample_world(ENV, 0)
    loud = Policies(TrainConfig(env=ENV), seeded("weights", 0))
    rule = on_demand(ENV, "demand-or-silence")
    carry = initial_carry(world)
    own, sent = (policy.act(world, carry=carry, env=ENV) for policy in (loud, rule))
    found = corrected.Silenced(loud, rule).act(world, carry=carry, env=ENV)
    silent = (sent.power == 0) & (own.power > 0)
    assert silent.any() and not found.power[silent].any()
    assert torch.equal(found.power[~silent], own.power[~silent])
    whole = corrected.WholeSlice(loud).act(world, carry=carry, env=ENV)
    assert (whole.cpu_share == 1).all() and not (own.cpu_share == 1).any()
    for changed, names in ((found, ["cpu_share"]), (whole, ["power"])):
        for name in (*names, "wired_share", "deployment"):
            assert torch.equal(getattr(changed, name), getattr(own, name)), name


def test_each_way_does_what_it_is_called(monkeypatch):
    loud, asked = Policies(TrainConfig(env=ENV), seeded("weights", 0)), []
    rule = on_demand(ENV, "demand-or-silence")
    found = corrected.ways(loud, rule)
    assert found["as trained"] is loud and found["modes, not means"].modes
    whole, silenced, both = (found[f"{of}silenced" if of != "whole slices" else of]
                             for of in ("whole slices", "", "whole slices, "))  # fmt: skip
    assert isinstance(whole, corrected.WholeSlice) and whole.policy is loud
    assert silenced.policy is loud and silenced.rule is rule and both.rule is rule
    assert isinstance(both.policy, corrected.WholeSlice) and both.policy.policy is loud
    borrowed = monkeypatch.setattr(
        corrected, "on_demand", lambda *of: (asked.append(of[1]), rule)[1]
    )
    assert borrowed is None and len([*corrected.measure_ways(loud, ENV, 1)]) == 5
    assert asked == ["demand-or-silence"]


@pytest.mark.parametrize("algorithm", ["beta-happo", "gaussian-happo"])
def test_modes_are_where_a_density_is_largest(algorithm):
    """Of Beta distributions with one peak; a Gaussian's mode is its mean."""
    config = TrainConfig.from_preset("smoke", algorithm=algorithm)
    policies = Policies(config, seeded("weights", 0))
    world = sample_world(config.env, 0)
    mean, mode = policies.decide(world), policies.by_modes().decide(world)
    seen = mean.user_obs.flatten(1, 2)
    raw = policies.users(seen).view(*mean.power_unit.shape, -1)
    if algorithm == "gaussian-happo":
        assert torch.equal(mode.power_unit, mean.power_unit)
        return
    first, second = (beta_parameters(part).unsqueeze(-1) for part in raw.unbind(-1))
    grid = torch.linspace(0.0005, 0.9995, 1000)
    peak = grid[torch.distributions.Beta(first, second).log_prob(grid).argmax(-1)]
    sent = mean.sending
    assert (mode.power_unit[sent] - peak[sent]).abs().max() < 2e-3
    assert not torch.equal(mode.power_unit, mean.power_unit)
    assert not policies.modes, "the policies themselves are as they were"


def test_table_is_of_each_run_in_each_way():
    table = corrected.TABLE.read("smoke", jobs=1)
    whose = [("beta-happo", 4), ("beta-happo", 6), ("gaussian-happo", 4), ("gaussian-happo", 6)]
    assert table.groupby(["algorithm", "num_users"]).size().to_dict() == dict.fromkeys(whose, 5)
    own, _, whole, silenced, both = (part for _, part in table.groupby("done", sort=False))
    for done, part in (("as trained", own), ("silenced", silenced)):
        failed = corrected.of_both(table, done)[FAILED]
        assert [*failed.index] == [(4, 0), (6, 0)]
        assert {*failed.stack()} == {*100 * part[FAILED]}, "of two users in four runs"
    assert [*whole[ENERGY]] == [*own[ENERGY]] and [*both[ENERGY]] == [*silenced[ENERGY]]
    assert (whole[FAILED].to_numpy() <= own[FAILED].to_numpy()).all()
    folder = corrected.TABLE.write("smoke", jobs=1)
    assert results.read(folder, results.DATA, corrected.TABLE.key("smoke", None)) is not None
