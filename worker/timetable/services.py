"""calendar.txt and calendar_dates.txt: row by row, and as one row of bits a service."""

from worker.timetable import hashing
from worker.timetable.archive import Archive
from worker.timetable.building import Building
from worker.timetable.calendars import Services
from worker.timetable.files import CALENDAR_FILES, SIMPLE
from worker.timetable.keys import Interned, KeyTable
from worker.timetable.simple import Row, load_simple


def load_services(
    building: Building,
    archive: Archive,
    taken: set[str],
    first_key: int,
    name: str,
) -> tuple[Services, Interned]:
    """Load both calendar files; the services, and their keys from ``first_key`` on.

    ``taken`` are the ids of earlier bundles: the same id is another service here, and
    is written with the bundle's ``name`` behind it. The new ids are added to it.
    """
    services = Services()
    skips = building.skips

    def rename(service_id: str) -> str:
        return f"{service_id}@{name}" if service_id in taken else service_id

    adders = (services.add_calendar, services.add_exception)
    for file_name, add in zip(CALENDAR_FILES, adders, strict=True):
        if file_name not in archive.members:
            continue

        def accept(row: Row, line: int, add=add, file_name=file_name) -> bool:  # type: ignore[no-untyped-def]
            reason = add(row)
            if reason:
                skips.add(file_name, line, reason, kind=reason.split(" ")[0])
            return reason is None

        if building.is_empty(archive, SIMPLE[file_name]):
            skips.warn(f"{file_name} is empty")
            continue
        load_simple(
            building,
            archive,
            SIMPLE[file_name],
            accept,
            keys=KeyTable(),
            rename=rename,
        )
    keys = Interned(first_key)
    lines: list[str] = []
    numbers, _ = keys.keys(hashing.hash_texts(list(services.days)))
    for key, service_id in zip(numbers.tolist(), services.days, strict=True):
        lines.append(services.line(key, service_id, rename(service_id)))
    taken.update(services.days)
    building.sink.write("services", lines)
    return services, keys
