"""What the worker's rooms are handed: clients of the session's servers."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from loadtests.rig.rig import Rig, rig
from worker.clients import redis as redis_client
from worker.policy import POLICY


@pytest.fixture
def redis(redis_url):
    """The worker's own Redis client, on an emptied server."""
    with redis_client.connect(redis_url, policy=POLICY) as client:
        yield client


@pytest.fixture(scope="session")
def world() -> Iterator[Rig]:
    """The doubles of the outside, Apple among them."""
    with rig(migrated=False, apns_rtt_s=0.005) as up:
        yield up


@pytest.fixture
def apple(world) -> Iterator[httpx.Client]:
    """The switchboard of Apple's double; nothing it was told outlives the test."""
    with httpx.Client(base_url=world.control_url, timeout=30) as client:
        client.post("/reset").raise_for_status()
        yield client
        client.post("/reset").raise_for_status()


@pytest.fixture
def deaf() -> Iterator[tuple[str, int]]:
    """The address of one whose queue is full: it swallows packets, as a firewall."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        held = []
        while True:
            held.append(socket.socket())
            held[-1].settimeout(0.2)
            try:
                held[-1].connect(server.getsockname())
            except TimeoutError:
                break
        yield server.getsockname()
        for each in held:
            each.close()
