"""A seeded city of any size: lines, stops and trips, computed line by line.

Nothing is stored: every line follows from (seed, number), so that a network of New
South Wales' size is written and queried in the memory of one line.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from loadtests.rig.scales import MODES, SERVICES, SMALL, Mode, Scale

FIRST_TRIP_S = 5 * 3600
LAST_TRIP_S = 25 * 3600
CENTRE = (-33.8688, 151.2093)
STOP_SPACING = 0.004
"""Degrees between neighbouring stops, about 400 m."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """A stop sequence of one line with the running times between its stops."""

    number: int
    direction: int
    stops: tuple[int, ...]
    profiles: tuple[tuple[int, ...], ...]
    """Arrivals, seconds after the first departure, one tuple for each profile."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trip:
    """``start_s``: first departure in GTFS seconds of the service day."""

    trip_id: str
    service: str
    pattern: Pattern
    profile: int
    start_s: int

    @property
    def arrivals(self) -> tuple[int, ...]:
        """Seconds after the first departure."""
        return self.pattern.profiles[self.profile]

    @property
    def end_s(self) -> int:
        """Last arrival in GTFS seconds of the service day."""
        return self.start_s + self.arrivals[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One route with its patterns and trips."""

    number: int
    mode: Mode
    route_id: str
    name: str
    patterns: tuple[Pattern, ...]
    trips: tuple[Trip, ...]


class City:
    """A network that follows from its scale and seed."""

    def __init__(self, scale: Scale = SMALL, seed: int = 1) -> None:
        self.scale = scale
        self.seed = seed
        self._width = max(8, math.isqrt(scale.stops))

    def lines(self) -> Iterator[Line]:
        """Every line, made as it is asked for."""
        return (self.line(number) for number in range(self.scale.lines))

    def modes(self) -> list[Mode]:
        """The mode of each line: small shares get a line each, buses the rest."""
        modes: list[Mode] = []
        for mode in MODES[:-1]:
            modes += [mode] * max(1, round(mode.share * self.scale.lines))
        modes = modes[: self.scale.lines]
        return modes + [MODES[-1]] * (self.scale.lines - len(modes))

    def line(self, number: int) -> Line:
        """The line of that number; the same one each time."""
        return _line(self.scale, self.seed, number, self._mode(number), self._width)

    def stop_id(self, stop: int) -> str:
        """A stop's id, in the manner of NSW: post code and serial number."""
        return f"{2000 + stop % 800}{stop // 800 + 1:03d}"

    def position(self, stop: int) -> tuple[float, float]:
        """Latitude and longitude of a stop, on a jittered grid around Sydney."""
        row, column = divmod(stop, self._width)
        jitter = (stop * 2654435761) % 1000 / 1000 - 0.5
        middle = self._width / 2
        latitude = CENTRE[0] + (row - middle + 0.4 * jitter) * STOP_SPACING
        longitude = CENTRE[1] + (column - middle - 0.4 * jitter) * STOP_SPACING
        return round(latitude, 6), round(longitude, 6)

    def _mode(self, number: int) -> Mode:
        return _modes(self.scale)[number]


@lru_cache(maxsize=8)
def _modes(scale: Scale) -> tuple[Mode, ...]:
    return tuple(City(scale).modes())


def _line(scale: Scale, seed: int, number: int, mode: Mode, width: int) -> Line:
    rng = random.Random(f"{seed}:{number}")
    patterns = tuple(_patterns(scale, rng, mode, width))
    return Line(
        number=number,
        mode=mode,
        route_id=_route_id(mode, number),
        name=_name(mode, number),
        patterns=patterns,
        trips=tuple(_trips(scale, rng, mode, number, patterns)),
    )


def _patterns(
    scale: Scale, rng: random.Random, mode: Mode, width: int
) -> Iterator[Pattern]:
    """Both directions, each in full and as a short working."""
    length = max(
        6, round(rng.gauss(scale.stops_per_trip * 1.12, scale.stops_per_trip / 8))
    )
    there = _walk(scale, rng, width, length)
    run_s = 150 if mode.route_type == 2 else 95
    gaps = [max(30, round(rng.gauss(run_s, run_s / 4))) for _ in there[1:]]
    short = max(4, round(length * 0.75))
    number = 0
    for direction, stops, times in ((0, there, gaps), (1, there[::-1], gaps[::-1])):
        for taken in (length, short):
            yield Pattern(
                number=number,
                direction=direction,
                stops=tuple(stops[:taken]),
                profiles=(
                    _arrivals(times[: taken - 1], mode.dwell_s, 1.0),
                    _arrivals(times[: taken - 1], mode.dwell_s, 1.25),
                ),
            )
            number += 1


def _walk(scale: Scale, rng: random.Random, width: int, length: int) -> list[int]:
    """Neighbouring stops of the grid, none twice, mostly straight on."""
    rows = max(2, scale.stops // width)
    row, column = rng.randrange(rows), rng.randrange(width)
    down, right = rng.choice((-1, 1)), rng.choice((-1, 1))
    walked = {row * width + column: None}
    while len(walked) < length:
        if rng.random() < 0.5:
            row += down
        else:
            column += right
        if not 0 <= row < rows:
            down, row = -down, min(max(row, 0), rows - 1)
        if not 0 <= column < width:
            right, column = -right, min(max(column, 0), width - 1)
        walked[row * width + column] = None
        if rng.random() < 0.02:
            row, column = rng.randrange(rows), rng.randrange(width)
    return list(walked)


def _arrivals(gaps: list[int], dwell_s: int, slower: float) -> tuple[int, ...]:
    arrivals, at = [0], 0
    for gap in gaps:
        at += round(gap * slower)
        arrivals.append(at)
        at += dwell_s
    return tuple(arrivals)


def _trips(
    scale: Scale,
    rng: random.Random,
    mode: Mode,
    number: int,
    patterns: tuple[Pattern, ...],
) -> Iterator[Trip]:
    serial = 0
    for service, _, share in SERVICES:
        each = max(2, round(scale.trips_per_line * share / 2))
        headway_s = (LAST_TRIP_S - FIRST_TRIP_S) / each
        for direction in (0, 1):
            phase_s = rng.uniform(0, headway_s)
            for index in range(each):
                start_s = FIRST_TRIP_S + phase_s + index * headway_s
                short = index % 4 == 3
                peak = 7 <= start_s / 3600 < 9.5 or 15.5 <= start_s / 3600 < 18.5
                yield Trip(
                    trip_id=_trip_id(mode, number, serial),
                    service=service,
                    pattern=patterns[direction * 2 + short],
                    profile=int(peak),
                    start_s=round(start_s / 60) * 60,
                )
                serial += 1


def _route_id(mode: Mode, number: int) -> str:
    if mode.route_type == 2:
        return f"T{number % 9 + 1}_{number}a"
    if mode.route_type == 700:
        return f"{2433 + number % 30}_{100 + number}"
    return f"{mode.agency}_{number}"


def _name(mode: Mode, number: int) -> str:
    return {2: f"T{number % 9 + 1}", 401: f"M{number}", 4: f"F{number}"}.get(
        mode.route_type, str(100 + number)
    )


def _trip_id(mode: Mode, number: int, serial: int) -> str:
    if mode.route_type == 2:
        run = f"{serial % 900 + 100}{'ABCDEFGH'[number % 8]}"
        return f"{run}.1287.134.{serial % 64}.T.8.{89_000_000 + number * 1000 + serial}"
    if mode.route_type == 401:
        return f"{serial:04d}-001-{number:03d}-{serial % 40:03d}:1001"
    return str(1_000_000 + number * 1000 + serial)
