"""What is wrong at the moment, at whom: set by the switchboard, read by the doubles."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

KINDS: Mapping[str, Mapping[str, str]] = {
    "nsw": {
        "status": "answers with this status (value: 503)",
        "slow": "waits before it answers (value: seconds)",
        "drip": "sends a byte at a time (value: seconds between bytes)",
        "empty": "answers 200 with no body",
        "html": "answers 200 with a page for people",
        "truncated": "closes after this share of the body (value: 0.5)",
        "cut": "sends this share as if it were the whole body (value: 0.5)",
        "quota": "refuses as over quota (value: rate or day)",
        "frozen": "serves the same body under the same header",
    },
    "apns": {
        "status": "answers a share so (value: {status, reason, share, timestamp})",
        "slow": "waits so much longer before it answers (value: seconds)",
        "hang": "takes requests and never answers",
        "goaway": "says GOAWAY once on every connection (value: reason)",
        "reset": "resets a share of the streams (value: share)",
        "cut": "closes every connection once",
    },
    "redis": {
        "cut": "closes every connection and refuses new ones",
        "reset": "closes every connection once",
        "hold": "keeps connections open and carries nothing",
        "slow": "carries late (value: seconds each way)",
    },
}
KINDS = {**KINDS, "postgres": KINDS["redis"]}

DEFAULTS: Mapping[tuple[str, str], object] = {
    ("nsw", "status"): 503,
    ("nsw", "slow"): 10.0,
    ("nsw", "drip"): 1.0,
    ("nsw", "truncated"): 0.5,
    ("nsw", "cut"): 0.5,
    ("nsw", "quota"): "rate",
    ("apns", "status"): {"status": 503, "reason": "ServiceUnavailable", "share": 1.0},
    ("apns", "slow"): 5.0,
    ("apns", "goaway"): "Shutdown",
    ("apns", "reset"): 1.0,
    ("redis", "slow"): 0.2,
    ("postgres", "slow"): 0.2,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One fault; ``path`` limits it to requests whose path contains it."""

    id: int
    target: str
    kind: str
    value: object
    path: str
    begins_at: float
    ends_at: float

    def as_json(self) -> dict[str, object]:
        """As the switchboard says it; times are real epoch seconds."""
        return {
            "id": self.id,
            "target": self.target,
            "kind": self.kind,
            "value": self.value,
            "path": self.path,
            "begins_at": self.begins_at,
            "ends_at": self.ends_at,
        }

    def number(self) -> float:
        """The value as a number; raises ValueError when it is none."""
        if isinstance(self.value, int | float | str):
            return float(self.value)
        raise ValueError(f"{self.kind} wants a number, not {self.value!r}")

    def fields(self) -> Mapping[str, object]:
        """The value as named fields; a lone number is a status."""
        if isinstance(self.value, Mapping):
            return self.value
        return {"status": self.value}


@dataclass(slots=True)
class Faults:
    """All faults so far; those whose time is over no longer hold."""

    all: list[Fault] = field(default_factory=list)

    def read(self, asked: Mapping[str, object]) -> Fault:
        """A fault as the switchboard asks for it; ValueError with one sentence."""
        target, kind = str(asked.get("target")), str(asked.get("kind"))
        if target not in KINDS:
            raise ValueError(f"no target {target}: there are {', '.join(KINDS)}")
        if kind not in KINDS[target]:
            raise ValueError(
                f"{target} has no fault {kind}: {', '.join(KINDS[target])}"
            )
        now = time.time()
        duration_s = asked.get("duration_s", 3600)
        if not isinstance(duration_s, int | float) or duration_s < 0:
            raise ValueError(f"duration_s is a number of seconds, not {duration_s!r}")
        value = asked.get("value")
        return Fault(
            id=len(self.all) + 1,
            target=target,
            kind=kind,
            value=DEFAULTS.get((target, kind)) if value is None else value,
            path=str(asked.get("path", "")),
            begins_at=now,
            ends_at=now + duration_s,
        )

    def clear(self) -> None:
        """End all faults now."""
        self.all = []

    def active(self, target: str, path: str = "") -> list[Fault]:
        """The faults that hold now for a request on that path."""
        if not self.all:
            return []
        now = time.time()
        return [
            fault
            for fault in self.all
            if fault.target == target and fault.ends_at > now and fault.path in path
        ]

    def find(self, target: str, kind: str, path: str = "") -> Fault | None:
        """The latest such fault that holds now."""
        found = [f for f in self.active(target, path) if f.kind == kind]
        return found[-1] if found else None
