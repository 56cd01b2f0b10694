"""The watchdog process: it starts the rig's processes and ends them with the parent.

Run as a script, outside the package: ``python keeper.py FOLDER PARENT_PID``. Each line
on stdin is one JSON request, each line on stdout its answer:

    {"start": name, "argv": [...], "user": uid or null, "env": {...} or null}
    {"stop": name}          {"mark": text}          {"pids": true}

End of file on stdin, a parent that is gone, or SIGTERM end everything: first every
process whose environment carries the mark, then the servers, then the folder. The
parent's death is seen by the closed pipe, and by the parent id in case a fork of the
parent still holds the pipe. Nothing here is particular to one operating system.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

PARENT_CHECK_S = 0.25
"""How often the parent id is compared; the pipe is watched without delay."""

PATIENCE_S = 6.0
"""Between the polite signal and SIGKILL."""

OWNER_FILE = "owner.json"
MARK_VARIABLE = "RIG_MARK"

# PostgreSQL waits for its clients on SIGTERM; on SIGQUIT it leaves at once.
POLITE = {"postgres": signal.SIGQUIT}


class Keeper:
    """The processes of one rig folder, as their parent."""

    def __init__(self, folder: Path, parent: int) -> None:
        self.folder = folder
        self.parent = parent
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.mark = ""

    def start(self, name: str, argv: list[str], user: int | None, env: object) -> int:
        """Start one process in a session of its own, its output in a log file."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                env=env if isinstance(env, dict) else None,
            )
        self.write_owner()
        return self.children[name].pid

    def stop(self, names: list[str]) -> None:
        """End the named processes, politely and then by force."""
        going = [self.children[name] for name in names if name in self.children]
        for name in names:
            child = self.children.get(name)
            if child is not None and child.poll() is None:
                child.send_signal(POLITE.get(name, signal.SIGTERM))
        deadline = time.monotonic() + PATIENCE_S
        for child in going:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for name in names:
            self.children.pop(name, None)
        self.write_owner()

    def write_owner(self) -> None:
        """Note who lives here, for the sweep of the next start."""
        pids = [self.parent, os.getpid(), *(c.pid for c in self.children.values())]
        write_owner(self.folder, pids)

    def end(self) -> None:
        """End everything and remove the folder."""
        if self.mark:
            end_marked(self.mark)
        self.stop(list(self.children))
        shutil.rmtree(self.folder, ignore_errors=True)


def write_owner(folder: Path, pids: list[int]) -> None:
    """Write process ids with their start times; the first is the parent's."""
    lives = [[pid, started_at(pid)] for pid in pids]
    draft = folder / f".{OWNER_FILE}"
    draft.write_text(json.dumps(lives))
    draft.replace(folder / OWNER_FILE)


def started_at(pid: int) -> float:
    """Start of a process, epoch seconds; 0 when it is gone or only a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return 0.0
        return process.create_time()
    except psutil.Error:
        return 0.0


def end_marked(mark: str) -> None:
    """End every process that was started with the mark in its environment."""
    polite, deadline = signal.SIGTERM, time.monotonic() + PATIENCE_S
    while alive := list(_marked(mark)):
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.send_signal(polite)
        psutil.wait_procs(alive, timeout=max(0.2, deadline - time.monotonic()))
        polite = signal.SIGKILL


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if (
                process.pid != os.getpid()
                and process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(MARK_VARIABLE) == mark
            ):
                found.append(process)
    return found


def answer(keeper: Keeper, line: bytes) -> dict[str, object]:
    """Do what one line asks; the answer says what went wrong, if anything did."""
    request = json.loads(line)
    try:
        if "start" in request:
            name = request["start"]
            pid = keeper.start(name, request["argv"], request["user"], request["env"])
            return {"pid": pid}
        if "stop" in request:
            keeper.stop([request["stop"]])
        if "mark" in request:
            keeper.mark = request["mark"]
        return {
            "pids": {
                name: child.pid
                for name, child in keeper.children.items()
                if child.poll() is None
            }
        }
    except OSError as error:
        return {"error": str(error)}


def watch(keeper: Keeper) -> None:
    """Answer requests until the parent has gone."""
    waiting = b""
    while os.getppid() == keeper.parent:
        ready, _, _ = select.select([0], [], [], PARENT_CHECK_S)
        if not ready:
            continue
        read = os.read(0, 65536)
        if not read:
            return
        *lines, waiting = (waiting + read).split(b"\n")
        for line in lines:
            said = {**answer(keeper, line), "number": json.loads(line)["number"]}
            os.write(1, json.dumps(said).encode() + b"\n")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    keeper = Keeper(Path(sys.argv[1]), int(sys.argv[2]))
    try:
        keeper.write_owner()
        watch(keeper)
    except BrokenPipeError:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        keeper.end()


if __name__ == "__main__":
    main()
