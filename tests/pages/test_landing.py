"""The book's first page: all that it says comes from committed tables."""

import re

import pandas as pd
import pytest

from dtlib.experiments import results
from dtlib.experiments.grids import find
from dtlib.pages import landing, requests
from dtlib.report.stories import STORIES
from dtlib.runtime import paths
from dtlib.runtime.errors import FileError
from dtlib.studies import corrected
from dtlib.studies.measured_table import MeasuredTable
from dtlib.verdicts import checks, claims, scoreboard


def test_findings_are_six_lines_with_numbers():
    lines = landing.findings().data.splitlines()
    assert len(lines) == 6
    assert all(re.search(r"\d", line) and "nan" not in line for line in lines)


def test_the_first_line_counts_each_sentence_that_counts():
    first = landing.findings().data.splitlines()[0]
    counts = scoreboard.counts().set_index("verdict")[claims.JUDGED_PRESETS[0]]
    whole = re.search(
        r"Of the (\d+) .* reproduces (\d+), and (\d+) in .* reproduce (\d+)\. ", first
    )
    assert whole and int(whole[1]) == sum(not claim.uncounted for claim in claims.CLAIMS)
    told = [counts[name] for name in ("reproduced", "reproduced in part", "not reproduced")]
    assert list(map(int, whole.groups()[1:])) == told
    assert len(re.findall(r"Fig\. \d+'s \*", first)) == counts["contradicted"]
    assert "some are in time* (implied, not said)" in first and "“" not in first
    left = counts["not testable"]
    said = f". {left} cannot be judged before more runs are there."
    assert first.endswith(said if left else "(implied, not said).")


def test_readers_of_the_readme_are_told_the_same_counts():
    readme = " ".join((paths.root() / "README.md").read_text(encoding="utf-8").split())
    pattern = (
        r"Section V has (\d+) sentences that can be checked. `companion` reproduces (\d+) of them, "
        r"and (\d+) in part. It does not reproduce (\d+), and it contradicts (\d+)"
    )
    names = ["reproduced", "reproduced in part", "not reproduced", "contradicted"]
    counts = scoreboard.counts().set_index("verdict")["companion"].drop("not counted")
    assert list(map(int, re.search(pattern, readme).groups())) == [sum(counts), *counts[names]]


def test_what_cannot_be_judged_yet_is_counted(monkeypatch):
    known = scoreboard.counts().astype(str)
    known.loc[known["verdict"] == "not testable", claims.JUDGED_PRESETS[0]] = "2"
    monkeypatch.setattr(landing, "kept", lambda name: known)
    monkeypatch.setattr(landing, "_weak", lambda: 6)
    monkeypatch.setattr(landing, "_contradicted", lambda: ["one"])
    assert landing._sentences().endswith(
        "It contradicts one. 2 cannot be judged before more runs are there."
    )


def test_the_second_line_has_what_both_fail_in_where_happo_is_at_home():
    runs = results.table("companion", "unshared", "evaluation.csv").groupby("variant")
    failed = 100 * runs["failure_ratio_requests"].mean()
    said = landing.findings().data.splitlines()[1].replace("\xa0", " ")
    for learner, start in (("beta-happo", "it fails in"), ("beta-mappo", "Beta-MAPPO in")):
        assert f"{start} {failed[f'{learner}, a network each, joint credit']:.3g} %" in said
    assert ": 11.3 [9.1, 13.5] points more." in said


def test_the_fourth_line_has_what_credit_by_difference_makes_of_table_i():
    runs = results.table("paper", "held_back", "evaluation.csv").groupby("variant")
    failed = 100 * runs["failure_ratio_requests"].mean()["credit by difference"]
    said = landing.findings().data.splitlines()[3].replace("\xa0", " ")
    assert said.endswith(f"it fails there in {failed:.3g} % after 20 episodes.")


def test_tests_of_little_power_are_counted():
    rates = scoreboard.kept("claims_rates.csv").query("preset == 'companion'")
    weak = rates[rates["finds, %"].ne("") & ~rates["finds, %"].isin(["100.0"])]
    weak = {row["the paper says"] for row in weak.to_dict("records") if float(row["finds, %"]) < 80}
    verdicts = scoreboard.kept("claims.csv").query("companion == 'not reproduced'")
    count = int(re.search(r"For (\d+) of these the test is weak", landing.findings().data)[1])
    assert 0 < count <= len(weak & set(verdicts["the paper says"]))


def test_findings_follow_the_data(monkeypatch):
    fullest, read = landing.committed.fullest, MeasuredTable.read

    def halved(table):
        return table.assign(**{landing.FAILED: table[landing.FAILED] / 2})

    before = landing.findings().data.splitlines()
    monkeypatch.setattr(landing.committed, "fullest", lambda *which: halved(fullest(*which)))
    monkeypatch.setattr(MeasuredTable, "read", lambda *which: halved(read(*which)))
    after = landing.findings().data.splitlines()
    changed = [one != two for one, two in zip(before, after, strict=True)]
    assert changed == [False, False, False, True, True, True]


@pytest.mark.parametrize("shown", [landing.beside_others, landing.corrected_table])
def test_tables_follow_the_data(monkeypatch, shown):
    fullest, before = landing.committed.fullest, shown().data
    halved = {landing.FAILED: lambda table: table[landing.FAILED] / 2}
    monkeypatch.setattr(landing.committed, "fullest", lambda *of: fullest(*of).assign(**halved))
    assert "nan" not in before and shown().data != before


