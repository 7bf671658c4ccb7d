"""A figure's page: every number comes from rows, settings and manifests."""

import math
import re
from dataclasses import replace

import nbformat
import pytest

from dtlib import ConfigError, EnvConfig, notebook
from dtlib.experiments import committed, grids, results
from dtlib.experiments.results import ENERGY, FAILED
from dtlib.report import page, phrases, scales, stories
from dtlib.report.shown import load, training_hours
from dtlib.report.stories import STORIES
from dtlib.runtime import paths
from dtlib.studies import tables as measured
from dtlib.verdicts import scoreboard, words

NAMES = list(STORIES)
NOTEBOOKS = sorted(paths.notebooks().glob("fig*.ipynb"))


@pytest.fixture(scope="module", params=NAMES)
def shown(request):
    """Committed rows: nothing is trained."""
    return load(request.param, "quick")


def test_three_lines(shown):
    text = page.lines(shown).data
    assert re.findall(r"^\*\*([^*]+)\*\*", text, re.M) == ["The paper says", "Here", "Because"]
    here = text.split("**Here**")[1]
    assert re.search(r"\d", here) and not re.search(r"\bnan\b|inf\b", text)


def test_verdicts_end_the_second_line_where_all_that_is_judged_is_shown():
    shown = load("fig07_08", "companion")
    assert "The paper's sentences: <span" in page.lines(shown).data
    assert "2 contradicted</span>" in page.lines(shown).data
    for other in (load("fig07_08", "quick"), replace(shown, runs=shown.runs[1:])):
        assert "The paper's sentences" not in page.lines(other).data


def test_a_turn_between_the_ends_is_told():
    """Energy rises up to 35 users, and falls to 40; failures rise at each step."""
    shown = load("fig07_08", "companion")
    text = page.lines(shown).data.replace("\xa0", " ")
    assert "0.252 → 0.951 → 0.834 mJ at K = 10, 35, 40. Failed requests: 1.07 → 88.4 %" in text


def test_a_single_point_has_no_trend_to_explain(shown):
    if shown.experiment.axes:
        at = shown.measured["x"] == shown.points(ENERGY).index[0]
        alone = replace(shown, measured=shown.measured[at])
        assert "**Because**" not in page.lines(alone).data


def test_the_papers_sentences_stand_beside_ours(shown):
    lines = page.beside(shown).data.splitlines()
    assert len(lines) == 2 + len(STORIES[shown.experiment.name].sentences)
    assert {line.count("|") for line in lines} == {4}


def test_both_rewards_stand_beside_the_highest():
    """At the end of training and on held-out worlds, where the verdict on r_c is another one."""
    (row,) = [line for line in page.beside(load("fig04_06", "companion")).data.splitlines()
              if "has the highest reward" in line]  # fmt: skip
    ended, new = row.split("held-out worlds")
    assert "$r_c$ Beta-HAPPO\xa0−1.95" in ended and "$r_g$" in ended and "$r_g$" in new
    assert "$r_c$ Beta-HAPPO\xa0−1.94, Gaussian-HAPPO\xa0−1.89" in new


def test_numbers_follow_the_rows(shown):
    changed = shown.data.assign(**{ENERGY: 7 * shown.data[ENERGY]})
    measured = shown.measured.assign(**{ENERGY: 7 * shown.measured[ENERGY]})
    other = replace(shown, data=changed, measured=measured)
    assert page.beside(other).data != page.beside(shown).data


def test_what_differs_is_read_from_the_settings(shown):
    text = page.differences(shown).data
    assert "| `frames`: Q, frames in an episode (Table I) | 50 | 10 |" in text
    assert "| 150 | " in text and "`data_bits`" not in text and "`num_bs`" not in text
    learners = {run.config.algorithm for run in shown.runs if not run.baseline}
    assert ("Gaussian-HAPPO: 0.001" in text) == ("gaussian-happo" in learners)
    asked = load(shown.experiment.name, "quick", jobs=3)
    assert asked.jobs == 3
    paper = replace(shown, preset="paper", runs=shown.experiment.runs("paper", 1), jobs=1)
    assert "`" not in page.differences(paper).data.split("---")[-1].replace("`paper`", "")


