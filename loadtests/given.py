"""What the stand-in world of a run is made of; checked before anything starts."""

from dataclasses import dataclass
from pathlib import Path

from loadtests.rig.handover import APNS_RTT_S
from loadtests.rig.scales import SCALES
from worker.errors import UsageError
from worker.policy import POLICY

MOST_RTT_MS = POLICY.push.send_budget_s * 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """A made-up city of some scale, or files that were recorded; and how long Apple's
    stand-in takes to answer.
    """

    static: Path | None = None
    realtime: Path | None = None
    scale: str = "small"
    service_time: str = "08:00"
    apns_rtt_ms: float = APNS_RTT_S * 1000
    i_own_this_host: bool = False

    def check(self) -> None:
        """Raise UsageError, with one sentence, for a path or a scale that is not."""
        if self.scale not in SCALES:
            raise UsageError(f"no scale {self.scale}: there are {', '.join(SCALES)}")
        if not 0 <= self.apns_rtt_ms <= MOST_RTT_MS:
            raise UsageError(
                f"--apns-rtt-ms {self.apns_rtt_ms:g} is not between 0 and "
                f"{MOST_RTT_MS:g}: a push that takes longer is given up"
            )
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

    def as_json(self) -> dict[str, str | float]:
        """For run.json: names without folders, so that no machine is told of."""
        rtt: dict[str, str | float] = {"apns_rtt_ms": self.apns_rtt_ms}
        if self.static is None:
            return {
                "static": f"synthetic {self.scale}",
                "realtime": "synthetic",
                **rtt,
            }
        return {
            "static": self.static.name,
            "realtime": self.realtime.name if self.realtime else "none",
            **rtt,
        }
