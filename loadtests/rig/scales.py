"""What a made-up city is made of, and how much of it: modes, services, sizes."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Mode:
    """One kind of service; ``feed`` ends the path of its realtime feeds."""

    feed: str
    route_type: int
    agency: str
    share: float
    dwell_s: int


MODES: tuple[Mode, ...] = (
    Mode(
        feed="sydneytrains", route_type=2, agency="SydneyTrains", share=0.05, dwell_s=42
    ),
    Mode(feed="metro", route_type=401, agency="SMNW", share=0.01, dwell_s=30),
    Mode(
        feed="ferries/sydneyferries", route_type=4, agency="112", share=0.02, dwell_s=60
    ),
    Mode(
        feed="lightrail/innerwest",
        route_type=900,
        agency="IWLR",
        share=0.01,
        dwell_s=20,
    ),
    Mode(
        feed="lightrail/cbdandsoutheast",
        route_type=900,
        agency="CSELR",
        share=0.01,
        dwell_s=20,
    ),
    Mode(
        feed="lightrail/parramatta",
        route_type=900,
        agency="PLR",
        share=0.01,
        dwell_s=20,
    ),
    Mode(feed="buses", route_type=700, agency="2441", share=1.0, dwell_s=0),
)
"""Shares of the lines; buses are what is left. The ids look like each feed's own."""

SERVICES: tuple[tuple[str, str, float], ...] = (
    ("daily", "1111111", 0.3),
    ("weekday", "1111100", 0.35),
    ("weekend", "0000011", 0.35),
)
"""Service, its days from Monday on, its share of the trips: every day is as busy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How large a city is; ``trips_per_line`` counts all services together."""

    lines: int
    trips_per_line: int
    stops_per_trip: int
    stops: int
    shape_points: int


SMALL = Scale(
    lines=120, trips_per_line=90, stops_per_trip=24, stops=2_000, shape_points=60
)
NSW = Scale(
    lines=7_000, trips_per_line=31, stops_per_trip=38, stops=60_000, shape_points=535
)
"""About 210,000 trips, 8.7 million stop times, 15 million shape points."""

SCALES = {"small": SMALL, "nsw": NSW}