def test_a_learner_with_fewer_seeds_is_named():
    shown = load("fig04_06", "companion")
    most = shown.data["seed"].nunique()
    assert f"| seeds of each learner | not stated | {most} |" in page.differences(shown).data
    fewer = replace(shown, data=shown.data.query("algorithm != 'maddpg' or seed == 0"))
    assert f"| {most} (MADDPG: 1) |" in page.differences(fewer).data


def test_a_setting_of_one_learner_has_its_value_alone():
    box = page.differences(load("fig04_06", "companion")).data
    assert "| `updates_per_frame`: MADDPG: updates after each frame | 25 | 2 |" in box
    assert "(Table I) | 25 | 10 (Gaussian-HAPPO: 5) |" in box


def test_slices_are_no_reason_where_there_are_none(monkeypatch):
    shown = load("fig11", "quick")
    assert "slice" in page.lines(shown).data.split("**Because**")[1]
    divided = shown.env.replace(cpu_sharing="served")
    monkeypatch.setattr(type(shown), "env", property(lambda _: divided))
    assert "**Because**" not in page.lines(shown).data


def test_there_is_nothing_to_compare_without_the_paper_preset(shown):
    alone = replace(shown, experiment=replace(shown.experiment, seeds={"smoke": 1}))
    assert page.differences(alone).data == ""


def test_the_command_runs_and_says_how_long(shown):
    text = page.again(shown).data
    names = {path.stem: notebook.defaults(path) for path in NOTEBOOKS}
    (name,) = set(re.findall(r"dtlib notebook (\w+)", text))
    for key, value in re.findall(r"-p (\w+) \"(.+)\"", text):
        notebook.parse(key, value, names[name])
    spent = sum(fact.get("seconds_of_training", 0) for fact in shown.facts.values())
    minutes = int(re.search(r"another setting: about (\d+) min", text)[1])
    assert minutes - 1 < spent / 2 / 60 <= minutes
    part = replace(shown, runs=shown.runs[:1])
    (fact,) = part.facts.values()
    minutes = math.ceil(fact["seconds_of_training"] * len(shown.runs) / 2 / 60)
    assert f"# with another setting: about {minutes} min" in page.again(part).data, "all are made"
    assert ("at another point" in text) == bool(shown.experiment.axes)


def test_only_what_is_drawn_is_described(shown):
    """And who of the learners was trained for less."""
    text = page.drawn(shown).data
    for name, rule in page.RULES.items():
        assert (rule in text) == (name in set(shown.data["algorithm"]))
        assert (
            rule not in page.drawn(replace(shown, data=shown.data.query("algorithm != @name"))).data
        )
    assert ("episodes, MADDPG for 15" in text or "episodes, MADDPG for 20" in text) == (
        "maddpg" in shown.learners
    )


def test_hours_are_of_all_episodes():
    """MADDPG ran 20 of 150 in 3431 to 4301 s."""
    hours = training_hours("published", "paper")
    assert [min(hours["maddpg"]), max(hours["maddpg"])] == pytest.approx([7.147, 8.960], abs=1e-3)
    assert max(hours["beta-happo"]) == pytest.approx(2197 / 3600)


def test_learners_are_compared_after_as_many_slots():
    shown = load("fig04_06", "companion")
    text = phrases.equal_slots(shown)
    assert "MADDPG is trained for 50,000 slots, Beta-HAPPO for 300,000." in text
    assert "$r_g$ is Beta-HAPPO\xa0−90.1 and MADDPG\xa0−1053" in text
    assert "1.18\xa0mJ" in text and "44.5\xa0%" in text and "saves 71.4\xa0%" in text
    rest = shown.data.query("algorithm != 'maddpg' or seed == 0")
    paired = replace(shown, data=shown.data.query("seed == 0"))
    assert phrases.equal_slots(replace(shown, data=rest)) == phrases.equal_slots(paired) != text
    alike = replace(shown, data=shown.data.query("x <= 50000"))
    assert phrases.equal_slots(alike) == ""


