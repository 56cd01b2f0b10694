"""What a push costs over one connection, beside the bare thing, and in private memory.

To nghttpd where it is installed, else to the double; h2load, in C and with one request
for all, is what the same server and machine can do at most.
"""

import re
import shutil
import socket
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

import jwt

from loadtests.bench.memory import memory_row
from loadtests.bench.row import Row, medians
from loadtests.rig.certificate import write_certificate
from loadtests.rig.rig import Rig
from worker.clients.apns import Apns, Notice, Said
from worker.policy import POLICY

REPEATS = 5
_TARGET_US = 200.0  # 5,000 a second
_OF_H2LOAD = 25.0  # a Python client on the h2 library was measured at 1/25 of C
_DEVICE = "ab" * 32
_PUSHES, _DEEP = 10_000, 1_000
_PAYLOAD = (
    b'{"aps":{"alert":{"title":"T1: 15 min late","body":"The 08:15 at Central is now '
    b'expected at 08:30."},"sound":"default"}}'
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A server of pushes: its address, the certificate to trust, a token it takes."""

    name: str
    url: str
    certificate: Path
    token: str = field(default="x" * 200, repr=False)
    folder: Path | None = None  # of nghttpd


def rows(up: Rig) -> Iterator[Row]:
    """Every line of the pushes."""
    with _apple(up) as there:
        yield _push(there, f"push_to_{there.name}", batch=_DEEP)
        yield _push(there, "push_in_batches", batch=POLICY.push.batch_size)
        if there.folder is not None and shutil.which("h2load"):
            yield _beside_h2load(there, there.folder)
        work = partial(_some_batches, there)
        yield memory_row("push_private_memory", work, target_mib=25.0)


def _push(there: Target, name: str, *, batch: int) -> Row:
    """One connection, a batch after the other, as fast as it goes."""
    apns, some = client(there), notices()
    times = []
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        send(there, apns, some, batch)
        times.append((time.perf_counter() - began) / len(some) * 1e6)
    apns.close()
    return Row(
        name=name,
        value=median(times[1:]),
        unit="us a push",
        repeats=REPEATS,
        target=_TARGET_US,
    )


def _beside_h2load(there: Target, folder: Path) -> Row:
    """Our client and h2load in turn, as many streams each."""
    apns, some = client(there), notices()
    body = folder / "payload.json"
    body.write_bytes(_PAYLOAD)
    bare_us: list[float] = []
    ours_ms, _ = medians(
        [
            partial(send, there, apns, some, _DEEP),
            lambda: bare_us.append(_h2load_us(there, body)),
        ],
        repeats=REPEATS,
    )
    apns.close()
    return Row(
        name="push_beside_h2load",
        value=ours_ms * 1e3 / len(some),
        unit="us a push",
        repeats=REPEATS,
        target=_OF_H2LOAD,
        baseline="h2load, one connection, as many streams",
        baseline_value=median(bare_us[1:]),
    )


def _h2load_us(there: Target, body: Path) -> float:
    """Microseconds a request of one run of h2load, as it says itself."""
    said = subprocess.run(
        [
            *("h2load", "-c1", "-t1", f"-m{POLICY.push.streams}", f"-n{_PUSHES}"),
            *("-d", str(body), "-H", f"authorization: bearer {'x' * 200}"),
            f"{there.url}/3/device/{_DEVICE}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    rate = re.search(r"([\d.]+) req/s", said)
    if rate is None or f"{_PUSHES} succeeded" not in said:
        raise RuntimeError(f"h2load did not finish its requests: {said[-300:]}")
    return 1e6 / float(rate[1])


def _some_batches(there: Target) -> None:
    send(there, client(there), notices(), _DEEP)


def send(there: Target, apns: Apns, some: list[Notice], batch: int) -> None:
    """Send all, a batch after the other; RuntimeError when one was not accepted."""
    statuses: Counter[int] = Counter()
    for first in range(0, len(some), batch):
        said: list[Said | None] = [None] * len(some[first : first + batch])
        apns.send(some[first : first + batch], there.token, said)
        statuses.update(0 if each is None else each.status for each in said)
    if statuses != {200: len(some)}:
        raise RuntimeError(f"the bench's pushes were not accepted: {dict(statuses)}")


def client(there: Target) -> Apns:
    """A sender's client of that server."""
    push = replace(POLICY.push, send_budget_s=60.0)  # a slow machine is slow, not wrong
    return Apns(there.url, "au.example.transit", there.certificate, push)


def notices() -> list[Notice]:
    """What the bench sends."""
    random, now = Random(1), int(time.time())
    return [
        Notice(
            device_token=_DEVICE,
            apns_id=str(uuid.UUID(int=random.getrandbits(128))),
            collapse_id=random.randbytes(32).hex(),
            expires_at=now + POLICY.push.expiry_s,
            payload=_PAYLOAD,
        )
        for _ in range(_PUSHES)
    ]


def double(up: Rig) -> Target:
    """Apple's double, which takes no token but its team's."""
    there = up.environment
    return Target(
        name="double",
        url=there["APNS_BASE_URL"],
        certificate=Path(there["APNS_CA_FILE"]),
        token=jwt.encode(
            {"iss": there["APNS_TEAM_ID"], "iat": int(time.time())},
            there["APNS_KEY"],
            algorithm="ES256",
            headers={"kid": there["APNS_KEY_ID"]},
        ),
    )


@contextmanager
def _apple(up: Rig) -> Iterator[Target]:
    """nghttpd, which costs little itself; without it the double."""
    program = shutil.which("nghttpd")
    if program is None:
        yield double(up)
        return
    folder = up.folder / "nghttpd"
    device = folder / "3" / "device" / _DEVICE
    device.parent.mkdir(parents=True)
    device.touch()  # an empty file: 200, and no body
    certificate = write_certificate(folder)
    port = _free_port()
    server = subprocess.Popen(
        [
            *(program, f"--htdocs={folder}", "--max-concurrent-streams=1000"),
            *(str(port), str(folder / "apns.key"), str(certificate)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        _await_port(port)
        yield Target(
            name="nghttpd",
            url=f"https://127.0.0.1:{port}",
            certificate=certificate,
            folder=folder,
        )
    finally:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _await_port(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
