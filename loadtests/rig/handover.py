"""What the rig and the process of the stand-ins tell each other, through two files."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

APNS_RTT_S = 0.040
"""The Apple stand-in's answer time, round trip and Apple together: an assumption of
ours, for Apple publishes none."""

FAILED = "failed.txt"
"""Holds the one sentence, when the stand-ins cannot start."""


class _File:
    """A dataclass that lives in a file which only we may read: it holds keys."""

    def write(self, folder: Path) -> None:
        """All of it at once: a reader never sees half."""
        draft = folder / f".{type(self).__name__}"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(self)))  # type: ignore[call-overload]
        draft.replace(self.path(folder))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises FileNotFoundError before it was written."""
        return cls(**json.loads(cls.path(folder).read_text()))

    @classmethod
    def path(cls, folder: Path) -> Path:
        """Where it lies."""
        return folder / f"{cls.__name__.lower()}.json"


@dataclass(frozen=True, kw_only=True)
class Asked(_File):
    """What the rig asks for; ``service_time`` is HH:MM in Sydney, today.

    ``links`` are the addresses, by target, that want a breakable way to them.
    ``timetables_first``: they are written before anything is served.
    """

    scale: dict[str, int]
    seed: int = 1
    service_time: str = "08:00"
    static: str = ""
    realtime: str = ""
    apns_rtt_s: float = APNS_RTT_S
    links: dict[str, str] = field(default_factory=dict)
    timetables_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Ready(_File):
    """Where everything is, once it is served, and the keys that open it."""

    nsw_base_url: str
    nsw_api_key: str
    apns_base_url: str
    apns_ca_file: str
    apns_key: str
    apns_key_id: str
    apns_team_id: str
    apns_topic: str
    control_url: str
    clock_offset_s: float
    links: dict[str, str]
