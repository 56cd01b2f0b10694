"""Realtime feeds: asked for within quota, checked, cut into slices, read by the API."""
