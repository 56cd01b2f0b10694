"""The whole stand-in world in one ``with`` block: servers, doubles, environment."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from loadtests.rig.apns import RTT_S
from loadtests.rig.apple import Team
from loadtests.rig.certificate import write_certificate
from loadtests.rig.city import SMALL, Scale
from loadtests.rig.folder import RigError, comes_up
from loadtests.rig.outside import FAILED, READY, Asked, Ready
from loadtests.rig.servers import Servers, servers

ROOT = Path(__file__).resolve().parents[2]


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
    rtt_s: float = RTT_S,
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
        say(f"Valkey and PostgreSQL are up in {started.folder}")
        certificate = write_certificate(started.folder)
        team = Team()
        key = secrets.token_hex(16)
        asked = Asked(
            nsw_key=key,
            apns_key_pem=team.key_pem(),
            scale=asdict(scale),
            seed=seed,
            service_time=service_time,
            static=str(static.resolve()) if static else "",
            realtime=str(realtime.resolve()) if realtime else "",
            rtt_s=rtt_s,
            links={"redis": started.redis_url, "postgres": started.database_url}
            if links
            else {},
        )
        ready = _start_outside(started, asked)
        environment = {
            "REDIS_URL": ready.links.get("redis", started.redis_url),
            "DATABASE_URL": ready.links.get("postgres", started.database_url),
            "NSW_BASE_URL": ready.nsw_base_url,
            "NSW_API_KEY": key,
            "APNS_BASE_URL": ready.apns_base_url,
            "APNS_CA_FILE": str(certificate),
            "APNS_KEY": asked.apns_key_pem,
            "APNS_KEY_ID": team.key_id,
            "APNS_TEAM_ID": team.team_id,
            "APNS_TOPIC": team.topic,
            "CLOCK_OFFSET_S": str(ready.clock_offset_s),
            "STATE_DIR": str(_state_folder(started.folder)),
            "RIG_CONTROL_URL": ready.control_url,
            "RIG_ADMIN_DATABASE_URL": started.admin_database_url,
            "RIG_DIR": str(started.folder),
        }
        world = Rig(
            servers=started,
            control_url=ready.control_url,
            clock_offset_s=ready.clock_offset_s,
            environment=environment,
        )
        say(f"NSW and Apple are doubled; the switchboard is {world.control_url}")
        if migrated:
            migrate(world)
            say("the database is migrated")
        yield world


def migrate(world: Rig) -> None:
    """Run the worker's own migrations as the owner of the database."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", "migrate"],
        cwd=ROOT,
        env={
            **os.environ,
            **world.environment,
            "DATABASE_ADMIN_URL": world.servers.admin_database_url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RigError(f"the migrations failed: {done.stderr.strip()[-2000:]}")


def _start_outside(started: Servers, asked: Asked) -> Ready:
    folder = started.folder
    asked.write(folder)
    started.home.start(
        "outside",
        [sys.executable, "-m", "loadtests.rig.outside", str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if not comes_up(started.home, "outside", (folder / READY).exists):
        if (folder / FAILED).exists():
            raise RigError((folder / FAILED).read_text())
        raise RigError(
            f"the stand-ins did not start: {started.home.log_tail('outside')}"
        )
    return Ready(**json.loads((folder / READY).read_text()))


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


def _state_folder(folder: Path) -> Path:
    state = folder / "state"
    state.mkdir()
    return state
