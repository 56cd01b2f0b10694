"""A world in which runs can happen: rig up, timetable loaded, workers at work."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import psycopg
import redis

from loadtests.assignment import often_polled
from loadtests.control import Control
from loadtests.cut import in_a_whole_world
from loadtests.given import Input
from loadtests.processes import BEAT, Processes
from loadtests.progress import Steps
from loadtests.recorder import Recorder
from loadtests.rig.folder import RigError
from loadtests.rig.rig import Rig, rig
from loadtests.rig.scales import SCALES
from worker.errors import WorkerError
from worker.policy import POLICY, Policy, apply_settings
from worker.records import Outcome, TaskRecord

POLL, SYNC, MATCH = "gtfs_rt_poller", "gtfs_static_sync", "alert_matcher"
UPKEEP = "upkeep"
READY_S = 60.0
SYNC_S = 1800.0
REDIS_S = 10.0
LOOK_EVERY_S = 0.2
BEFORE = "before the run"

_WAITING = "select count(*) from app.notifications where state in ('new', 'sending')"


class StageError(WorkerError):
    """The workers do not work in a world that is up; the message says why."""


@dataclass(kw_only=True)
class Stage:
    """Workers at work in a rig, watched by a recorder; ``runs`` they have seen."""

    rig: Rig
    policy: Policy
    settings: tuple[str, ...]
    input: Input
    processes: Processes
    recorder: Recorder
    control: Control
    sync: TaskRecord
    runs: int = 0

    def tell_what_is_known(self) -> None:
        """Have riders told of the delays that the feeds hold already.

        A recorded feed is full of them; a run begins when only its own are new.
        """
        asked_at = time.time()
        self.processes.publish(MATCH)
        _succeeded(self.processes, self.recorder, MATCH, READY_S, since=asked_at)
        deadline = time.monotonic() + READY_S
        with psycopg.connect(
            self.rig.servers.admin_database_url, autocommit=True
        ) as db:
            while time.monotonic() < deadline:
                waiting = db.execute(_WAITING).fetchone()
                if waiting is None or not waiting[0]:
                    return
                time.sleep(LOOK_EVERY_S)
        raise StageError("the riders could not be told of the delays that there are")

    def lines(self) -> list[str]:
        """Routes of the feeds at the busiest cadence, the busiest route first."""
        return often_polled(self.control.state(), self.policy)


@contextmanager
def stage(
    given: Input, *, settings: Sequence[str] = (), steps: Steps
) -> Iterator[Stage]:
    """Bring a world and its workers up, and down with the block or with this process.

    The policy and the input are checked before anything starts. Raises PolicyError,
    UsageError, RigError (no world), StageError (no work) or RunCutError (a server that
    died), with one sentence.
    """
    apply_settings(POLICY, list(settings))
    with (
        world(given, steps=steps) as around,
        crew(around, given, settings=settings, steps=steps) as here,
    ):
        yield here


@contextmanager
def world(given: Input, *, steps: Steps) -> Iterator[Rig]:
    """The stand-in world of an input; nobody works in it yet."""
    given.check()
    with rig(
        static=given.static,
        realtime=given.realtime,
        scale=SCALES[given.scale],
        service_time=given.service_time,
        apns_rtt_s=given.apns_rtt_ms / 1000,
        i_own_this_host=given.i_own_this_host,
        say=steps.say,
    ) as around:
        yield around


@contextmanager
def crew(
    around: Rig,
    given: Input,
    *,
    settings: Sequence[str] = (),
    loaded: TaskRecord | None = None,
    steps: Steps,
) -> Iterator[Stage]:
    """Workers at work in a world that is up; they end with the block.

    ``loaded``: the sync by which an earlier crew of this world loaded the timetable.
    What that crew left in Redis and in the stand-ins is taken away first: this one
    begins as the first did, but for the timetable, which PostgreSQL still holds.
    """
    policy = apply_settings(POLICY, list(settings))
    with (
        redis.Redis.from_url(
            around.servers.redis_url, socket_timeout=REDIS_S
        ) as client,
        closing(Control(around.control_url)) as control,
    ):
        if loaded is not None:
            with in_a_whole_world(BEFORE):
                client.flushdb()
                control.reset()
        processes = Processes.of(around, policy, settings)
        recorder = Recorder(
            redis=client,
            policy=policy,
            processes=processes,
            clock_offset_s=around.clock_offset_s,
        )
        try:
            with in_a_whole_world(BEFORE):
                loaded = _at_work(processes, recorder, loaded, steps)
            yield Stage(
                rig=around,
                policy=policy,
                settings=tuple(settings),
                input=given,
                processes=processes,
                recorder=recorder,
                control=control,
                sync=loaded,
            )
        finally:
            with suppress(RigError):  # its keeper has ended, and they with it
                processes.end()


def _at_work(
    processes: Processes,
    recorder: Recorder,
    loaded: TaskRecord | None,
    steps: Steps,
) -> TaskRecord:
    """Start every process of a deployment; the sync that loaded the timetable.

    Who starts catches up: the first upkeep finds that there is no timetable and asks
    for it. The others come later, so that it is asked for once.
    """
    policy = processes.policy
    upkeep = policy.tasks[UPKEEP].queue
    first, *others = sorted(
        policy.pools, key=lambda name: upkeep not in policy.pools[name].queues
    )
    processes.start_worker(first)
    _succeeded(processes, recorder, UPKEEP, READY_S)
    for name in others:
        processes.start_worker(name)
    if loaded is None:
        steps.say("workers are up; the timetable is being loaded by its task")
        loaded = _succeeded(processes, recorder, SYNC, SYNC_S)
        steps.say(f"timetable loaded in {loaded.service_s:.1f} s")
    processes.start_worker(BEAT)
    _succeeded(processes, recorder, POLL, READY_S)
    steps.say("workers and beat are up")
    return loaded


def _succeeded(
    processes: Processes,
    recorder: Recorder,
    task: str,
    patience_s: float,
    *,
    since: float = 0.0,
) -> TaskRecord:
    """Follow the workers until an attempt of the task succeeds; StageError otherwise.

    ``since``: attempts of messages that were enqueued before do not count.
    A process that ends, or a last attempt that failed for good, ends the wait.
    """
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        recorder.follow()
        record = recorder.last(task, Outcome.SUCCEEDED)
        if record is not None and record.enqueued_at >= since:
            return record
        for name in processes.dead(processes.started):
            raise StageError(f"{name} has ended: {processes.last_words(name)}")
        failed = recorder.last(task)
        if failed is not None and processes.policy.tasks[task].max_retries:
            break
        time.sleep(LOOK_EVERY_S)
    last = recorder.last(task)
    said = "there was none" if last is None else f"{last.outcome}: {last.detail}"
    raise StageError(f"no attempt of {task} succeeded; the last one: {said}")
