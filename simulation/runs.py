"""The run folder: what a load run leaves, and what the model leaves alike.

``run.json`` says what was run; ``tasks.csv``, ``deliveries.csv`` and ``samples.csv``
hold the records. All times are UTC epoch seconds. Standard library only.

What calibration and validation read besides the records:

- run.json ``role`` (calibration or holdout), ``users``, ``settings`` (the ``--set``
  texts), ``machine``, ``versions``, and ``events``: one ``{"published_at": epoch s,
  "riders": n}`` for each delay that was published, riders being who should be told;
  ``groups``: columns ``published_at`` and ``notifications`` of what a publisher handed
  to the senders; ``happened``: ``{"kind", "at", "value", "duration_s"}`` of each sync
  and of each hampering of the outside;
- samples ``v_eff`` (cores that an independent canary got), ``memory_mib`` (label: the
  process), ``children`` (label: the pool);
- a task's detail ``notifications``: how many its attempt made or sent.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any

from worker.errors import UsageError
from worker.measures import Recorded
from worker.records import Delivery, Record, Sample, TaskRecord, as_row, task_record

FORMAT = 1
"""Version of the folder's format; a newer one is refused."""
TABLES: dict[str, type[Record]] = {
    "tasks.csv": TaskRecord,
    "deliveries.csv": Delivery,
    "samples.csv": Sample,
}
"""The folder's tables: a row of each is one such record."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run: ``about`` is run.json, ``records`` what was recorded."""

    folder: Path
    about: Mapping[str, Any]
    records: Recorded

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.name


def write_run(folder: Path, about: Mapping[str, Any], records: Recorded) -> Run:
    """Write a run folder and give back what was written.

    ``about`` needs scenario, users, seed, policy settings, versions, machine and
    source ("worker" or "model"); format and window are added here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = {
        "format": FORMAT,
        **about,
        "started_at": records.started_at,
        "finished_at": records.finished_at,
    }
    recorded: tuple[Sequence[Record], ...] = (
        records.tasks,
        records.deliveries,
        records.samples,
    )
    for (name, kind), rows in zip(TABLES.items(), recorded, strict=True):
        _write_csv(folder / name, kind, rows)
    (folder / "run.json").write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
    return Run(folder=folder, about=whole, records=records)


def load_run(folder: Path | str) -> Run:
    """Read a run folder; raises UsageError when it is none, or of a newer format."""
    folder = Path(folder)
    try:
        about = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{folder} is not a run folder: run.json cannot be read "
            f"({type(error).__name__}); record one with "
            "'python -m loadtests run disruption --users 1000 --minutes 2'"
        ) from None
    if not isinstance(about, dict) or not isinstance(about.get("format"), int):
        raise UsageError(f"{folder}/run.json names no format: it is not a run of ours")
    if about["format"] > FORMAT:
        raise UsageError(
            f"{folder} has format {about['format']}, this program reads up to "
            f"{FORMAT}; update the program"
        )
    started_at, finished_at = _window(folder, about)
    tasks, deliveries, samples = (
        [_parsed(folder, name, row, number) for number, row in _rows(folder, name)]
        for name in TABLES
    )
    records = Recorded(
        tasks=tasks,  # type: ignore[arg-type]
        deliveries=deliveries,  # type: ignore[arg-type]
        samples=samples,  # type: ignore[arg-type]
        started_at=started_at,
        finished_at=finished_at,
    )
    return Run(folder=folder, about=about, records=records)


def _window(folder: Path, about: Mapping[str, Any]) -> tuple[float, float]:
    """When the run began and ended, epoch seconds."""
    try:
        ends = float(about["started_at"]), float(about["finished_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{folder}/run.json does not say when the run was ({error})"
        ) from None
    if not 0 <= ends[0] < ends[1] < inf:
        raise UsageError(
            f"{folder}/run.json says that the run lasted from {ends[0]:g} to "
            f"{ends[1]:g}: its end must come after its start"
        )
    return ends


def _write_csv(path: Path, kind: type[Record], records: Iterable[Record]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([name.name for name in fields(kind)])
        for record in records:
            writer.writerow([_cell(value) for value in as_row(record).values()])


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True) if value else ""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return "" if value is None else value


def _rows(folder: Path, name: str) -> Iterable[tuple[int, dict[str, str]]]:
    path = folder / name
    if not path.exists():
        raise UsageError(f"{folder} has no {name}: the run is not whole")
    try:
        with path.open(newline="") as file:
            rows = csv.DictReader(file)
            known = [each.name for each in fields(TABLES[name])]
            missing = [
                column for column in known if column not in (rows.fieldnames or ())
            ]
            if missing:
                raise UsageError(
                    f"{path} is not a table of ours: its first line does not name "
                    f"{', '.join(missing)}; record the run again"
                )
            yield from enumerate(rows, start=2)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is not a table of ours: {error}") from None


def _moments(row: Mapping[str, str], *names: str) -> None:
    """Raises ValueError where a moment that may be empty is no moment."""
    for name in names:
        if row[name] and not 0 <= float(row[name]) < inf:
            raise ValueError(f"{name} is {row[name]}: wanted epoch seconds")


def _parsed(folder: Path, name: str, row: dict[str, str], number: int) -> Record:
    try:
        if name == "tasks.csv":
            _moments(row, "started_at")
            return _in_order(
                task_record({**row, "detail": json.loads(row["detail"] or "{}")})
            )
        if name == "samples.csv":
            return Sample(
                at=float(row["at"]),
                name=row["name"],
                label=row["label"],
                value=float(row["value"]),
            )
        _moments(row, "sent_at", "arrived_at")
        return Delivery(
            notification_id=row["notification_id"],
            published_at=float(row["published_at"]),
            matched_at=float(row["matched_at"]),
            sent_at=float(row["sent_at"]) if row["sent_at"] else None,
            arrived_at=float(row["arrived_at"]) if row["arrived_at"] else None,
            outcome=row["outcome"],
            token=row["token"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder}/{name}:{number} cannot be read: {error}") from None


def _in_order(record: TaskRecord) -> TaskRecord:
    """The record; raises ValueError when it ends before it begins."""
    times = [record.enqueued_at, record.started_at, record.finished_at]
    known = [at for at in times if at is not None]
    if known != sorted(known):
        raise ValueError(f"attempt {record.task_id} ends before it begins")
    return record
