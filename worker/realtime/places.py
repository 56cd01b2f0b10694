"""Where in Redis a stop and a place on the map are found: for writer and reader."""

from collections.abc import Iterator
from math import cos, floor, hypot, radians

_METRES_PER_DEGREE = 111_320.0
_MIX = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: spreads keys that differ little
_ALL = (1 << 64) - 1


def stop_bucket(stop_id: bytes, buckets: int) -> int:
    """The bucket that holds a stop's times; ``slices`` computes the same in columns."""
    mixed = 0
    for first in range(0, len(stop_id) or 1, 8):
        word = int.from_bytes(stop_id[first : first + 8], "little")
        mixed = (mixed ^ word) * _MIX & _ALL
    return (mixed >> 32) % buckets


def cell(latitude: float, longitude: float, edge: float) -> bytes:
    """The square of the map that holds a place; ``edge`` in degrees."""
    return b"%d:%d" % (floor(latitude / edge), floor(longitude / edge))


def cells_near(
    latitude: float, longitude: float, radius_m: float, edge: float
) -> Iterator[bytes]:
    """Every square that may hold a place within ``radius_m``."""
    up = radius_m / _METRES_PER_DEGREE
    across = up / max(cos(radians(latitude)), 0.01)
    for row in range(floor((latitude - up) / edge), floor((latitude + up) / edge) + 1):
        for column in range(
            floor((longitude - across) / edge), floor((longitude + across) / edge) + 1
        ):
            yield b"%d:%d" % (row, column)


def metres(latitude: float, longitude: float, to: tuple[float, float]) -> float:
    """Distance of two places a few kilometres apart."""
    east = (to[1] - longitude) * cos(radians(latitude))
    return hypot(to[0] - latitude, east) * _METRES_PER_DEGREE
