"""A command inside the world: its signals, its exit code, its children's end."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from loadtests.rig.folder import RigError
from loadtests.rig.keeper import MARK_VARIABLE
from loadtests.rig.rig import Rig

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
PATIENCE_S = 30.0
"""After a signal the command has so long to end before it is killed."""


def check_command(argv: Sequence[str]) -> None:
    """Raise RigError when there is no such program, before anything is started."""
    if shutil.which(argv[0]) is None:
        raise RigError(f"there is no program {argv[0]}")


def run_inside(world: Rig, argv: Sequence[str]) -> int:
    """Run a command with the world's environment; its exit code (128 + signal).

    Signals that reach us are handed to the command's process group. What it started
    ends with the world, even in sessions of its own.
    """
    mark = secrets.token_hex(8)
    world.servers.home.mark(mark)
    environment = {**os.environ, **world.environment, MARK_VARIABLE: mark}
    process = subprocess.Popen(argv, env=environment, process_group=0)
    told_at: list[float] = []

    def forward(number: int, _: FrameType | None) -> None:
        told_at.append(time.monotonic())
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        with _foreground(process.pid):
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.5)
                if told_at and time.monotonic() > told_at[0] + PATIENCE_S:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    code = process.returncode
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _foreground(group: int) -> Iterator[None]:
    """Give the terminal, if there is one, to the command, and take it back."""
    if not sys.stdin or not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    ignored = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, group)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, os.getpgrp())
        signal.signal(signal.SIGTTOU, ignored)
