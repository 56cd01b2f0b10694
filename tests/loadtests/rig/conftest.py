"""One stand-in world for the tests that speak to it from outside."""

from collections.abc import Iterator

import httpx
import pytest

from loadtests.rig.rig import Rig, rig


@pytest.fixture(scope="session")
def world() -> Iterator[Rig]:
    """A made-up city at 08:00 with servers, doubles and links of its own."""
    with rig(links=True, migrated=False) as up:
        yield up


@pytest.fixture
def switchboard(world: Rig) -> Iterator[httpx.Client]:
    """The world's switchboard; nothing it was told outlives the test."""
    with httpx.Client(base_url=world.control_url, timeout=30) as client:
        yield client
        client.post("/reset")


@pytest.fixture
def nsw(world: Rig, switchboard: httpx.Client) -> Iterator[httpx.Client]:
    """A client with the right key, and no earlier request counted against it."""
    switchboard.post("/reset").raise_for_status()
    key = world.environment["NSW_API_KEY"]
    with httpx.Client(
        base_url=world.environment["NSW_BASE_URL"],
        headers={"Authorization": f"apikey {key}"},
        timeout=30,
    ) as client:
        yield client
