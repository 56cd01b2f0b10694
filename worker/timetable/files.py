"""The files of a feed: their columns, keys and references, as rows.

Column names and meanings: https://gtfs.org/documentation/schedule/reference/ and, for
notes and the columns marked NSW, the Transport for NSW GTFS release notes
(https://opendata.transport.nsw.gov.au/dataset/timetables-complete-gtfs).
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "whole", "number", "clock", "date"]

PG_TYPES: dict[Kind, str] = {
    "text": "text",
    "whole": "integer",
    "number": "double precision",
    "clock": "integer",
    "date": "text",
}
"""How a value is stored: a clock time as seconds, a date as its eight digits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file: ``columns`` by name, ``key`` (unique together), ``required`` columns.

    ``references`` are columns whose value must be in that file, or the row is left
    out. ``numbered``: other tables hold the row's number instead of its text id.
    """

    name: str
    columns: dict[str, Kind]
    key: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    references: tuple[tuple[str, str], ...] = ()
    numbered: bool = False

    @property
    def view(self) -> str:
        """The name of its view: the file's without ``.txt``."""
        return self.name.removesuffix(".txt")

    @property
    def table(self) -> str:
        """The name of the table that holds its rows."""
        return f"{self.view}_rows"


def _columns(text: str = "", **others: str) -> dict[str, Kind]:
    columns: dict[str, Kind] = dict.fromkeys(text.split(), "text")
    for kind, names in others.items():
        for name in names.split():
            columns[name] = kind  # type: ignore[assignment]
    return columns


_DAYS = "monday tuesday wednesday thursday friday saturday sunday"

SIMPLE: dict[str, File] = {
    file.name: file
    for file in (
        File(
            name="agency.txt",
            columns=_columns(
                "agency_id agency_name agency_url agency_timezone agency_lang "
                "agency_phone agency_fare_url agency_email"
            ),
            key=("agency_id",),
            required=("agency_name", "agency_timezone"),
        ),
        File(
            name="stops.txt",
            columns=_columns(
                "stop_id stop_code stop_name tts_stop_name stop_desc zone_id stop_url "
                "parent_station stop_timezone level_id platform_code stop_access",
                whole="location_type wheelchair_boarding",
                number="stop_lat stop_lon",
            ),
            key=("stop_id",),
            required=("stop_id",),
            numbered=True,
        ),
        File(
            name="routes.txt",
            columns=_columns(
                "route_id agency_id route_short_name route_long_name route_desc "
                "route_url route_color route_text_color network_id",
                whole="route_type route_sort_order continuous_pickup "
                "continuous_drop_off",
            ),
            key=("route_id",),
            required=("route_id", "route_type"),
            numbered=True,
        ),
        File(
            name="calendar.txt",
            columns=_columns("service_id", date="start_date end_date", whole=_DAYS),
            key=("service_id",),
            required=("service_id", "start_date", "end_date", *_DAYS.split()),
        ),
        File(
            name="calendar_dates.txt",
            columns=_columns("service_id", date="date", whole="exception_type"),
            key=("service_id", "date"),
            required=("service_id", "date", "exception_type"),
        ),
        File(
            name="frequencies.txt",
            columns=_columns(
                "trip_id", clock="start_time end_time", whole="headway_secs exact_times"
            ),
            key=("trip_id", "start_time"),
            required=("trip_id", "start_time", "end_time", "headway_secs"),
            references=(("trip_id", "trips.txt"),),
        ),
        File(
            name="transfers.txt",
            columns=_columns(
                "from_stop_id to_stop_id from_route_id to_route_id from_trip_id "
                "to_trip_id",
                whole="transfer_type min_transfer_time",
            ),
        ),
        File(
            name="pathways.txt",
            columns=_columns(
                "pathway_id from_stop_id to_stop_id signposted_as "
                "reversed_signposted_as",
                whole="pathway_mode is_bidirectional traversal_time stair_count",
                number="length max_slope min_width",
            ),
            key=("pathway_id",),
            required=("pathway_id",),
        ),
        File(
            name="levels.txt",
            columns=_columns("level_id level_name", number="level_index"),
            key=("level_id",),
            required=("level_id",),
        ),
        File(
            name="feed_info.txt",
            columns=_columns(
                "feed_publisher_name feed_publisher_url feed_lang default_lang "
                "feed_start_date feed_end_date feed_version feed_contact_email "
                "feed_contact_url"
            ),
        ),
        File(
            name="notes.txt",  # NSW
            columns=_columns("note_id note_text"),
            key=("note_id",),
            required=("note_id",),
        ),
        File(
            name="fare_attributes.txt",
            columns=_columns(
                "fare_id price currency_type agency_id",
                whole="payment_method transfers transfer_duration",
            ),
            key=("fare_id",),
            required=("fare_id",),
        ),
        File(
            name="fare_rules.txt",
            columns=_columns("fare_id route_id origin_id destination_id contains_id"),
            required=("fare_id",),
        ),
        File(
            name="attributions.txt",
            columns=_columns(
                "attribution_id agency_id route_id trip_id organization_name "
                "attribution_url attribution_email attribution_phone",
                whole="is_producer is_operator is_authority",
            ),
        ),
        File(
            name="translations.txt",
            columns=_columns(
                "table_name field_name language translation record_id record_sub_id "
                "field_value"
            ),
        ),
    )
}
"""Files kept row by row, in the order in which they are loaded."""

TRIPS = File(
    name="trips.txt",
    columns=_columns(
        "route_id service_id trip_id trip_headsign trip_short_name block_id shape_id "
        "trip_note route_direction",  # the last two: NSW
        whole="direction_id wheelchair_accessible bikes_allowed cars_allowed",
    ),
    key=("trip_id",),
    required=("route_id", "service_id", "trip_id"),
)
STOP_TIMES = File(
    name="stop_times.txt",
    columns=_columns(
        "trip_id stop_id stop_headsign stop_note",  # the last: NSW
        clock="arrival_time departure_time",
        whole="stop_sequence pickup_type drop_off_type continuous_pickup "
        "continuous_drop_off timepoint",
        number="shape_dist_traveled",
    ),
    key=("trip_id", "stop_sequence"),
    required=("trip_id", "stop_id", "stop_sequence", "arrival_time", "departure_time"),
)
SHAPES = File(
    name="shapes.txt",
    columns=_columns(
        "shape_id",
        whole="shape_pt_sequence",
        number="shape_pt_lat shape_pt_lon shape_dist_traveled",
    ),
    key=("shape_id", "shape_pt_sequence"),
    required=("shape_id", "shape_pt_lat", "shape_pt_lon", "shape_pt_sequence"),
)
COMPACT: dict[str, File] = {file.name: file for file in (TRIPS, STOP_TIMES, SHAPES)}
"""Files kept as patterns, dictionaries and packed parts."""

REQUIRED_FILES = (
    "agency.txt",
    "stops.txt",
    "routes.txt",
    "trips.txt",
    "stop_times.txt",
)
CALENDAR_FILES = ("calendar.txt", "calendar_dates.txt")
TRIP_ATTRIBUTES = (
    "direction_id",
    "wheelchair_accessible",
    "bikes_allowed",
    "cars_allowed",
    "trip_headsign",
    "trip_note",
    "route_direction",
)
CALL_ATTRIBUTES = (
    "pickup_type",
    "drop_off_type",
    "continuous_pickup",
    "continuous_drop_off",
    "timepoint",
    "stop_headsign",
    "stop_note",
)
"""Columns kept once per combination, in the order of their tables in schema.sql."""
