"""Moving a recorded timetable by whole days, so that its day becomes today.

Times of day stay; dates in the calendars move, and the columns of the weekdays turn,
so that a service that ran on the recorded day runs today. Other files pass unread.
"""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

from loadtests.rig.folder import RigError
from loadtests.rig.streamed_zip import StreamedZip

WEEKDAYS = (
    *("monday", "tuesday", "wednesday", "thursday"),
    *("friday", "saturday", "sunday"),
)
BLOCK = 1 << 20


def redate_bundle(source: Path, target: Path, days: int) -> None:
    """Copy an archive with its calendars moved by ``days``; memory stays flat."""
    with _opened(source) as archive, StreamedZip(target) as out:
        for info in archive.infolist():
            if info.is_dir():
                continue
            name = Path(info.filename).name
            with archive.open(info) as file:
                if name in ("calendar.txt", "calendar_dates.txt", "feed_info.txt"):
                    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
                    out.add(info.filename, redate_rows(text, days))
                else:
                    out.add(info.filename, iter(lambda: file.read(BLOCK), b""))


def redate_rows(lines: Iterable[str], days: int) -> Iterator[bytes]:
    """The rows of a calendar file with dates moved and weekdays turned."""
    rows = csv.reader(lines)
    header = next(rows, None)
    if header is None:
        return
    names = [name.strip() for name in header]
    dates = [
        at
        for at, name in enumerate(names)
        if name
        in ("date", "start_date", "end_date", "feed_start_date", "feed_end_date")
    ]
    flags = [names.index(day) for day in WEEKDAYS if day in names]
    yield _line(header)
    for row in rows:
        for at in dates:
            if at < len(row) and len(row[at]) == 8:
                row[at] = shifted(row[at], days)
        if len(flags) == 7 and len(row) > max(flags):
            old = [row[at] for at in flags]
            for weekday, at in enumerate(flags):
                row[at] = old[(weekday - days) % 7]
        yield _line(row)


def shifted(day: str, days: int) -> str:
    """A GTFS date some days later."""
    moved = datetime.strptime(day, "%Y%m%d").date() + timedelta(days=days)  # noqa: DTZ007
    return moved.strftime("%Y%m%d")


def busiest_day(source: Path) -> date:
    """The first of the days on which most services run; RigError when none does."""
    runs: Counter[date] = Counter()
    with _opened(source) as archive:
        for row in _rows(archive, "calendar.txt"):
            first, last = _date(row["start_date"]), _date(row["end_date"])
            for ahead in range(min((last - first).days + 1, 400)):
                day = first + timedelta(days=ahead)
                runs[day] += row[WEEKDAYS[day.weekday()]].strip() == "1"
        for row in _rows(archive, "calendar_dates.txt"):
            runs[_date(row["date"])] += 1 if row["exception_type"] == "1" else -1
    if not runs or max(runs.values()) <= 0:
        raise RigError(f"{source} has no service on any day: give another archive")
    most = max(runs.values())
    return min(day for day, count in runs.items() if count == most)


def runs_on(source: Path, day: date) -> bool:
    """Whether any service of the archive runs on that day."""
    text = day.strftime("%Y%m%d")
    with _opened(source) as archive:
        weekly = any(
            row["start_date"] <= text <= row["end_date"]
            and row[WEEKDAYS[day.weekday()]].strip() == "1"
            for row in _rows(archive, "calendar.txt")
        )
        return weekly or any(
            row["date"] == text and row["exception_type"] == "1"
            for row in _rows(archive, "calendar_dates.txt")
        )


def route_types(source: Path) -> set[int]:
    """The modes that an archive holds."""
    with _opened(source) as archive:
        return {int(row["route_type"]) for row in _rows(archive, "routes.txt")}


def _opened(source: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except FileNotFoundError:
        raise RigError(f"there is no file {source}: STATIC names a GTFS zip") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise RigError(f"{source} is not a readable zip archive: {error}") from None


def _rows(archive: zipfile.ZipFile, name: str) -> Iterator[dict[str, str]]:
    for info in archive.infolist():
        if Path(info.filename).name == name:
            with archive.open(info) as file:
                text = io.TextIOWrapper(file, "utf-8-sig", newline="")
                for row in csv.DictReader(text):
                    yield {(k or "").strip(): (v or "").strip() for k, v in row.items()}


def _date(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007


def _line(row: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(row)
    return text.getvalue().encode()
