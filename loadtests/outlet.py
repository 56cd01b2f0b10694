"""Where a run is written: refused before it starts, or filled, or taken away again."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from simulation.scenario import Scenario
from worker.errors import UsageError


def default_folder(out: Path, scenario: Scenario) -> Path:
    """``out/<scenario>-<users>-<time>``."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return out / f"{scenario.name}-{scenario.users}-{now}"


LEAVES = ("locust*", "run.json", "tasks.csv", "deliveries.csv", "samples.csv")
"""What a run leaves in its folder; what others put there is theirs."""


def refuse_taken(folder: Path) -> None:
    """Raise UsageError for a folder that holds a run."""
    if (folder / "run.json").exists():
        raise UsageError(f"{folder} holds a run already: give another --out")


def refuse_unwritable(folder: Path) -> None:
    """Raise UsageError where no folder can be made, or no file in it.

    Found by trying: rights, mounts and files in the way are the system's to judge. What
    was made to try is taken away again.
    """
    made: list[Path] = []
    try:
        made += [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        for path in made:
            with suppress(OSError):  # not made after all, or "made/..", which is full
                path.rmdir()


def refuse_no_file(path: Path) -> None:
    """Raise UsageError where no file of that name can be written."""
    refuse_unwritable(path.parent)
    try:
        taken = path.is_dir()
    except OSError as error:
        raise _unwritable(path, error) from None
    if taken:
        raise UsageError(f"{path} is a folder: --out names the file to write")


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"nothing can be written to {path} ({error.strerror}): give another --out"
    )


@contextmanager
def of_a_whole_run(folder: Path) -> Iterator[None]:
    """A folder to fill; where the run is cut short, nothing that it leaves is left, and
    no folder that is new.
    """
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    try:
        yield
    except BaseException:
        if new:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            for pattern in LEAVES:
                for path in set(folder.glob(pattern)) - before:
                    with suppress(OSError):  # gone already, or no file of a run's
                        path.unlink()
        raise