@pytest.mark.parametrize(
    ("failures", "energy", "said"),
    [
        ((-5, -4, -3), (10, 12, 11), "saves energy against one. Against one it fails less at K"),
        (
            (3, 4, 5),
            (-10, -12, -11),
            "Beta-HAPPO needs more energy against one. Against one it fails more",
        ),
        (
            (-3, 2, 3),
            (-10, 12, 1),
            "is not shown to save energy against one. Against one it fails about",
        ),
    ],
)
def test_what_is_said_of_others_is_what_intervals_tell(monkeypatch, failures, energy, said):
    gaps = {landing._users(30): pd.Series(failures), landing.SAVED: pd.Series(energy)}
    monkeypatch.setattr(landing, "_beside_others", lambda: {"one": gaps})
    assert said in landing._better().replace("\xa0", " ")


def test_what_beta_happo_is_worth_is_what_pages_show():
    """Numbers of the scoreboard, of Figs. 7 and 8, and of the trained agents' table."""
    rows = landing.beside_others().data.replace("\xa0", " ").splitlines()
    (text,) = (row for row in rows if "Gaussian-HAPPO" in row)
    verdicts = scoreboard.kept("claims.csv")
    (saved,) = verdicts[
        verdicts["the paper says"].str.endswith("less energy than Gaussian-HAPPO.")
        & (verdicts["measured on"] == "held-out worlds")
    ]["measured, companion"]
    mean, low, high = re.search(r": (\S+) % \[(\S+), (\S+)\]", saved).groups()
    cells = dict(zip(rows[0].split(" | "), text.split(" | "), strict=True))
    assert cells["energy saved at K = 30 (%) |"] == f"{mean} [{low}, {high}] |"
    found = requests.beside_gaussian(corrected.TABLE.read("companion"))["difference (points)"]
    for users in (35, 40):
        number = found[f"K = {users}", "as trained"].replace("\xa0", " ")
        assert cells[f"more failures at K = {users} (points)"] == number


def test_verdicts_are_the_counts():
    counts = scoreboard.counts().set_index("verdict")
    lines = landing.verdict_chips().data.split("\n\n")
    for preset, line in zip(claims.JUDGED_PRESETS, lines, strict=True):
        shown = {name: int(n) for n, name in re.findall(r">(\d+) ([a-z ]+)<", line)}
        assert shown == {name: n for name, n in counts[preset].items() if n}
        assert scoreboard.trained_with(preset) in line


def test_gallery_has_a_card_for_each_page_of_figures():
    text = landing.gallery().data
    links = re.findall(r":link: (\S+)", text)
    pictures = re.findall(r":img-top: (\S+)", text)
    pages = [name for name in STORIES if find(name).of_the_paper]
    assert len(links) == len(pictures) == len(pages)
    assert len(re.findall(r"grid-item-card\} Figs?\. [^\n]+\n:link: ", text)) == len(pages)
    book = paths.root() / "book"
    assert all((book / f"{link}.ipynb").is_file() for link in links)
    assert all((book / picture).is_file() for picture in pictures)
    runs = re.findall(r"\n\n`(\w+)`, (\d+) seeds?\n\n<span class=\"verdict\"", text)
    assert [preset for preset, _ in runs] == [re.search(r"(\w+)/\w+\.png", p)[1] for p in pictures]
    assert dict(zip(pages, runs, strict=True))["fig07_08"] == ("companion", "6")
    assert all(len(alt) > 60 for alt in re.findall(r":img-alt: (.+)", text))


def test_what_is_lacking_is_named(monkeypatch):
    said = {"worth": "24 of 25 planned runs are committed"}
    monkeypatch.setattr(landing, "lacking", lambda name, preset: said.get(name, ""))
    monkeypatch.setattr(checks, "lacking", landing.lacking)
    with pytest.raises(
        FileError, match="^worth: 24 of 25 planned .*; dtlib figure worth .* --keep"
    ):
        landing.findings()


def test_runs_of_paper_that_are_not_there_are_named(monkeypatch):
    known = checks.lacking
    said = {"paper": "no run is committed"}
    monkeypatch.setattr(checks, "lacking", lambda name, of: said.get(of) or known(name, of))
    monkeypatch.setattr(landing, "lacking", checks.lacking)
    with pytest.raises(
        FileError, match="^fig04_06: no run is committed; dtlib figure fig04_06 --preset paper"
    ):
        landing.findings()


def test_a_figure_without_a_picture_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(landing.paths, "pictures", lambda: tmp_path)
    with pytest.raises(FileError, match="^fig04_06: no picture is committed; dtlib figure fig"):
        landing.gallery()


@pytest.mark.parametrize("page", ["index.md", "map.md"])
def test_contents_begin_with_what_a_reader_reads(page):
    """The landing page is followed by the map, not by what a cluster needs."""
    contents = (paths.root() / "_toc.yml").read_text(encoding="utf-8")
    order = re.findall(r"(?:root|file): (\S+)", contents)
    assert order[["index.md", "map.md"].index(page)] == f"book/{page.removesuffix('.md')}"
