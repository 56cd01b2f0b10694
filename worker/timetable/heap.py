"""Memory that is free but still held by C's allocator, given back to the system."""

import ctypes


def give_back() -> None:
    """Return what is free: a stage leaves gaps that the next one would not fill.

    Does nothing where the C library cannot do it (it is glibc's, malloc_trim(3)).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
