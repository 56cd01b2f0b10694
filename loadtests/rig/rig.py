"""The whole stand-in world in one ``with`` block: servers, doubles, environment."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from loadtests.rig.folder import RigError, comes_up
from loadtests.rig.handover import APNS_RTT_S, FAILED, Asked, Ready
from loadtests.rig.scales import SMALL, Scale
from loadtests.rig.servers import Servers, servers

ROOT = Path(__file__).resolve().parents[2]

OUTSIDE_PATIENCE_S = 600.0
"""A city of full scale takes ten seconds to make and its timetable half a minute to
write, more on a busy machine."""


def _quiet(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rig:
    """A world that is up. ``environment`` is what a worker needs to live in it."""

    servers: Servers
    control_url: str
    clock_offset_s: float
    environment: dict[str, str] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Removed at the end, with everything in it."""
        return self.servers.folder


@contextmanager
def rig(
    *,
    static: Path | None = None,
    realtime: Path | None = None,
    scale: Scale = SMALL,
    seed: int = 1,
    service_time: str = "08:00",
    apns_rtt_s: float = APNS_RTT_S,
    links: bool = False,
    migrated: bool = True,
    i_own_this_host: bool = False,
    say: Callable[[str], None] = _quiet,
) -> Iterator[Rig]:
    """Bring the stand-in world up, and down with the block or with this process.

    ``static`` (a GTFS zip) and ``realtime`` (a folder of .pb) replace the made-up city;
    both are moved to today. ``links`` leads Redis and PostgreSQL through proxies that
    faults can cut. Raises RigError with one sentence.
    """
    _check(static, realtime, service_time)
    with servers(i_own_this_host=i_own_this_host) as started:
        own = f"Valkey and PostgreSQL are up in {started.folder}"
        given = f", but for what {' and '.join(started.given)} names"
        say(own + given if started.given else own)
        # One that takes long to write is there before a worker waits for it: a real
        # server does not write while it is asked, and clients lose patience.
        large = static is not None or scale is not SMALL
        if large:
            say("NSW's timetables are being written: a minute at NSW's own size")
        urls = {"redis": started.redis_url, "postgres": started.database_url}
        Asked(
            scale=asdict(scale),
            seed=seed,
            service_time=service_time,
            static=str(static.resolve()) if static else "",
            realtime=str(realtime.resolve()) if realtime else "",
            apns_rtt_s=apns_rtt_s,
            links=urls if links else {},
            timetables_first=large,
        ).write(started.folder)
        _start_outside(started)
        if migrated:
            migrate(started)
            say("the database is migrated")
        ready = _outside(started)
        say(f"NSW and Apple are doubled; the switchboard is {ready.control_url}")
        yield Rig(
            servers=started,
            control_url=ready.control_url,
            clock_offset_s=ready.clock_offset_s,
            environment=_environment(started, ready),
        )


def migrate(started: Servers) -> None:
    """Run the worker's own migrations as the owner of the database."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", "migrate"],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": started.database_url,
            "DATABASE_ADMIN_URL": started.admin_database_url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        why = done.stderr.strip().rpartition("\n")[2]
        raise RigError(f"`python -m worker migrate` failed: {why}")


def _start_outside(started: Servers) -> None:
    started.home.start(
        "outside",
        [sys.executable, "-m", "loadtests.rig.outside", str(started.folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def _outside(started: Servers) -> Ready:
    """Wait for the stand-ins; RigError with their sentence when they refuse."""
    there = Ready.path(started.folder).exists
    if not comes_up(started.home, "outside", there, patience_s=OUTSIDE_PATIENCE_S):
        failed = started.folder / FAILED
        if failed.exists():
            raise RigError(failed.read_text())
        raise RigError(
            f"the stand-ins did not start: {started.home.log_tail('outside')}"
        )
    return Ready.read(started.folder)


def _environment(started: Servers, ready: Ready) -> dict[str, str]:
    state = started.folder / "state"
    state.mkdir()
    return {
        "REDIS_URL": ready.links.get("redis", started.redis_url),
        "DATABASE_URL": ready.links.get("postgres", started.database_url),
        "NSW_BASE_URL": ready.nsw_base_url,
        "NSW_API_KEY": ready.nsw_api_key,
        "APNS_BASE_URL": ready.apns_base_url,
        "APNS_CA_FILE": ready.apns_ca_file,
        "APNS_KEY": ready.apns_key,
        "APNS_KEY_ID": ready.apns_key_id,
        "APNS_TEAM_ID": ready.apns_team_id,
        "APNS_TOPIC": ready.apns_topic,
        "CLOCK_OFFSET_S": str(ready.clock_offset_s),
        "STATE_DIR": str(state),
        "RIG_CONTROL_URL": ready.control_url,
        "RIG_ADMIN_DATABASE_URL": started.admin_database_url,
        "RIG_DIR": str(started.folder),
    }


def _check(static: Path | None, realtime: Path | None, service_time: str) -> None:
    if realtime and not static:
        raise RigError("REALTIME needs STATIC too: the timetable of the same day")
    if static and not static.is_file():
        raise RigError(f"there is no file {static}: STATIC names a GTFS zip")
    if realtime and not realtime.is_dir():
        raise RigError(f"there is no folder {realtime}: REALTIME holds .pb files")
    hour, colon, minute = service_time.partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal()) or not (
        int(hour) < 24 and int(minute) < 60
    ):
        raise RigError(f"'{service_time}' is not a time of day such as 08:00")
