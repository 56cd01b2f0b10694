"""The worker processes of a run: started as deployed, watched, read from outside."""

import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import psutil

from loadtests.rig.keeper import MARK_VARIABLE
from loadtests.rig.rig import ROOT, Rig
from worker.policy import Policy
from worker.records import Sample
from worker.telemetry import usage

BEAT = "beat"
LAST_WORDS = 300
"""Characters of a log line that are repeated in an error."""


@dataclass(kw_only=True)
class Processes:
    """What a run has started in its rig; all of it ends with the rig."""

    rig: Rig
    policy: Policy
    environment: Mapping[str, str] = field(repr=False)
    started: list[str] = field(default_factory=list)
    _places: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, rig: Rig, policy: Policy, settings: Iterable[str]) -> "Processes":
        """None yet; ``settings`` (PATH=VALUE) reach every worker through POLICY_SET."""
        mark = secrets.token_hex(8)
        rig.servers.home.mark(mark)
        inherited = dict(os.environ)
        # Else each process compiles Celery for itself: seven seconds, not one.
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)
        return cls(
            rig=rig,
            policy=policy,
            environment={
                **inherited,
                **rig.environment,
                "POLICY_SET": " ".join(settings),
                "LOG_LEVEL": "WARNING",
                "PYTHONPATH": str(ROOT),
                # What a killed process leaves behind goes with the rig.
                "TMPDIR": str(rig.folder),
                MARK_VARIABLE: mark,
            },
        )

    @property
    def names(self) -> list[str]:
        """The deployed commands: a worker for each pool, and beat."""
        return [*self.policy.pools, BEAT]

    def start_worker(self, name: str) -> None:
        """Start one of ``names`` by its deployed command."""
        self.start(name, ["-m", "worker", name])
        self.started.append(name)

    def start(self, name: str, arguments: list[str]) -> None:
        """Start a Python process; its output goes to ``NAME.log`` in the rig."""
        self.rig.servers.home.start(
            name, [sys.executable, *arguments], env=dict(self.environment)
        )

    def publish(self, task: str) -> None:
        """Publish a message of a task, as an operator does by hand."""
        name = f"publish-{task}"
        self.stop(name)  # an earlier one has ended: its place is needed
        self.start(name, ["-m", "celery", "-A", "worker.app", "call", task])

    def end(self) -> None:
        """End the workers at once, nothing of theirs is to save; others may follow."""
        for pid in reversed(self.members(self.alive()).values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in self.started:
            self.stop(name)

    def stop(self, name: str) -> None:
        """End one process."""
        self.rig.servers.home.stop(name)

    def last_words(self, name: str) -> str:
        """What a process logged last, in short: the name of an error says most."""
        return last_words(self.rig.servers.home.log_tail(name, lines=1))

    def alive(self) -> dict[str, int]:
        """Name -> process id of those that run."""
        return self.rig.servers.home.pids()

    def dead(self, names: Iterable[str]) -> list[str]:
        """Which of ``names`` do not run any more."""
        alive = self.alive()
        return [name for name in names if name not in alive]

    def cpu_s(self) -> float:
        """Processor seconds of everything in the rig, of what has ended there (children
        are recycled), and of this process.
        """
        keeper = psutil.Process(next(iter(self.alive().values()))).parent()
        own = sum(psutil.Process().cpu_times()[:2])
        if keeper is None:
            return own
        return own + sum(
            used_with_ended_s(process)
            for process in (keeper, *keeper.children(recursive=True))
        )

    def members(self, alive: Mapping[str, int]) -> dict[str, int]:
        """Label -> process id of every worker process: a pool's parent, its children.

        A child keeps its label while it lives; a recycled one's place goes to its
        successor, so that a label is a place in a pool.
        """
        found = {}
        for name in self.names:
            if name not in alive:
                continue
            if name == BEAT:
                found[BEAT] = alive[name]
                continue
            found[f"{name}/parent"] = alive[name]
            for place, pid in enumerate(self._seated(name, _children(alive[name]))):
                if pid:
                    found[f"{name}/child-{place}"] = pid
        return found

    def _seated(self, name: str, children: list[int]) -> list[int]:
        places = self._places.setdefault(name, [])
        for place, pid in enumerate(places):
            if pid not in children:
                places[place] = 0
        for pid in children:
            if pid in places:
                continue
            if 0 in places:
                places[places.index(0)] = pid
            else:
                places.append(pid)
        return places


def used_with_ended_s(process: psutil.Process) -> float:
    """Processor seconds of a process and of its children that have ended; 0 when it is
    gone itself, for its parent has them then.
    """
    try:
        used = process.cpu_times()
    except psutil.Error:
        return 0.0
    ended_s = getattr(used, "children_user", 0.0) + getattr(
        used, "children_system", 0.0
    )
    return float(used.user + used.system + ended_s)


def last_words(line: str) -> str:
    """A line of a log without its trappings; workers log JSON."""
    try:
        logged = json.loads(line)
        line = str(logged.get("exception", logged["event"])).strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return line.strip().rpartition("\n")[2][-LAST_WORDS:] or "it logged nothing"


def cpu_of(
    members: Mapping[str, int],
    cpu_before_s: dict[str, tuple[int, float]],
    *,
    now: float,
) -> list[Sample]:
    """Processor seconds since the last reading; ``cpu_before_s`` holds each label's
    last reading and is brought up to date.
    """
    found = []
    for label, pid in members.items():
        cpu_s = usage.cpu_of_s(pid)
        if cpu_s is None:
            continue
        before_pid, before_s = cpu_before_s.get(label, (pid, cpu_s))
        used_s = cpu_s - (before_s if before_pid == pid else 0.0)
        cpu_before_s[label] = (pid, cpu_s)
        found.append(_sample(now, "cpu_s", label, used_s))
    return found


def memory_of(members: Mapping[str, int], *, now: float) -> list[Sample]:
    """Proportional memory, which costs the kernel a walk over every page table."""
    read = ((label, usage.memory_mib(pid)) for label, pid in members.items())
    return [
        _sample(now, "memory_mib", label, memory_mib)
        for label, memory_mib in read
        if memory_mib is not None
    ]


def _children(pid: int) -> list[int]:
    """A process's children, the eldest first; none when it is gone.

    The kernel lists them in one file; psutil reads every process of the machine.
    """
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb", buffering=0) as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        pass
    try:
        return sorted(child.pid for child in psutil.Process(pid).children())
    except psutil.Error:
        return []


def _sample(at: float, name: str, label: str, value: float) -> Sample:
    return Sample(at=at, name=name, label=label, value=max(0.0, value))
