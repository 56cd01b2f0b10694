"""The door: one sentence, exit code 2, JSON alone on stdout."""

import json
import subprocess
import sys

import pytest


def simulation(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "simulation", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("compare", "no-such-a", "no-such-b"), "'no-such-a' is neither a run folder"),
        (("run", "no-such"), "there is no scenario 'no-such'"),
        (("run", "disruption", "--users", "-5"), "--users -5"),
        (("run", "disruption", "--minutes", "nan"), "cannot last nan s"),
        (("run", "disruption", "--minutes", "-3"), "cannot last -180 s"),
        (("run", "disruption", "--set", "broker.queue_order=any"), "priority or round"),
        (("plan", "no-such-folder"), "there is no folder no-such-folder"),
        (("sweep", "--users", "many"), "--users 'many' is not a list"),
        (("sweep", "--layouts", "E"), "there is no layout 'E'"),
        (("sweep", "--hours", "0"), "--hours 0: an interval needs at least 2 hours"),
        (("table", "no-such"), "there is no table 'no-such'"),
        (("validate", "no-such-run"), "no-such-run is not a run folder"),
    ],
)
def test_bad_use_is_one_sentence_and_exit_code_2(arguments, says, make_run):
    base = ("--calibration", make_run("base").folder)
    extra = base if arguments[0] in ("sweep", "validate") else ()

    done = simulation(*arguments, *extra)

    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout


@pytest.mark.parametrize(
    "door",
    [("run", "steady"), ("sweep",), ("compare", "A", "ours"), ("verify",),
     ("validate",), ("scaling",), ("plan", ".")],
    ids=lambda door: door[0],
)  # fmt: skip
def test_a_negative_seed_names_no_stream(door):
    done = simulation(*door, "--seed", -1)

    assert done.returncode == 2
    assert done.stderr == "--seed -1: a seed is a whole number, 0 or more\n"


def test_a_run_that_never_settles_is_refused_and_a_ramp_is_warned_of(tmp_path):
    out = ("--out", tmp_path, "--minutes", 2, "--json")

    steady = simulation("run", "steady", "--users", 1_000_000, *out)
    ramp = simulation("run", "ramp", "--users", 60_000, *out)

    assert steady.returncode == 2
    assert "pool bg cannot keep up with the pushes" in steady.stderr
    assert "rho = " in steady.stderr
    assert len(steady.stderr.strip().splitlines()) == 1
    assert ramp.returncode == 0, ramp.stderr
    assert "warning: pool bg cannot keep up" in ramp.stderr
    assert len(list(tmp_path.iterdir())) == 1


def test_a_run_and_a_policy_are_not_compared(make_run):
    folder = make_run("base").folder

    for pair in ((folder, "ours"), ("pools.bg.children=2", folder)):
        done = simulation("compare", *pair)

        assert done.returncode == 2
        assert f"{folder} is a run folder and" in done.stderr
        assert "compare two runs, or two policies" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_model_run_leaves_a_folder_like_a_load_run(make_run, tmp_path):
    base = make_run("base").folder

    done = simulation(
        "run", "disruption", "--users", 500, "--calibration", base, "--out", tmp_path,
        "--set", "pools.bg.children=2", "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    rows = {row["measure"] for row in json.loads(done.stdout)}
    assert "p95_push_s" in rows
    (folder,) = tmp_path.glob("disruption-500-*")
    again = simulation("compare", folder, folder, "--json")
    assert again.returncode == 0, again.stderr
    assert {row["difference"] for row in json.loads(again.stdout)} <= {0.0, None}


def test_two_policies_are_compared_on_the_same_hours(make_run):
    base = make_run("base", users=20_000, onset_every_s=20.0).folder

    done = simulation(
        "compare", "ours", "pools.bg.children=1", "--calibration", base, "--users",
        20000, "--hours", 24, "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    rows = {row["measure"]: row for row in json.loads(done.stdout)}
    assert rows["p95_push_s"]["difference"] > 0
    assert rows["p95_push_s"]["decided"], rows["p95_push_s"]


def test_a_model_run_says_how_far_its_apple_was(tmp_path):
    done = simulation("run", "disruption", "--users", 500, "--out", tmp_path, "--json")

    assert done.returncode == 0, done.stderr
    (about,) = (json.loads(path.read_text()) for path in tmp_path.glob("*/run.json"))
    assert about["input"] == {"apns_rtt_ms": 300.0}
