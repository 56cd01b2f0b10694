"""Keep C's allocator from holding what is free: a load must not grow with its feed.

glibc (mallopt(3), malloc_trim(3)) learns from large arrays to serve all arrays from its
heap, where they leave gaps that are never given back. Elsewhere nothing is done.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGE_BYTES = 1 << 20
"""A larger array goes back to the system at once; a block's own are smaller."""
_SLACK_BYTES = 8 << 20
"""Kept at the heap's end, so that each block does not fetch its pages anew."""


def limit() -> None:
    """Hold the allocator to fixed limits for the rest of this process."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _SLACK_BYTES)


def give_back() -> None:
    """Return what is free: a stage leaves gaps that the next one would not fill."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
