"""The schemas of the versions, by what they are now."""

import secrets

LAYOUT = 3
"""Raised when the tables change: an unchanged bundle is then loaded anew."""

LIVE, PREVIOUS, LOADING = "gtfs", "gtfs_previous", "gtfs_loading"


def loading_schema() -> str:
    """A name for one load: a load that was paused must not write into the next one's.

    Names that begin with LOADING are dropped when a load begins.
    """
    return f"{LOADING}_{secrets.token_hex(4)}"
