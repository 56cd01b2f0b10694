"""Connecting ends in time, whatever a name resolves to."""

import socket
import ssl
from urllib.parse import urlsplit

import pytest

from worker.clients import tls

WITHIN_S = 1.0


@pytest.fixture
def resolve(monkeypatch):
    """Makes every name resolve to these addresses."""

    def to(*addresses):
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
            for address in addresses
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    return to


@pytest.fixture
def granted(monkeypatch):
    """The seconds that each connection is given, one after the other."""
    found = []

    class Socket(socket.socket):
        def settimeout(self, seconds):
            found.append(seconds)
            super().settimeout(seconds)

    monkeypatch.setattr(socket, "socket", Socket)
    return found


def test_eight_addresses_that_swallow_packets_share_the_time_of_one(
    deaf, resolve, granted
):
    resolve(*[deaf] * 8)

    with pytest.raises(TimeoutError):
        tls.connect("apple", 443, ssl.create_default_context(), within_s=WITHIN_S)

    assert len(granted) == 8
    assert sum(granted) < WITHIN_S


def test_an_address_that_hears_is_reached_behind_those_that_do_not(
    deaf, resolve, world
):
    there = urlsplit(world.environment["APNS_BASE_URL"])
    context = ssl.create_default_context(cafile=world.environment["APNS_CA_FILE"])
    resolve(deaf, ("127.0.0.1", 1), deaf, ("127.0.0.1", there.port))

    with tls.connect(there.hostname, 443, context, within_s=WITHIN_S) as encrypted:
        assert encrypted.getpeername() == ("127.0.0.1", there.port)


def test_a_peer_that_never_shakes_hands_is_left_in_time(resolve):
    with socket.create_server(("127.0.0.1", 0)) as server:
        resolve(server.getsockname())

        with pytest.raises(TimeoutError):
            tls.connect("apple", 443, ssl.create_default_context(), within_s=WITHIN_S)
