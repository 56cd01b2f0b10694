"""A world in which runs can happen: rig up, timetable loaded, workers at work."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from loadtests.control import Control
from loadtests.processes import BEAT, Processes
from loadtests.progress import Steps
from loadtests.recorder import Recorder
from loadtests.rig.scales import SCALES
from loadtests.rig.folder import RigError
from loadtests.rig.rig import Rig, rig
from worker.errors import UsageError
from worker.policy import POLICY, Policy, apply_settings
from worker.records import Outcome, TaskRecord

POLL, SYNC = "gtfs_rt_poller", "gtfs_static_sync"
READY_S = 60.0
SYNC_S = 1800.0
LOOK_EVERY_S = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """What the stand-in world is made of; ``check`` before anything is started."""

    static: Path | None = None
    realtime: Path | None = None
    scale: str = "small"
    service_time: str = "08:00"
    i_own_this_host: bool = False

    def check(self) -> None:
        """Raise UsageError, with one sentence, for a path or a scale that is not."""
        if self.scale not in SCALES:
            raise UsageError(f"no scale {self.scale}: there are {', '.join(SCALES)}")
        if self.realtime and not self.static:
            raise UsageError(
                "--realtime needs --static too: the timetable of the same day"
            )
        if self.static and not self.static.is_file():
            raise UsageError(f"there is no file {self.static}: --static names a zip")
        if self.realtime and not self.realtime.is_dir():
            raise UsageError(
                f"there is no folder {self.realtime}: --realtime holds .pb files"
            )

    def as_json(self) -> dict[str, str]:
        """For run.json: names without folders, so that no machine is told of."""
        if self.static is None:
            return {"static": f"synthetic {self.scale}", "realtime": "synthetic"}
        return {
            "static": self.static.name,
            "realtime": self.realtime.name if self.realtime else "none",
        }


@dataclass(kw_only=True)
class Stage:
    """Workers at work in a rig, watched by a recorder."""

    rig: Rig
    policy: Policy
    settings: tuple[str, ...]
    input: Input
    processes: Processes
    recorder: Recorder
    control: Control
    sync: TaskRecord

    def lines(self) -> list[str]:
        """Routes of the feeds at the busiest cadence, the busiest route first."""
        state = self.control.state()
        often_s = min(feed.intervals.peak_s for feed in self.policy.feeds.values())
        soon = {
            line
            for name, feed in self.policy.feeds.items()
            if feed.intervals.peak_s == often_s
            for line in state["feeds"].get(name, {}).get("lines", [])
        }
        return [line for line in state["lines"] if line in soon]


@contextmanager
def stage(
    given: Input, *, settings: Sequence[str] = (), steps: Steps
) -> Iterator[Stage]:
    """Bring a stage up, and down with the block or with this process.

    Everything is checked before anything starts. Raises PolicyError, UsageError or
    RigError with one sentence.
    """
    policy = apply_settings(POLICY, list(settings))
    given.check()
    with rig(
        static=given.static,
        realtime=given.realtime,
        scale=SCALES[given.scale],
        service_time=given.service_time,
        i_own_this_host=given.i_own_this_host,
        say=steps.say,
    ) as world:
        processes = Processes.of(world, policy, settings)
        recorder = Recorder(
            redis=redis.Redis.from_url(world.servers.redis_url, socket_timeout=10),
            policy=policy,
            processes=processes,
            clock_offset_s=world.clock_offset_s,
        )
        for name in policy.pools:
            processes.start_worker(name)
        processes.start(
            "publish-sync", ["-m", "celery", "-A", "worker.app", "call", SYNC]
        )
        steps.say("workers are up; the timetable is being loaded by its task")
        loaded = _succeeded(processes, recorder, SYNC, SYNC_S)
        # Beat comes after it, so that its own daily tick finds the timetable there.
        processes.start_worker(BEAT)
        steps.say(f"timetable loaded in {loaded.service_s:.1f} s; beat is up")
        _succeeded(processes, recorder, POLL, READY_S)
        yield Stage(
            rig=world,
            policy=policy,
            settings=tuple(settings),
            input=given,
            processes=processes,
            recorder=recorder,
            control=Control(world.control_url),
            sync=loaded,
        )


def _succeeded(
    processes: Processes, recorder: Recorder, task: str, patience_s: float
) -> TaskRecord:
    """Follow the workers until an attempt of the task succeeds; RigError otherwise.

    A process that ends, or a last attempt that failed for good, ends the wait.
    """
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        recorder.follow()
        record = recorder.last(task, Outcome.SUCCEEDED)
        if record is not None:
            return record
        for name in processes.dead(processes.started):
            raise RigError(f"{name} has ended: {processes.last_words(name)}")
        failed = recorder.last(task)
        if failed is not None and processes.policy.tasks[task].max_retries:
            break
        time.sleep(LOOK_EVERY_S)
    last = recorder.last(task)
    said = "there was none" if last is None else f"{last.outcome}: {last.detail}"
    raise RigError(f"no attempt of {task} succeeded; the last one: {said}")
