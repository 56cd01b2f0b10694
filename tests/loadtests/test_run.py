"""A whole run on real servers and workers, small; and what is left when it dies."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from loadtests.cli import main
from loadtests.cut import RunCutError
from loadtests.given import Input
from loadtests.processes import Processes
from loadtests.progress import Steps
from loadtests.rig.folder import RigError
from loadtests.run import perform
from loadtests.stage import stage
from loadtests.summary import remarks
from simulation.calibration import calibrate
from simulation.noise import complaints
from simulation.runs import Run, load_run
from simulation.scenario import Scenario
from simulation.workload import Happenings
from worker.errors import UsageError, answer_at_the_door
from worker.measures import MEASURES

ROOT = Path(__file__).resolve().parents[2]

SMALL = Scenario(
    name="disruption",
    question="?",
    users=60,
    duration_s=32.0,
    lines=6,
    onset_every_s=2.0,
    warm_up_s=1.0,
    settle_s=20.0,
    seed=3,
    groups_per_s=(1.0,),
    group_least=5,
    group_most=50,
    readers=2,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One run of sixty riders, five of whose six lines are delayed."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    try:
        with stage(Input(), settings=["push.batch_size=20"], steps=Steps()) as here:
            yield perform(here, SMALL, folder, role="holdout", steps=Steps())
    except RigError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no servers here: {error}")


@pytest.mark.slow
@pytest.mark.timeout(300)
class TestARun:
    """Claims about one run, made once."""

    def test_every_rider_of_a_delayed_line_gets_his_push(self, run: Run) -> None:
        riders = sum(event["riders"] for event in run.about["events"])

        assert riders == 50
        assert run.about["broken"] == ""
        assert run.about["pushes_due"] == riders
        assert run.about["pushes_lost"] == 0
        assert run.about["commuters_reached"] == riders

    def test_locust_and_the_recorder_count_the_same_to_the_last_message(
        self, run: Run
    ) -> None:
        told = run.about["locust"]

        assert told["requests"] - told["failures"] == run.about["pushes_arrived"]
        assert told["failures"] == run.about["pushes_lost"]
        assert told["duplicates"] == MEASURES["duplicated"].function(run.records)
        # What the publisher's phones were sent has come as well, and nothing else.
        assert told["strangers"] == run.about["publisher"]["notifications"] > 0

    def test_publisher_and_recorder_count_the_same_to_the_last_message(
        self, run: Run
    ) -> None:
        publisher, groups = run.about["publisher"], run.about["groups"]
        described = SMALL.groups()

        assert groups["notifications"] == [size for _, size in described]
        assert publisher["notifications"] == sum(groups["notifications"])
        assert publisher["notifications_recorded"] == publisher["notifications"]
        assert publisher["messages_recorded"] == publisher["messages"]
        assert publisher["left_to_sweep"] == 0

    def test_the_model_reads_what_was_published(self, run: Run) -> None:
        seen = Happenings.recorded(run)
        due = [run.records.started_at + at_s for at_s, _ in SMALL.groups()]

        assert [at for at, _ in seen.groups] == pytest.approx(due, abs=1.0)
        assert sum(size for _, size in seen.groups) == sum(
            size for _, size in SMALL.groups()
        )

    def test_readers_say_how_long_answers_took_and_how_old_they_were(
        self, run: Run
    ) -> None:
        with (run.folder / "locust_stats.csv").open(newline="") as file:
            rows = {(row["Type"], row["Name"]): row for row in csv.DictReader(file)}

        answered = [row for (kind, _), row in rows.items() if kind == "read"]
        age_ms = float(
            rows["age", "of what a line's riders see"]["Average Response Time"]
        )
        assert len(answered) == 3
        assert all(int(row["Failure Count"]) == 0 for row in answered)
        assert all(int(row["Request Count"]) > 10 for row in answered)
        assert 1_000 < age_ms < 60_000

    def test_the_folder_gives_back_what_was_recorded(self, run: Run) -> None:
        read = load_run(run.folder)

        assert read.about == json.loads(json.dumps(run.about))
        assert len(read.records.tasks) == len(run.records.tasks)
        assert len(read.records.deliveries) == len(run.records.deliveries)

    def test_every_gauge_was_read(self, run: Run) -> None:
        labels: dict[str, set[str]] = {}
        for sample in run.records.samples:
            labels.setdefault(sample.name, set()).add(sample.label)

        assert {"critical", "normal", "batch"} <= labels["depth"]
        assert {"critical", "normal", "batch"} <= labels["oldest_age_s"]
        assert {"rt", "bg"} <= labels["children"]
        assert {"rt/parent", "rt/child-0", "bg/parent", "beat"} <= labels["memory_mib"]
        assert {"bg/child-0", "bg/child-1", "bg/child-2"} <= labels["cpu_s"]
        assert "buses_trips" in labels["feed_age_s"]
        assert {"v_eff", "redis_commands"} <= set(labels)

    def test_a_setting_reaches_the_workers(self, run: Run) -> None:
        sent = [
            r.detail["claimed"] for r in run.records.tasks if r.task == "apns_worker"
        ]

        assert run.about["settings"] == ["push.batch_size=20"]
        assert sent
        assert max(sent) <= 20

    def test_the_run_says_what_made_it_without_naming_a_folder(self, run: Run) -> None:
        text = (run.folder / "run.json").read_text()

        assert run.about["role"] == "holdout"
        assert run.about["machine"]["cores"] >= 1
        assert str(ROOT) not in text
        assert str(run.folder) not in text

    def test_locusts_reports_stand_beside_it(self, run: Run) -> None:
        assert (run.folder / "locust.html").stat().st_size > 0
        assert "delay published" in (run.folder / "locust_stats.csv").read_text()

    def test_nobody_had_to_complain(self, run: Run) -> None:
        told = (run.folder / "locust_exceptions.csv").read_text()

        assert len(told.splitlines()) == 1, told


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("number", "code", "moment"),
    [
        (signal.SIGINT, 130, "workers are up"),
        (signal.SIGINT, 130, "disruption, 20 users"),
        (signal.SIGTERM, 143, "timetable loaded"),
        (signal.SIGKILL, -9, "workers are up"),
    ],
    ids=["ctrl-c", "ctrl-c in the run", "sigterm", "sigkill"],
)
def test_nothing_is_left_of_a_run_that_was_ended(
    tmp_path: Path, number: int, code: int, moment: str
) -> None:
    mark = f"TEST_OF_{os.getpid()}_{tmp_path.name}"
    words = ["run", "disruption", "--users", "20", "--out", str(tmp_path / "run")]
    with subprocess.Popen(
        [sys.executable, "-m", "loadtests", *words],
        cwd=ROOT,
        env={**os.environ, mark: "1", "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if moment in line)
        assert len(_carrying(mark)) > 3

        process.send_signal(number)

        assert process.wait(60) == code
    deadline = time.monotonic() + 60
    while (
        left := [*_carrying(mark), *map(str, tmp_path.iterdir())]
    ) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


class Killing(Steps):
    """Ends a process once the run has lasted five seconds."""

    processes: Processes

    def __init__(self, victim: str) -> None:
        super().__init__()
        self.victim = victim

    @contextmanager
    def bar(self, title: str, total_s: float) -> Iterator[Callable[[float, str], None]]:
        def tell(done_s: float, remark: str) -> None:
            pid = self.processes.alive().get(self.victim)
            if done_s > 5 and pid is not None:
                os.kill(pid, signal.SIGKILL)

        yield tell


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_whose_worker_died_is_marked_and_neither_averaged_nor_believed(
    tmp_path: Path,
) -> None:
    steps = Killing("bg")
    try:
        with stage(Input(), steps=steps) as here:
            steps.processes = here.processes
            run = perform(here, SMALL, tmp_path / "run", steps=steps)
    except RigError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no servers here: {error}")

    read = load_run(tmp_path / "run")
    assert run.about["broken"].startswith("bg died")
    assert read.about["broken"] == run.about["broken"]
    assert any("BROKEN, not to be averaged" in line for line in remarks(read.about))
    with pytest.raises(UsageError, match="bg died"):
        calibrate(read)
    assert "bg died" in complaints(read)[0]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ["valkey", "outside"])
def test_of_a_run_whose_world_died_nothing_is_kept(tmp_path: Path, victim: str) -> None:
    steps = Killing(victim)
    try:
        with stage(Input(), steps=steps) as here:
            steps.processes = here.processes
            with pytest.raises(RunCutError, match="nothing can be kept; run it again"):
                perform(here, SMALL, tmp_path / "run", steps=steps)
    except RigError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no servers here: {error}")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "steady", "--groups-per-s", "-1"], "a rate lies between 0 and"),
        (["run", "steady", "--groups-per-s", "1e9"], "a rate lies between 0 and"),
        (["run", "steady", "--groups-per-s", "nan"], "a rate lies between 0 and"),
        (["run", "steady", "--groups-per-s", "2000"], "a lower --groups-per-s"),
        (["run", "disruption", "--users", "9999999"], "--users 9,999,999 is more"),
        (["run", "disruption", "--apns-rtt-ms", "-5"], "--apns-rtt-ms -5"),
        (["rig", "--apns-rtt-ms", "-5"], "--apns-rtt-ms -5 is not between 0 and"),
        (["rig", "--apns-rtt-ms", "nan"], "--apns-rtt-ms nan is not between 0 and"),
        (["run", "replay"], "needs what NSW published"),
        (["run", "disrupted"], "there is no scenario 'disrupted'"),
        (["run", "disruption", "--users", "0"], "--users 0"),
        (["run", "disruption", "--seconds", "30"], "too short for one onset"),
        (["run", "disruption", "--set", "pools.bg.childs=4"], "pools.bg.childs"),
        (["run", "disruption", "--set", "pools.bg.children=0"], "children 0"),
        (["run", "disruption", "--check", "p95<=1"], "there is no measure p95"),
        (["run", "disruption", "--static", "none.zip"], "there is no file none.zip"),
        (["run", "disruption", "--scale", "huge"], "no scale huge"),
        (["matrix", "plan", "--static", "none.zip"], "there is no file none.zip"),
        (["matrix", "plan", "--realtime", "none"], "needs --static too"),
        (["bench", "everything"], "there is no room 'everything'"),
        (["bench", "--data", "none"], "there is no folder none"),
        (["run", "disruption", "--minutes", "nan"], "cannot last nan s"),
        (["run", "brownout", "--minutes", "0"], "scenario brownout cannot last 0 s"),
        (["matrix", "everything"], "there is no matrix 'everything'"),
        (["matrix", "full", "--quick"], "full has no shorter runs"),
        (["run", "disruption", "--out", "n" * 300], "nothing can be written to nnn"),
        (["matrix", "plan", "--out", "n" * 300], "nothing can be written to nnn"),
        (["bench", "loadtests", "--out", "n" * 300], "nothing can be written to nnn"),
        (["table", "riders"], "there is no table 'riders'"),
        (["matrix", "full", "--only", "half"], "the matrix full has no run half"),
        (["run", "disruption", "--check", "lost<=nan"], "nan decides nothing"),
        (["run", "disruption", "--seconds", "61"], "at least 62 s"),
        (["run", "disruption", "--out", f"{__file__}/below"], "nothing can be written"),
        (["run", "disruption", "--out", __file__], "nothing can be written"),
        (["matrix", "plan", "--out", __file__], "nothing can be written"),
        (
            ["bench", "loadtests", "--out", f"{__file__}/below"],
            "nothing can be written",
        ),
        (
            ["bench", "loadtests", "--out", str(ROOT)],
            "is a folder: --out names the file",
        ),
    ],
    ids=" ".join,
)
def test_bad_use_is_one_sentence_before_anything_starts(
    words: list[str],
    says: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtests", *words])
    before = psutil.Process().children()

    with pytest.raises(SystemExit) as left:
        answer_at_the_door(main)

    said = capfd.readouterr().err
    assert left.value.code == 2
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert psutil.Process().children() == before


def _carrying(mark: str) -> list[str]:
    """The processes, but for zombies, that were started with the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.environ() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found