def test_savings_are_told_as_the_paper_measures_them_and_on_held_out_worlds():
    """The numbers of the scoreboard's two lines."""
    text = str(page.beside(load("fig04_06", "companion")).data).replace("\xa0", " ")
    training, held_out = text.split("at the end of training", 1)
    kept = scoreboard.kept("claims.csv")
    lines = kept[kept["the paper says"].str.contains("needs less energy than")]
    for row in lines.to_dict("records"):
        (told,) = re.findall(r": (\S+ % \[[^]]+\])", row["measured, companion"])
        other = row["the paper says"].removesuffix(".").rpartition(" ")[2]
        part = training if row["measured on"] == "end of training" else held_out
        assert f"{other} {words.minus(told)}" in part, row


def test_giving_up_is_told_beside_rules_of_the_same_network():
    shown = load("fig13_14", "companion")
    text = page.lines(shown).data
    said = text.replace("\xa0", " ").partition("Training serves less than the network allows: ")[2]
    assert said == (
        "at K = 50 *demand or silence*, which learns nothing, fails in 93.1 % of the requests, "
        "Beta-HAPPO in 99.98."
    )
    alone = shown.measured.query("algorithm != 'demand-or-silence'")
    assert "Training serves" not in page.lines(replace(shown, measured=alone)).data


def test_each_column_to_download_is_described():
    """But for what is swept, which has the name of a setting, and what the updates did."""
    text = (paths.results().parent / "book" / "run_it_yourself.md").read_text(encoding="utf-8")
    described = set(
        re.findall(r"`(\w+)`", text.partition("(columns)=")[2].partition("(versions)=")[0])
    )
    sweep = results.table("companion", "fig07_08")
    tables = [
        results.table("companion", "fig04_06", name) for name in ("evaluation.csv", "users.csv")
    ]
    columns = {column for table in (sweep, *tables) for column in table}
    assert columns - described <= set(EnvConfig.model_fields) | {"figure"}


def test_each_name_that_is_no_figure_of_the_paper_is_described():
    text = (paths.results().parent / "book" / "run_it_yourself.md").read_text(encoding="utf-8")
    beyond = [each.name for each in grids.EXPERIMENTS.values() if not each.of_the_paper]
    assert not [name for name in [*beyond, *measured.MEASURED] if f"`{name}`" not in text]


def test_downloads_exist(shown):
    text = page.downloads(shown).data
    links = dict(re.findall(r"\[([^]]+)\]\(([^)]+)\)", text))
    tables = committed.tables_of(shown.experiment)
    csv = [said for said, name in page.TABLES.items() if name in tables]
    assert list(links) == [*csv, "settings and times", "PNG", "SVG", "PDF"]
    assert all((paths.notebooks() / link).is_file() for link in links.values())


def test_without_committed_data(tmp_path, monkeypatch):
    known = load("fig10", "quick")
    monkeypatch.setattr(paths, "results", lambda: tmp_path)
    monkeypatch.setattr(paths, "pictures", lambda: tmp_path)
    bare = replace(known, preset="smoke")
    assert page.downloads(bare).data == "No data are committed for the preset `smoke`."
    assert "not measured yet" in page.again(bare).data


def test_values_where_nothing_is_swept():
    with pytest.raises(ConfigError, match="values of values: fig04_06 sweeps nothing"):
        load("fig04_06", "quick", values=[3])


def test_scales():
    assert scales.slice_seconds(15e3, 550, EnvConfig(num_users=58)) == pytest.approx(0.04785)
    assert scales.too_big(EnvConfig(num_users=28)) == 0 < scales.too_big(EnvConfig(num_users=29))
    one = EnvConfig(num_bs=1)
    assert scales.nearest_metres(one) == pytest.approx(382.6, abs=0.1), "to the middle of a square"
    assert scales.nearest_metres(one.replace(num_bs=4)) == pytest.approx(191.3, abs=0.1)


