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
from dataclasses import dataclass, field
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import SettingsFrame

from loadtests.rig.apple import Refusal, Team, check_push
from loadtests.rig.faults import Faults
from loadtests.rig.handover import APNS_RTT_S

STREAMS_AT_FIRST = 1
STREAMS_WHEN_TRUSTED = 1000
"""One stream until a valid provider token was seen, then what Apple has been seen to
grant: https://github.com/ninenines/gun/issues/246"""

PAYLOAD_READ_LIMIT = 16_384


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
                connection.go_away(str(value))
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
                status = int(str(asked.get("status", 503)))
                reason = str(asked.get("reason") or _USUAL_REASONS.get(status, ""))
                return status, _details(status, reason)
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


class _Connection(asyncio.Protocol):
    """One client; answers leave together when their time has come."""

    def __init__(self, apns: Apns) -> None:
        self.apns = apns
        self.loop = asyncio.get_running_loop()
        self.h2 = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding="utf-8",
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        # h2 would end the connection of a client with too many streams; Apple refuses
        # the stream. So h2 is told of many, and the client by our own frames.
        self.h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: 10 * STREAMS_WHEN_TRUSTED,
                SettingCodes.INITIAL_WINDOW_SIZE: 65_535,
            },
        )
        self.granted = STREAMS_AT_FIRST
        self.open: dict[int, tuple[dict[str, str], bytearray]] = {}
        self.due: deque[tuple[float, int, int, str, dict[str, object]]] = deque()
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.apns.connections.add(self)
        self.h2.initiate_connection()
        self.h2.data_to_send()
        self._grant(STREAMS_AT_FIRST)
        # A whole connection's pushes are small: the window never has to be waited for.
        self.h2.increment_flow_control_window(2**30)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.apns.connections.discard(self)
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            events = self.h2.receive_data(data)
        except ProtocolError:
            self._send()
            self.transport.close()
            return
        for event in events:
            if isinstance(event, RequestReceived):
                headers = cast("list[tuple[str, str]]", event.headers)
                self._begin(event.stream_id, dict(headers))
            elif isinstance(event, DataReceived):
                self._collect(event)
            elif isinstance(event, StreamEnded):
                self._finish(event.stream_id)
            elif isinstance(event, StreamReset):
                self.open.pop(event.stream_id, None)
            elif isinstance(event, ConnectionTerminated):
                self.transport.close()
        self._send()

    def go_away(self, reason: str) -> None:
        """Tell the client to leave, and why; what it sent so far is answered."""
        body = json.dumps({"reason": reason}).encode()
        self.h2.close_connection(ErrorCodes.NO_ERROR, additional_data=body)
        self._send()
        self.transport.close()

    def abort(self) -> None:
        """Close without a word."""
        self.transport.abort()

    def _begin(self, stream: int, headers: dict[str, str]) -> None:
        if len(self.open) >= self.granted:
            self.h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            self.apns.counters["refused stream"] += 1
            return
        self.open[stream] = (headers, bytearray())

    def _collect(self, event: DataReceived) -> None:
        held = self.open.get(event.stream_id)
        if held is not None and len(held[1]) < PAYLOAD_READ_LIMIT:
            held[1].extend(event.data)

    def _finish(self, stream: int) -> None:
        held = self.open.get(stream)
        if held is None:
            return
        headers, body = held
        faults = self.apns.faults
        if faults.all:
            if faults.find("apns", "hang") is not None:
                return
            reset = faults.find("apns", "reset")
            if reset is not None and random.random() < reset.number():
                self.open.pop(stream, None)
                self.h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
                return
        status, details = self.apns.answer(headers, bytes(body))
        apns_id = headers.get("apns-id") or str(uuid.uuid4()).upper()
        self.apns.record(
            Arrival(
                time.time(),
                headers.get(":path", "").rpartition("/")[2],
                apns_id,
                headers.get("apns-collapse-id", ""),
                headers.get("apns-topic", ""),
                status,
                str(details.get("reason", "")),
            )
        )
        slow = faults.find("apns", "slow") if faults.all else None
        wait_s = slow.number() if slow is not None else self.apns.rtt_s
        self.due.append((self.loop.time() + wait_s, stream, status, apns_id, details))
        if self.timer is None:
            self.timer = self.loop.call_later(wait_s, self._answer_due)

    def _answer_due(self) -> None:
        self.timer = None
        now = self.loop.time()
        while self.due and self.due[0][0] <= now:
            _, stream, status, apns_id, details = self.due.popleft()
            if self.open.pop(stream, None) is not None:
                self._respond(stream, status, apns_id, details)
        if self.due and not self.transport.is_closing():
            self.timer = self.loop.call_later(
                max(0.001, self.due[0][0] - now), self._answer_due
            )
        self._send()

    def _respond(
        self, stream: int, status: int, apns_id: str, details: dict[str, object]
    ) -> None:
        try:
            headers = [(":status", str(status)), ("apns-id", apns_id)]
            if status == 200:
                if self.granted == STREAMS_AT_FIRST:
                    self._grant(STREAMS_WHEN_TRUSTED)
                self.h2.send_headers(stream, headers, end_stream=True)
                return
            self.h2.send_headers(stream, headers)
            self.h2.send_data(stream, json.dumps(details).encode(), end_stream=True)
        except ProtocolError:
            pass  # the client closed the stream or the connection meanwhile

    def _grant(self, streams: int) -> None:
        self._send()
        self.granted = streams
        frame = SettingsFrame(
            0, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: streams}
        )
        self.transport.write(frame.serialize())

    def _send(self) -> None:
        data = self.h2.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)
