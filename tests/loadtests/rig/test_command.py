"""``python -m loadtests rig -- COMMAND``: streams, exit codes, signals, children."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
RIG = (sys.executable, "-m", "loadtests", "rig")

CHILDREN = """
import json, os, signal, subprocess, sys, time
far = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"],
                       start_new_session=True)
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps([os.getpid(), far.pid, os.environ["RIG_DIR"]]), flush=True)
time.sleep(300)
"""


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(pids: list[int], folder: Path, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while any(map(alive, pids)) or folder.exists():
        assert time.monotonic() < deadline, "something outlived the rig"
        time.sleep(0.05)


def test_stdout_is_the_commands_alone_and_its_exit_code_ours() -> None:
    script = "import os, sys; print(os.environ['RIG_CONTROL_URL']); sys.exit(7)"
    # As a shell finds it that has half a path on PATH.
    half = os.path.relpath(Path(sys.executable).parent, ROOT)

    done = subprocess.run(
        ["python", *RIG[1:], "--", sys.executable, "-c", script],
        env={**os.environ, "PATH": f"{half}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert done.returncode == 7, done.stderr
    assert done.stdout.startswith("http://127.0.0.1:")
    assert done.stdout.count("\n") == 1
    assert "rig:" in done.stderr


def start(*words: str) -> tuple[subprocess.Popen[str], list[int], Path]:
    running = subprocess.Popen(
        [*RIG, "--", sys.executable, "-c", CHILDREN, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert running.stdout is not None
    first = running.stdout.readline()
    if not first:
        pytest.fail(running.communicate()[1])
    near, far, folder = json.loads(first)
    return running, [near, far], Path(folder)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_signal_reaches_the_command_and_ends_its_children(
    how: signal.Signals,
) -> None:
    running, pids, folder = start()

    running.send_signal(how)
    running.communicate()

    assert running.returncode in (1, 128 + how)
    wait_until_gone(pids, folder)


def test_a_killed_rig_takes_even_deaf_children_along() -> None:
    running, pids, folder = start("deaf")

    os.kill(running.pid, signal.SIGKILL)
    running.communicate()

    wait_until_gone(pids, folder)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--", "no-such-program"], "no program no-such-program"),
        (["--static", "nowhere.zip"], "no file nowhere.zip"),
        (["--realtime", "nowhere"], "--realtime needs --static too"),
        (["--scale", "huge"], "no scale huge"),
        (["--service-time", "noon"], "not a time of day"),
    ],
    ids=["program", "static", "realtime", "scale", "time"],
)
def test_bad_use_is_one_sentence_and_starts_nothing(words: list[str], why: str) -> None:
    mark = {"MARK_OF_THIS_TEST": secrets.token_hex(8)}  # handed to all that it starts

    done = subprocess.run(
        [*RIG, *words],
        env={**os.environ, **mark},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert not [p for p in psutil.process_iter() if mark.items() <= environment(p)]


def environment(process: psutil.Process) -> set[tuple[str, str]]:
    try:
        return set(process.environ().items())
    except psutil.Error:
        return set()
