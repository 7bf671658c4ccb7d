"""What the command line refuses: one clear line, exit code 2, and nothing written."""

import shutil

import pytest
from said import SMALL, call, refused

from dtlib.experiments import provenance
from dtlib.runtime import paths

BAD = [
    (["--set", "env.num_users=0"], "env.num_users = 0: "),
    (["--set", "env.slot_s=1e39"], "env.slot_s = 1e+39: input should be less than or equal to 864"),
    (["--set", "max_log_factor=1e39"], "max_log_factor = 1e+39: input should be less than or"),
    (["--set", "noise_variance=1e300"], "noise_variance = 1e+300: input should be less than or eq"),
    (["--set", "env.num_bs=0"], "env.num_bs = 0: "),
    (["--set", "env.max_power_w=-1"], "env.max_power_w = -1: "),
    (["--set", "env.data_bits=[3,2]"], "env.data_bits = (3.0, 2.0): "),
    (["--set", "env.noise_w=NaN"], "env.noise_w = nan: "),
    (["--set", "env.bandwidth_hz=Infinity"], "env.bandwidth_hz = inf: "),
    (["--set", "env.colour=3"], "env.colour = 3: unknown field"),
    (["--set", "epoch=3"], "epoch = 3: unknown field"),
    (["--set", "env.migration_slots=20"], "env.migration_slots = 20: must be below frame_slots"),
    (
        ["--set", "env.frames=1", "--set", "env.frame_slots=1", "--set", "env.migration_slots=0"],
        "env.frames = 1: an episode must have at least 2 slots",
    ),
    (["--set", "epochs=many"], "epochs = 'many': "),
    (["--set", "epochs"], "--set epochs: must be name=value"),
    (["--set", "env=3"], "env = 3: "),
    (["--algorithm", "ppo"], "algorithm = 'ppo': "),
    (["--preset", "huge"], "preset = 'huge': must be one of smoke, quick, companion, paper"),
    (["--seed", "-1"], "seed = -1: "),
    (["--seed", "x"], "'x' is not a valid integer"),
    (["--threads", "0"], "--threads"),
    (["--threads", "2147483647"], "threads = 2147483647: must be 1 to "),
    (["--device", "cpu:7"], "device = 'cpu:7': must be auto, cpu or cuda"),
    (["--set", "preset=quick"], "--set preset=quick: is chosen by --preset"),
    (["--set", "self=1"], "self = 1: unknown field"),
    (["--set", "cls=1"], "cls = 1: unknown field"),
    (["--set", "epochs=" + "[" * 10**5], "input should be a valid integer"),
    (["--set", "env.deadline_s=" + "[" * 10**5], "input should be a valid tuple"),
    (["--set", "env.num_users=" + "9" * 5000], "env.num_users = "),
    (["--set", "env.num_users=true"], "env.num_users = True: input should be a valid integer"),
    (["--set", "env.deadline_s=0.05"], "such as (0.05, 0.05), or 0.05,0.05 on the command line"),
    (["--set", "num_users=3"], "num_users = 3: unknown field; did you mean env.num_users?"),
    (["--set", "env.num_user=3"], "env.num_user = 3: unknown field; did you mean env.num_users?"),
    (["--set", "env.epochs=3"], "env.epochs = 3: unknown field; did you mean epochs?"),
    (["--set", "env=3", "--set", "env.num_users=3"], "env = 3: must be a mapping"),
    (["--set", "algorithm=maddpg"], "--set algorithm=maddpg: is chosen by --algorithm"),
    (["--seed", "4", "--set", "seed=3"], "--set seed=3: is chosen by --seed"),
    (["--set", "power_action=[1]"], "power_action = [1]: input should be 'watt'"),
    (["--set", "env.num_users=1000000000000"], "GiB of memory, there are "),
    (["--set", "hidden_sizes=1000000000000"], "GiB of memory, there are "),
]


