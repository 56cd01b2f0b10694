"""The process that doubles the outside: NSW, Apple, the switchboard and the links.

Started by the rig: ``python -m loadtests.rig.outside FOLDER`` reads FOLDER/outside.json
and, once it serves, writes FOLDER/ready.json.
"""

import asyncio
import json
import ssl
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from loadtests.rig import http
from loadtests.rig.apns import RTT_S, Apns
from loadtests.rig.apple import Team
from loadtests.rig.city import Scale
from loadtests.rig.clock import SYDNEY, Clock
from loadtests.rig.faults import Fault, Faults
from loadtests.rig.folder import RigError
from loadtests.rig.links import Link, endpoint, through
from loadtests.rig.nsw import Nsw
from loadtests.rig.recorded import Recorded
from loadtests.rig.switchboard import Switchboard
from loadtests.rig.synthetic import Synthetic
from loadtests.rig.world import Outside, Source
from worker.policy import POLICY

ASKED = "outside.json"
READY = "ready.json"
FAILED = "failed.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the rig asks for; ``service_time`` is HH:MM in Sydney, today."""

    nsw_key: str
    apns_key_pem: str
    scale: dict[str, int]
    seed: int = 1
    service_time: str = "08:00"
    static: str = ""
    realtime: str = ""
    rtt_s: float = RTT_S
    links: dict[str, str]

    def write(self, folder: Path) -> None:
        """Readable for us alone: it holds the keys."""
        path = folder / ASKED
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """Where everything is, once it is served."""

    nsw_base_url: str
    apns_base_url: str
    control_url: str
    clock_offset_s: float
    links: dict[str, str]

    def write(self, folder: Path) -> None:
        """All of it at once: a reader never sees half."""
        draft = folder / f".{READY}"
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(folder / READY)


def source_of(asked: Asked) -> Source:
    """Recorded files when a static archive is given, else the made-up city."""
    if asked.static:
        realtime = Path(asked.realtime) if asked.realtime else None
        return Recorded(Path(asked.static), realtime, feeds=POLICY.feeds)
    hour, _, minute = asked.service_time.partition(":")
    start = datetime.now(SYDNEY).replace(
        hour=int(hour), minute=int(minute), second=0, microsecond=0
    )
    return Synthetic(
        scale=Scale(**asked.scale), seed=asked.seed, clock=Clock.starting_at(start)
    )


async def serve(folder: Path, asked: Asked) -> None:
    """Serve until cancelled."""
    faults = Faults()
    outside = Outside(source=source_of(asked), feeds=POLICY.feeds)
    nsw = Nsw(outside, POLICY.bundles, folder, asked.nsw_key, faults)
    key = load_pem_private_key(asked.apns_key_pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    apns = Apns(team=Team(key=key), faults=faults, rtt_s=asked.rtt_s)
    links = {
        target: Link(target, *endpoint(url, 0), faults)
        for target, url in asked.links.items()
    }
    nsw_server = await http.serve(nsw)
    apns_server = await apns.listen(_tls(folder))
    switchboard = await http.serve(
        Switchboard(outside, nsw, apns, faults, _striker(apns, links))
    )
    link_ports = {
        target: http.port_of(await link.listen()) for target, link in links.items()
    }
    Ready(
        nsw_base_url=f"http://127.0.0.1:{http.port_of(nsw_server)}",
        apns_base_url=f"https://127.0.0.1:{http.port_of(apns_server)}",
        control_url=f"http://127.0.0.1:{http.port_of(switchboard)}",
        clock_offset_s=outside.clock.offset_s,
        links={
            target: through(url, link_ports[target])
            for target, url in asked.links.items()
        },
    ).write(folder)
    await outside.keep_publishing()


def _striker(apns: Apns, links: dict[str, Link]) -> Callable[[Fault], None]:
    """What a fault does at once to connections that are open."""

    def strike(fault: Fault) -> None:
        if fault.target == "apns":
            apns.strike(fault.kind, fault.value)
        elif fault.target in links:
            links[fault.target].strike(fault.kind)
        elif fault.target != "nsw":
            raise ValueError(f"no link to {fault.target}: start the rig with --links")

    return strike


def _tls(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "apns.pem", folder / "apns.key")
    context.set_alpn_protocols(["h2"])
    return context


def main() -> None:
    folder = Path(sys.argv[1])
    asked = Asked(**json.loads((folder / ASKED).read_text()))
    try:
        asyncio.run(serve(folder, asked))
    except RigError as error:
        (folder / FAILED).write_text(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
