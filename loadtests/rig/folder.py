"""The rig's temporary folder, its keeper, and the sweep of what dead rigs left."""

import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from loadtests.rig import keeper as keeper_script
from worker.errors import WorkerError

PREFIX = "transit-rig-"
END_PATIENCE_S = 30.0
"""How long the parent waits for the keeper to end everything."""

START_PATIENCE_S = 20.0
START_ATTEMPTS = 3
"""A free port may be taken between its choice and its use."""


class RigError(WorkerError):
    """The stand-in world cannot be had; the message says why and what to do."""


class Home:
    """A folder that lives as long as this process, and the processes in it."""

    def __init__(self) -> None:
        sweep()
        self._asked = 0
        self.folder = _new_folder()
        keeper_script.write_owner(self.folder, [os.getpid()])
        self._keeper = subprocess.Popen(
            [
                sys.executable,
                "-P",  # else our http.py would stand for the standard library's
                keeper_script.__file__,
                str(self.folder),
                str(os.getpid()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def start(
        self,
        name: str,
        argv: list[str],
        *,
        user: int | None = None,
        env: dict[str, str] | None = None,
    ) -> int:
        """Start a process that ends with us; its output goes to ``NAME.log``."""
        # The keeper starts it in another folder; a venv may be on PATH by half a path.
        program = os.path.abspath(argv[0]) if os.sep in argv[0] else argv[0]
        answer = self._ask(
            {"start": name, "argv": [program, *argv[1:]], "user": user, "env": env}
        )
        return int(answer["pid"])

    def stop(self, name: str) -> None:
        """End one process; nothing happens when it is not there."""
        self._ask({"stop": name})

    def mark(self, text: str) -> None:
        """End, with the rest, every process that carries this mark."""
        self._ask({"mark": text})

    def pids(self) -> dict[str, int]:
        """The processes that are alive, by name."""
        return dict(self._ask({"pids": True})["pids"])

    def log_tail(self, name: str, lines: int = 5) -> str:
        """The end of a process's log, on one line."""
        with contextlib.suppress(OSError):
            text = (self.folder / f"{name}.log").read_text(errors="replace")
            return " | ".join(text.strip().splitlines()[-lines:])
        return ""

    def close(self) -> None:
        """End every process and remove the folder; returns when it is done."""
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.close()
        try:
            self._keeper.wait(END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        self._keeper.stdout.close()
        if self.folder.exists():
            _end(self.folder)

    def _ask(self, request: dict[str, object]) -> Any:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._asked += 1
        asked = {**request, "number": self._asked}
        answer: dict[str, Any] = {}
        try:
            self._keeper.stdin.write(json.dumps(asked).encode() + b"\n")
            self._keeper.stdin.flush()
            # A signal may have cut the one before off from its answer, which is left.
            while answer.get("number") != self._asked:
                line = self._keeper.stdout.readline()
                if not line:
                    raise BrokenPipeError
                answer = json.loads(line)
        except BrokenPipeError:
            raise RigError(
                "the rig's keeper has ended, and its servers with it"
            ) from None
        if "error" in answer:
            raise RigError(f"a process of the rig did not start: {answer['error']}")
        return answer


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def comes_up(
    home: Home,
    name: str,
    probe: Callable[[], bool],
    *,
    patience_s: float = START_PATIENCE_S,
) -> bool:
    """Wait until ``probe`` succeeds; False when the process ends or time is up."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if probe():
            return True
        if name not in home.pids():
            return False
        time.sleep(0.02)
    home.stop(name)
    return False


def sweep() -> list[Path]:
    """End and remove what rigs left whose parent and keeper are both dead."""
    swept = []
    for root in _roots():
        for folder in root.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                if folder.stat().st_uid == os.getuid() and not _alive(folder):
                    _end(folder)
                    swept.append(folder)
    return swept


def _alive(folder: Path) -> bool:
    """Whether the parent or the keeper lives, or the folder is only being made."""
    lives = _lives(folder)
    if not lives:
        return time.time() - folder.stat().st_mtime < 60
    return any(_same(pid, start) for pid, start in lives[:2])


def _lives(folder: Path) -> list[tuple[int, float]]:
    with contextlib.suppress(OSError, ValueError):
        lives = json.loads((folder / keeper_script.OWNER_FILE).read_text())
        return [(int(pid), float(start)) for pid, start in lives]
    return []


def _same(pid: int, start: float) -> bool:
    return start > 0 and abs(keeper_script.started_at(pid) - start) < 0.05


def _end(folder: Path) -> None:
    left = []
    for pid, start in _lives(folder)[2:]:
        if _same(pid, start):
            with contextlib.suppress(psutil.Error):
                left.append(psutil.Process(pid))
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)
    shutil.rmtree(folder, ignore_errors=True)


def _new_folder() -> Path:
    """A folder whose path any account can walk: PostgreSQL may need another's."""
    for root in _roots():
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
            folder.chmod(0o755)
            return folder
    raise RigError(
        f"no folder for temporary files can be written: set TMPDIR (tried "
        f"{', '.join(map(str, _roots()))})"
    )


def _roots() -> list[Path]:
    roots = dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")))
    return [root for root in roots if root.is_dir() and _walkable(root)]


def _walkable(root: Path) -> bool:
    if os.getuid() != 0:
        return True
    around = (root.resolve(), *root.resolve().parents)
    return all(stat.S_IMODE(each.stat().st_mode) & stat.S_IXOTH for each in around)