@pytest.mark.parametrize("arguments, message", BAD, ids=range(len(BAD)))
def test_bad_settings(tmp_path, arguments, message):
    assert message in refused("train", "--preset", "smoke", "--out", tmp_path / "r", *arguments)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["figure", "fig99"], "figure = 'fig99': must be one of ablations"),
        (
            ["figure", "reading"],
            ", readings, references, mechanisms, effect_of_m, demand, corrected",
        ),
        (["figure", "fig05", "--preset", "smoke", "--seeds", "0"], "seeds = 0: "),
        (
            ["figure", "readings", "--preset", "smoke", "--seeds", "3"],
            "--seeds: readings is a table of no runs, and is made as a whole",
        ),
        (["figure", "demand", "--preset", "smoke", "--keep"], "--keep: demand is a table of no"),
        (["notebook", "fig99"], "notebook = 'fig99': must be one of"),
        (["evaluate", "no/such/run"], "holds no run"),
        (["nonsense"], "No such command 'nonsense'"),
        (["train", "--preset", "smoke"], "Missing option '--out'"),
        (["--bogus"], "No such option"),
        (["--version=3"], "does not take a value"),
        (["evaluate", "a\nb"], "a b: holds no run"),
        (["evaluate", "results/policies/beta-happo", "--worlds", 2**63], "worlds = 9223372036854"),
        (
            ["figure", "fig10", "--preset", "smoke", "--device", "hpu"],
            "device = 'hpu': must be auto",
        ),
    ],
)
def test_bad_calls(arguments, message):
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    "command",
    [["status"], ["reproduce"], ["references"], ["figure", "fig04"], ["figure", "readings"]],
)
def test_a_mistyped_preset_writes_nothing(command, tmp_path, monkeypatch):
    monkeypatch.setenv("DTLIB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    result = call(*command, "--preset", "quik")
    assert result.exit_code == 2
    assert result.output == (
        "dtlib: preset = 'quik': must be one of smoke, quick, companion, paper; "
        "did you mean 'quick'?\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("csv", [".", "", "/"])
def test_tables_need_a_name(csv):
    assert "csv" in refused("evaluate", "no/such/run", "--csv", csv)


def test_pictures_of_no_preset():
    result = call("pictures", "--preset", "huge")
    assert result.exit_code == 2 and "preset = 'huge': must be one of" in result.output


@pytest.mark.parametrize("command", [["figure", "fig10"], ["references"], ["reproduce"]])
def test_results_of_a_changed_tree_are_refused(command, monkeypatch):
    monkeypatch.setattr(provenance, "_commit", lambda: f"0123abc{provenance.CHANGED}")
    answer = call(*command, "--preset", "quick", "--quiet")
    assert answer.exit_code == 2 and "commit first (`git status`), or add --dirty" in answer.output
    provenance.check_clean("quick", dirty=True)
    provenance.check_clean("smoke", dirty=False)


def test_foreign_and_damaged_folders(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    result = call("train", *SMALL, "--out", tmp_path / "mine")
    assert result.exit_code == 2 and "holds no run" in result.output

    call("train", *SMALL, "--out", tmp_path / "r")
    checkpoint = tmp_path / "r" / "checkpoint.safetensors"
    shutil.copy(checkpoint, tmp_path / "good")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    for command in (["evaluate", tmp_path / "r"], ["train", *SMALL, "--out", tmp_path / "r"]):
        result = call(*command)
        assert result.exit_code == 2
        assert "checkpoint.safetensors: not a readable checkpoint" in result.output
    shutil.copy(tmp_path / "good", checkpoint)
    assert call("evaluate", tmp_path / "r", "--worlds", 1, "--quiet").exit_code == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["train", "--set", "epochs=1", "--set", "epochs=3", "--out", "x"], "--set epochs"),
        (["train", "--set", "env.frames=1", "--set", "env.frames=1", "--out", "x"],
         "--set env.frames"),
        (["notebook", "01_mobility", "-p", "seed", "1", "-p", "seed", "2"], "-p seed"),
    ],
)  # fmt: skip
def test_what_is_given_twice_is_not_chosen_from(given, said):
    result = call(*given)
    assert (result.exit_code, result.output) == (2, f"dtlib: {said}: is given 2 times\n")
