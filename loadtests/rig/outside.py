"""The process that doubles the outside: NSW, Apple, the switchboard and the links.

Started by the rig: ``python -m loadtests.rig.outside FOLDER`` reads FOLDER/outside.json
and, once it serves, writes FOLDER/ready.json.
"""

import asyncio
import secrets
import ssl
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from loadtests.rig import http
from loadtests.rig.apns import Apns
from loadtests.rig.apple import Team
from loadtests.rig.certificate import write_certificate
from loadtests.rig.clock import SYDNEY, Clock
from loadtests.rig.faults import Fault, Faults
from loadtests.rig.folder import RigError
from loadtests.rig.handover import FAILED, Asked, Ready
from loadtests.rig.links import Link, endpoint, through
from loadtests.rig.nsw import Nsw
from loadtests.rig.recorded import Recorded
from loadtests.rig.scales import Scale
from loadtests.rig.switchboard import Switchboard
from loadtests.rig.synthetic import Synthetic
from loadtests.rig.world import Outside, Source
from worker.policy import POLICY


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
    nsw_key, team = secrets.token_hex(16), Team()
    nsw = Nsw(outside, POLICY.bundles, folder, nsw_key, faults)
    if asked.timetables_first:
        await nsw.write()
    apns = Apns(team=team, faults=faults, rtt_s=asked.apns_rtt_s)
    certificate = write_certificate(folder)
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
        nsw_api_key=nsw_key,
        nsw_base_url=f"http://127.0.0.1:{http.port_of(nsw_server)}",
        apns_base_url=f"https://127.0.0.1:{http.port_of(apns_server)}",
        apns_ca_file=str(certificate),
        apns_key=team.key_pem(),
        apns_key_id=team.key_id,
        apns_team_id=team.team_id,
        apns_topic=team.topic,
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
    asked = Asked.read(folder)
    try:
        asyncio.run(serve(folder, asked))
    except RigError as error:
        (folder / FAILED).write_text(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
