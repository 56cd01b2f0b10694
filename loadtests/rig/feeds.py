"""The synthetic timetable as a GTFS archive, with the columns and quirks of NSW's.

Every field quoted, CRLF, hours past 24, whole metres, NSW's own columns; written line
by line, so that memory does not grow with the size of the network.
https://opendata.transport.nsw.gov.au/dataset/timetables-complete-gtfs
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np

from loadtests.rig.city import City, Line, Pattern
from loadtests.rig.scales import SERVICES, SMALL, Scale
from loadtests.rig.streamed_zip import StreamedZip

BLOCK_BYTES = 1 << 20
VALID_BEFORE = timedelta(days=7)
VALID_AFTER = timedelta(days=90)
METRES_PER_STOP = 450
STATION_EVERY = 40
"""One stop in so many has a parent station."""


def synthetic_bundle(
    path: Path,
    scale: Scale = SMALL,
    *,
    seed: int = 1,
    service_day: date,
    modes: Callable[[str], bool] = lambda feed: True,
    foreign_trains: bool = False,
) -> dict[str, int]:
    """Write the archive; the bytes of each file before packing.

    The calendar covers ``service_day`` and three months. ``modes`` chooses by
    ``Mode.feed``. ``foreign_trains`` gives trains the ids of another system than the
    realtime feed's, as NSW's complete bundle does.
    """
    city = City(scale, seed)

    def lines() -> Iterator[Line]:
        return (line for line in city.lines() if modes(line.mode.feed))

    def trip_id(line: Line, trip: str) -> str:
        if foreign_trains and line.mode.route_type == 2:
            return f"{trip.rpartition('.')[2]}.T0.{line.number}"
        return trip

    files: dict[str, Iterable[str]] = {
        "agency.txt": _agencies(lines()),
        "calendar.txt": _calendar(service_day),
        "calendar_dates.txt": [_row("service_id", "date", "exception_type")],
        "routes.txt": _routes(lines()),
        "stops.txt": _stops(city),
        "trips.txt": _trips(lines(), trip_id),
        "stop_times.txt": _stop_times(city, lines(), trip_id),
        "shapes.txt": _shapes(city, lines()),
        "notes.txt": [_row("note_id", "note_text")],
    }
    with StreamedZip(path) as archive:
        return {name: archive.add(name, _blocks(rows)) for name, rows in files.items()}


def _blocks(texts: Iterable[str]) -> Iterator[bytes]:
    waiting: list[str] = []
    size = 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= BLOCK_BYTES:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


def _row(*values: object) -> str:
    return '"' + '","'.join(map(str, values)) + '"\r\n'


def _agencies(lines: Iterable[Line]) -> Iterator[str]:
    yield _row(
        *("agency_id", "agency_name", "agency_url", "agency_timezone"),
        *("agency_lang", "agency_phone"),
    )
    for agency in sorted({_agency(line) for line in lines}):
        yield _row(
            *(agency, f"Operator {agency}", "http://transportnsw.info"),
            *("Australia/Sydney", "en", "131500"),
        )


def _agency(line: Line) -> str:
    return (
        line.route_id.partition("_")[0]
        if line.mode.route_type == 700
        else (line.mode.agency)
    )


def _calendar(service_day: date) -> Iterator[str]:
    days = ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun")
    yield _row("service_id", *(f"{day}day" for day in days), "start_date", "end_date")
    for service, flags, _ in SERVICES:
        yield _row(
            *(service, *flags),
            (service_day - VALID_BEFORE).strftime("%Y%m%d"),
            (service_day + VALID_AFTER).strftime("%Y%m%d"),
        )


def _routes(lines: Iterable[Line]) -> Iterator[str]:
    yield _row(
        *("route_id", "agency_id", "route_short_name", "route_long_name"),
        *("route_desc", "route_type", "route_color", "route_text_color"),
    )
    for line in lines:
        yield _row(
            *(line.route_id, _agency(line), line.name, f"Line {line.name}, both ways"),
            *("Sydney Network", line.mode.route_type, "00B5EF", "FFFFFF"),
        )


def _stops(city: City) -> Iterator[str]:
    yield _row(
        *("stop_id", "stop_code", "stop_name", "stop_lat", "stop_lon"),
        *("location_type", "parent_station", "wheelchair_boarding", "level_id"),
        "platform_code",
    )
    for stop in range(city.scale.stops):
        latitude, longitude = city.position(stop)
        name, station = f"Street {stop} opp Park, Suburb {stop % 90}", ""
        if stop % STATION_EVERY == 0:
            station = f"G{city.stop_id(stop)}"
            where = (f"{latitude:.6f}", f"{longitude:.6f}")
            yield _row(station, "", f"Station {stop}", *where, "1", "", "1", "", "")
        yield _row(
            *(city.stop_id(stop), city.stop_id(stop), name),
            *(f"{latitude:.6f}", f"{longitude:.6f}", "", station, "1", "", ""),
        )


def _trips(lines: Iterable[Line], trip_id: Callable[[Line, str], str]) -> Iterator[str]:
    yield _row(
        *("route_id", "service_id", "trip_id", "shape_id", "trip_headsign"),
        *("direction_id", "block_id", "wheelchair_accessible", "route_direction"),
        *("trip_note", "bikes_allowed"),
    )
    for line in lines:
        for trip in line.trips:
            number, direction = trip.pattern.number, trip.pattern.direction
            yield _row(
                *(line.route_id, trip.service, trip_id(line, trip.trip_id)),
                *(f"{line.route_id}.{number}", f"Suburb {line.number % 90}"),
                *(direction, "", "1", f"Line {line.name} direction {direction}"),
                *("", "0"),
            )


@cache
def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def _stop_times(
    city: City, lines: Iterable[Line], trip_id: Callable[[Line, str], str]
) -> Iterator[str]:
    yield _row(
        *("trip_id", "arrival_time", "departure_time", "stop_id", "stop_sequence"),
        *("stop_headsign", "pickup_type", "drop_off_type", "shape_dist_traveled"),
        *("timepoint", "stop_note"),
    )
    for line in lines:
        ends = {p.number: _row_ends(city, p) for p in line.patterns}
        for trip in line.trips:
            start = trip.start_s
            head = f'"{trip_id(line, trip.trip_id)}","'
            dwells = _dwells(trip.arrivals, line.mode.dwell_s)
            rows = [
                f'{_clock(start + at)}","{_clock(start + at + dwell)}{end}'
                for at, dwell, end in zip(
                    trip.arrivals, dwells, ends[trip.pattern.number], strict=True
                )
            ]
            yield head + head.join(rows)


def _dwells(arrivals: tuple[int, ...], dwell_s: int) -> Iterable[int]:
    middle = len(arrivals) - 2
    return chain((0,), (dwell_s for _ in range(middle)), (0,))


def _row_ends(city: City, pattern: Pattern) -> list[str]:
    last = len(pattern.stops) - 1
    return [
        f'","{city.stop_id(stop)}","{index + 1}","","{int(index == last)}",'
        f'"{int(index == 0)}","{index * METRES_PER_STOP}",'
        f'"{int(index % 5 == 0)}",""\r\n'
        for index, stop in enumerate(pattern.stops)
    ]


def _shapes(city: City, lines: Iterable[Line]) -> Iterator[str]:
    yield _row(
        *("shape_id", "shape_pt_lat", "shape_pt_lon", "shape_pt_sequence"),
        "shape_dist_traveled",
    )
    points = city.scale.shape_points
    row = '"{0}","%.6f","%.6f","%d","%d"\r\n'
    template = row * points
    share = np.linspace(0, 1, points)
    for line in lines:
        for pattern in line.patterns:
            where = np.array([city.position(stop) for stop in pattern.stops])
            at = share * (len(where) - 1)
            along = np.arange(len(where))
            wave = 0.0003 * np.sin(share * 97 + line.number)
            values = np.stack(
                [
                    np.interp(at, along, where[:, 0]) + wave,
                    np.interp(at, along, where[:, 1]) - wave,
                    np.arange(1, points + 1),
                    at * METRES_PER_STOP,
                ],
                axis=1,
            )
            shape_id = f"{line.route_id}.{pattern.number}"
            yield template.replace("{0}", shape_id) % tuple(values.ravel().tolist())
