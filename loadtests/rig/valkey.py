"""The rig's Redis: Valkey, in memory only, never evicting."""

import socket
from functools import partial
from pathlib import Path

from loadtests.rig.binaries import valkey_program
from loadtests.rig.folder import START_ATTEMPTS, Home, RigError, comes_up, free_port

MAXMEMORY_MB = 512


def start_valkey(home: Home) -> str:
    """Start Valkey on a free port of the loopback interface; its URL."""
    program = valkey_program()
    for _ in range(START_ATTEMPTS):
        port = free_port()
        home.start("valkey", valkey_argv(program, port, home.folder))
        url = f"redis://127.0.0.1:{port}/0"
        if comes_up(home, "valkey", partial(_pongs, port)):
            return url
    raise RigError(f"Valkey did not start: {home.log_tail('valkey')}")


def valkey_argv(program: Path, port: int, folder: Path) -> list[str]:
    """The command line of the rig's Valkey."""
    return [
        *(str(program), "--bind", "127.0.0.1", "--port", str(port)),
        *("--dir", str(folder), "--save", "", "--appendonly", "no"),
        *("--maxmemory", f"{MAXMEMORY_MB}mb", "--maxmemory-policy", "noeviction"),
    ]


def answers(url: str) -> bool:
    """Whether a server answers PING there."""
    import redis  # a second of imports, wanted for given servers alone

    try:
        with redis.Redis.from_url(
            url, socket_timeout=2, socket_connect_timeout=2
        ) as client:
            return bool(client.ping())
    except (redis.RedisError, ValueError):
        return False


def _pongs(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as link:
            link.sendall(b"PING\r\n")
            return link.recv(64).startswith(b"+PONG")
    except OSError:
        return False
