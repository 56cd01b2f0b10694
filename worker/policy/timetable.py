"""Which bundles make the timetable, and what one load of them may cost."""

from dataclasses import dataclass

from worker.errors import PolicyError


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """One published archive and the modes that it is trusted for.

    ``path`` is below the NSW base URL. ``route_types`` are GTFS route types; None
    means every type that no other bundle claims.
    """

    name: str
    path: str
    route_types: tuple[int, ...] | None
    reason: str

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise PolicyError(
                f"bundles.{self.name}: path {self.path} must start with /"
            )
        if self.route_types == ():
            raise PolicyError(f"bundles.{self.name}: is trusted for no mode")


@dataclass(frozen=True, kw_only=True, slots=True)
class TimetableLimits:
    """What an archive may be, and what loading it may take.

    ``max_*_bytes`` cap the download, one unpacked file and all files together;
    ``max_ratio`` is unpacked to packed size. ``max_skipped_fraction`` is of the rows of
    one file. ``min_rows_fraction`` is of the live version's rows. ``block_bytes`` is
    unpacked text scanned at once, ``copy_bytes`` what one COPY transaction sends.
    ``attribute_combinations`` caps the distinct sets of untimed values (headsign,
    pickup, note ...) of one file, which are held in memory.
    """

    max_archive_bytes: int
    max_file_bytes: int
    max_total_bytes: int
    max_ratio: int
    max_members: int
    max_skipped_fraction: float
    min_rows_fraction: float
    attribute_combinations: int
    block_bytes: int
    copy_bytes: int
    connect_timeout_s: float
    read_timeout_s: float
    download_deadline_s: float
    statement_timeout_s: int
    lock_timeout_ms: int
    lock_attempts: int
    reason: str

    def __post_init__(self) -> None:
        if (
            not 0 <= self.max_skipped_fraction < 1
            or not 0 <= self.min_rows_fraction <= 1
        ):
            raise PolicyError("timetable: a fraction lies between 0 and 1")
        if self.max_archive_bytes > self.max_total_bytes:
            raise PolicyError(
                f"timetable.max_archive_bytes {self.max_archive_bytes} is above "
                f"max_total_bytes {self.max_total_bytes}: it could never be unpacked"
            )
        if self.block_bytes < 65_536:
            raise PolicyError(
                f"timetable.block_bytes {self.block_bytes} is below 65536: "
                "the cost of a block would outweigh its rows"
            )


BUNDLES: dict[str, Bundle] = {
    bundle.name: bundle
    for bundle in (
        Bundle(
            name="complete",
            path="/v1/publictransport/timetables/complete/gtfs",
            route_types=None,
            reason=(
                "Its trip ids match the realtime feeds of buses, ferries, metro and "
                "light rail: 3,060 of 3,061 bus trips in one snapshot."
            ),
        ),
        Bundle(
            name="sydneytrains",
            path="/v1/gtfs/schedule/sydneytrains",
            route_types=(2,),
            reason=(
                "Only its trip ids match the realtime feed of Sydney Trains; of the "
                "complete bundle's trains two fifths do not."
            ),
        ),
    )
}

TIMETABLE = TimetableLimits(
    max_archive_bytes=600 * 2**20,
    max_file_bytes=3 * 2**30,
    max_total_bytes=4 * 2**30,
    max_ratio=200,
    max_members=200,
    max_skipped_fraction=0.001,
    min_rows_fraction=0.5,
    attribute_combinations=400_000,
    block_bytes=1 << 19,
    copy_bytes=1 << 20,
    connect_timeout_s=10,
    read_timeout_s=30,
    download_deadline_s=1200,
    statement_timeout_s=600,
    lock_timeout_ms=500,
    lock_attempts=20,
    reason=(
        "The complete bundle is about 300 MB and 1.5 GB unpacked, the caps are twice "
        "that; stop_times packs 13-fold, a bomb over 1,000-fold. Supabase stops a "
        "statement after 2 minutes unless told otherwise. Each of 220,000 trips may "
        "differ in what is not timed, not each of 9 million calls. A reader "
        "waits behind a waiting lock, so each wait is half a second at most."
    ),
)
