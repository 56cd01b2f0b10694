"""Apple's push service, doubled: TLS, HTTP/2, provider tokens, its table of answers.

https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
"""

import asyncio
import json
import random
import ssl
import time
import uuid
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtests.rig.apple import Refusal, Team, check_push
from loadtests.rig.faults import Faults
from loadtests.rig.handover import APNS_RTT_S
from loadtests.rig.header_block import literal, status
from loadtests.rig.http2 import INTERNAL_ERROR, NO_ERROR, Http2Server, Stream

STREAMS_AT_FIRST = 1
STREAMS_WHEN_TRUSTED = 1000
"""One stream until a valid provider token was seen, then what Apple has been seen to
grant: https://github.com/ninenines/gun/issues/246"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One push that reached us, with the status that was answered."""

    at: float
    token: str
    apns_id: str
    collapse_id: str
    topic: str
    status: int
    reason: str

    def as_json(self) -> dict[str, object]:
        """As the switchboard says it; ``at`` is real epoch seconds."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(kw_only=True)
class Apns:
    """What all connections share."""

    team: Team
    faults: Faults
    rtt_s: float = APNS_RTT_S
    arrivals: list[Arrival] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    connections: "set[_Connection]" = field(default_factory=set)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, context: ssl.SSLContext, port: int = 0) -> asyncio.Server:
        """Serve HTTP/2 over TLS on the loopback interface."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", port, ssl=context
        )

    def record(self, arrival: Arrival) -> None:
        """Note a push and wake whoever waits for one."""
        self.arrivals.append(arrival)
        self.counters[f"{arrival.status} {arrival.reason}".strip()] += 1
        self.arrived.set()

    def strike(self, kind: str, value: object) -> None:
        """Do at once what a fault does to connections that are open."""
        for connection in list(self.connections):
            if kind == "goaway":
                connection.dismiss(str(value))
            elif kind == "cut":
                connection.abort()

    def answer(
        self, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, object]]:
        """Status and body for one push; raises nothing."""
        fault = self.faults.find("apns", "status")
        if fault is not None:
            asked = fault.fields()
            if random.random() < float(str(asked.get("share", 1.0))):
                code = int(str(asked.get("status", 503)))
                reason = str(asked.get("reason") or _USUAL_REASONS.get(code, ""))
                return code, _details(code, reason) | _since(asked)
        try:
            check_push(headers, body, self.team, time.time())
        except Refusal as refusal:
            return refusal.status, _details(refusal.status, refusal.reason)
        return 200, {}


_USUAL_REASONS = {
    400: "BadDeviceToken",
    403: "ExpiredProviderToken",
    410: "Unregistered",
    429: "TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}


def _details(status: int, reason: str) -> dict[str, object]:
    details: dict[str, object] = {"reason": reason}
    if status == 410:
        details["timestamp"] = int(time.time() * 1000)
    return details


def _since(asked: Mapping[str, object]) -> dict[str, object]:
    """Since when a fault's 410 calls the token dead, epoch milliseconds."""
    return {"timestamp": asked["timestamp"]} if "timestamp" in asked else {}


class _Connection(Http2Server):
    """One client; answers leave together when their time has come."""

    def __init__(self, apns: Apns) -> None:
        super().__init__(granted=STREAMS_AT_FIRST)
        self.apns = apns
        self.loop = asyncio.get_running_loop()
        self.due: deque[tuple[float, int, int, str, dict[str, object]]] = deque()
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.apns.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.apns.connections.discard(self)
        if self.timer is not None:
            self.timer.cancel()

    def refused(self) -> None:
        self.apns.counters["refused stream"] += 1

    def dismiss(self, reason: str) -> None:
        """Say GOAWAY with Apple's reason, once what has arrived is answered."""
        self._answer(list(self.due))
        self.due.clear()
        self.go_away(NO_ERROR, json.dumps({"reason": reason}).encode())

    def abort(self) -> None:
        """Close without a word; what has arrived stays unanswered."""
        self.transport.abort()

    def requested(self, number: int, stream: Stream) -> None:
        faults = self.apns.faults
        if faults.all:
            if faults.find("apns", "hang") is not None:
                return
            reset = faults.find("apns", "reset")
            if reset is not None and random.random() < reset.number():
                self.reset(number, INTERNAL_ERROR)
                return
        headers = stream.headers
        code, details = self.apns.answer(headers, bytes(stream.body))
        apns_id = headers.get("apns-id") or str(uuid.uuid4()).upper()
        self.apns.record(
            Arrival(
                time.time(),
                headers.get(":path", "").rpartition("/")[2],
                apns_id,
                headers.get("apns-collapse-id", ""),
                headers.get("apns-topic", ""),
                code,
                str(details.get("reason", "")),
            )
        )
        slow = faults.find("apns", "slow") if faults.all else None
        wait_s = self.apns.rtt_s + (slow.number() if slow is not None else 0.0)
        self.due.append((self.loop.time() + wait_s, number, code, apns_id, details))
        if self.timer is None:
            self.timer = self.loop.call_later(wait_s, self._answer_due)

    def _answer_due(self) -> None:
        self.timer = None
        now = self.loop.time()
        ready = []
        while self.due and self.due[0][0] <= now:
            ready.append(self.due.popleft())
        self._answer(ready)
        self.flush()
        if self.due and not self.transport.is_closing():
            self.timer = self.loop.call_later(
                max(0.001, self.due[0][0] - now), self._answer_due
            )

    def _answer(
        self, ready: "list[tuple[float, int, int, str, dict[str, object]]]"
    ) -> None:
        for _, number, code, apns_id, details in ready:
            if code == 200 and self.granted == STREAMS_AT_FIRST:
                self.grant(STREAMS_WHEN_TRUSTED)
            block = status(code) + literal(b"apns-id", apns_id.encode()[:100])
            body = b"" if code == 200 else json.dumps(details).encode()
            self.respond(number, block, body)