def test_slices_are_told_by_what_is_swept():
    """Another axis than the number of users has its own name and unit."""
    data = load("fig10", "quick")
    assert "of the requests at λ = 0.3, 0.7" in stories._slices(data).replace("\xa0", " ")


def test_of_one_seed_no_spread_is_told():
    """Nor is anything told of rules where none was run."""
    shown = load("fig12", "companion")
    assert re.search(r"; seeds at one η differ by up to 0\.\d+ mJ\.$", near_the_rule(shown))
    one = replace(shown, measured=shown.measured.query("seed == 0"))
    assert re.search(r"the energy changes by −?0\.\d+ mJ\.$", near_the_rule(one))
    learnt = replace(shown, measured=shown.measured.query("algorithm == 'beta-happo'"))
    assert near_the_rule(learnt) == ""


def near_the_rule(shown):
    return stories._near_the_rule(shown).replace("\xa0", " ")


def test_interference_is_named_where_a_request_needs_more():
    shown = load("fig10", "companion")
    text = stories._per_request(shown)
    times = float(re.search(r"each needs ([\d.]+) times", text)[1])
    assert times > 1 and text.endswith(
        "times the energy, as more users send at once and interfere."
    )
    falls = shown.measured.assign(**{ENERGY: 1 / shown.measured["x"]})
    assert stories._per_request(replace(shown, measured=falls)).endswith("times the energy.")


def test_sizes_in_megabits_alone_are_told():
    shown = load("fig11", "companion")
    printed = replace(shown, measured=shown.measured.query("x >= 1e5"))
    here = stories.STORIES["fig11"].here(printed)
    assert here.startswith("Beta-HAPPO needs ") and "needs not run" not in here


def test_energy_in_the_reward_is_told_in_its_scale():
    shown = load("fig04_06", "companion")
    (run,) = shown.runs[:1]
    printed = replace(run, config=run.config.replace(env={"objective_scale": "letter"}))
    shares = [
        float(re.search(r"of which −([\d.]+) is energy", stories._queues_decide(one))[1])
        for one in (shown, replace(shown, runs=[printed]))
    ]
    assert shares[0] == pytest.approx(run.config.env.slots * shares[1], rel=0.01)


def test_phrases():
    assert words.listed(["a"]) == "a" and words.listed(["a", "b", "c"]) == "a, b and c"
    assert [words.number(x) for x in (-0.0123, 1.234, 23456.7)] == ["−0.0123", "1.23", "23457"]
    assert [words.number(x) for x in (999.4, 999.6, -999.9)] == ["999", "1000", "−1000"]
    assert phrases.each({"maddpg": float("nan"), "beta-happo": 1.0}) == "Beta-HAPPO\xa01"
    users = load("fig07_08", "quick")
    medians = users.points(FAILED)
    assert phrases.path(users, FAILED).startswith(words.number(100 * medians.iloc[0]))
    alone = replace(users, data=users.data.query("algorithm == 'beta-happo'"))
    assert phrases.lowest_at(alone, ENERGY) == "not compared, as no other learner was run"
    assert [phrases.seeds(count) for count in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]


def test_every_figure_takes_the_same_parameters():
    known = [notebook.defaults(path) for path in NOTEBOOKS]
    assert len(known) == sum(grids.find(name).of_the_paper for name in STORIES)
    assert {tuple(one) for one in known} == {("preset", "seeds", "values", "settings", "jobs")}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_are_described(path):
    cells = nbformat.read(path, as_version=4).cells
    drawn = [cell.metadata for cell in cells if "plt.show()" in cell.source]
    assert drawn and all(len(one["mystnb"]["image"]["alt"]) > 80 for one in drawn)
    code = [cell for cell in cells if cell.cell_type == "code"]
    folded = {"hide-input", "hide-cell", "remove-input"}
    assert all(folded & set(cell.metadata.get("tags", ())) for cell in code)
