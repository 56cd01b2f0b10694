"""An encrypted connection, made in one span of time whatever the name resolves to."""

import socket
import ssl
import time
from contextlib import ExitStack


def connect(
    host: str, port: int, context: ssl.SSLContext, *, within_s: float
) -> ssl.SSLSocket:
    """Connect to one of the host's addresses and encrypt, within ``within_s`` in all.

    Each address has an equal share of the time that is left, and the handshake one
    more: addresses that swallow packets leave time for the last. Only the resolver
    takes what it takes; its time counts. Raises OSError.
    """
    until = time.monotonic() + within_s
    with ExitStack() as stack:  # closes what is left by any exception
        plain = stack.enter_context(_reached(host, port, until))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        encrypted = stack.enter_context(
            context.wrap_socket(
                plain, server_hostname=host, do_handshake_on_connect=False
            )
        )
        encrypted.settimeout(_share(until, 1))
        encrypted.do_handshake()
        stack.pop_all()
        return encrypted


def _reached(host: str, port: int, until: float) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    last_error = OSError(f"{host} has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(found):
        share_s = _share(until, 1 + len(found) - tried)
        try:
            plain = socket.socket(family, kind, protocol)
        except OSError as error:  # a family that this machine does not speak
            last_error = error
            continue
        with ExitStack() as stack:
            stack.enter_context(plain)
            plain.settimeout(share_s)
            try:
                plain.connect(address)
            except OSError as error:
                last_error = error
            else:
                stack.pop_all()
                return plain
    raise last_error


def _share(until: float, of: int) -> float:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time to connect is up")
    return left_s / of
