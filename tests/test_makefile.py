"""What make answers before anything is installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def make(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # Variables of a make above this test must not reach the one below it.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *words],
        cwd=cwd,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The Makefile and the lock, nothing set up."""
    (tmp_path / "worker").mkdir()
    for name in ("Makefile", "requirements.lock", "worker/requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_make_alone_prints_help():
    listed = re.findall(r"^  (\w+)", make().stdout, re.M)

    assert {"setup", "test", "lab", "lock", "clean"} <= set(listed)


def test_help_lists_only_targets_that_exist():
    targets = re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.M)

    assert set(re.findall(r"^  (\w+)", make("help").stdout, re.M)) <= set(targets)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STATIC", "no-such.zip"),
        ("STATIC", "."),
        ("STATIC", "a folder with spaces/no-such.zip"),
        ("REALTIME", "no-such-folder"),
        ("REALTIME", "Makefile"),
    ],
)
def test_input_that_is_not_there_is_one_sentence_before_any_set_up(
    bare, variable, value
):
    done = make("-s", "plan", f"{variable}={value}", cwd=bare)

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"{variable}={value}" in done.stderr
    assert not (bare / ".venv").exists()


def test_without_a_python_that_fits_make_says_so(bare):
    done = make("setup", "PYTHON=", cwd=bare)

    assert done.returncode == 2
    assert "No Python 3.11 to 3.13" in done.stderr
    assert not (bare / ".venv").exists()
