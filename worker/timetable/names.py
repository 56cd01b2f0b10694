"""The schemas of the versions, by what they are now."""

LAYOUT = 1
"""Raised when the tables change: an unchanged bundle is then loaded anew."""

LIVE, PREVIOUS, LOADING = "gtfs", "gtfs_previous", "gtfs_loading"
