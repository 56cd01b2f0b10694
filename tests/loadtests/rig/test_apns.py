"""The Apple double over the wire, spoken to with the h2 library and with httpx."""

import json
import socket
import ssl
import time
import uuid
from collections.abc import Iterator
from typing import Any

import h2.events
import httpx
import jwt
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes

from loadtests.rig.http2 import GOAWAY, PREFACE
from loadtests.rig.rig import Rig

DEVICE = "0a" * 32


def connected_to(world: Rig) -> ssl.SSLSocket:
    """A TLS connection that has said nothing yet."""
    address = httpx.URL(world.environment["APNS_BASE_URL"])
    context = ssl.create_default_context(cafile=world.environment["APNS_CA_FILE"])
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(
        socket.create_connection((address.host, address.port or 443), timeout=20),
        server_hostname=address.host,
    )


class Client:
    """One HTTP/2 connection; ``events`` collects what the server said."""

    def __init__(self, world: Rig) -> None:
        self.socket = connected_to(world)
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.topic = world.environment["APNS_TOPIC"]
        self.token = provider_token(world)
        self.events: list[Any] = []
        self.receive_until(h2.events.RemoteSettingsChanged)

    def push(self, body: bytes = b"{}", **changed: str) -> int:
        stream = self.h2.get_next_available_stream_id()
        headers = {
            ":method": "POST",
            ":scheme": "https",
            ":authority": "127.0.0.1",
            ":path": f"/3/device/{DEVICE}",
            "authorization": f"bearer {self.token}",
            "apns-topic": self.topic,
            "apns-push-type": "alert",
            "apns-id": str(uuid.uuid4()),
        }
        headers.update({k.replace("_", "-"): v for k, v in changed.items()})
        self.h2.send_headers(stream, list(headers.items()))
        self.h2.send_data(stream, body, end_stream=True)
        return int(stream)

    def receive_until(self, kind: type, count: int = 1) -> list[Any]:
        """The first ``count`` events of a kind; fails when the server closes."""
        while True:
            self.send()
            found = [event for event in self.events if isinstance(event, kind)]
            if len(found) >= count:
                return found[:count]
            data = self.socket.recv(65_536)
            assert data, f"closed before {count} x {kind.__name__}: {self.events}"
            self.events += self.h2.receive_data(data)

    def send(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def answer(self, stream: int) -> tuple[int, dict[str, Any]]:
        """Status and body of one stream; what was said of it is then forgotten."""
        while not any(
            isinstance(e, h2.events.StreamEnded) and e.stream_id == stream
            for e in self.events
        ):
            count = sum(isinstance(e, h2.events.StreamEnded) for e in self.events)
            self.receive_until(h2.events.StreamEnded, count + 1)
        mine = [e for e in self.events if getattr(e, "stream_id", 0) == stream]
        self.events = [e for e in self.events if e not in mine]
        headers = next(e for e in mine if isinstance(e, h2.events.ResponseReceived))
        body = b"".join(e.data for e in mine if isinstance(e, h2.events.DataReceived))
        status = int(dict(headers.headers)[":status"])
        return status, json.loads(body) if body else {}


_TOKENS: dict[str, str] = {}


def provider_token(world: Rig) -> str:
    """One token for all tests: Apple wants it reused, and so does its double."""
    environment = world.environment
    if environment["APNS_KEY"] not in _TOKENS:
        _TOKENS[environment["APNS_KEY"]] = jwt.encode(
            {"iss": environment["APNS_TEAM_ID"], "iat": int(time.time())},
            environment["APNS_KEY"],
            algorithm="ES256",
            headers={"kid": environment["APNS_KEY_ID"]},
        )
    return _TOKENS[environment["APNS_KEY"]]


@pytest.fixture
def client(world: Rig, switchboard: httpx.Client) -> Iterator[Client]:
    switchboard.post("/reset").raise_for_status()
    connected = Client(world)
    yield connected
    connected.socket.close()


def streams(client: Client) -> int:
    return int(client.h2.remote_settings.max_concurrent_streams)


def test_one_stream_is_granted_until_a_push_was_good(client: Client) -> None:
    assert streams(client) == 1

    refused = client.push(authorization="bearer nonsense")
    assert client.answer(refused) == (403, {"reason": "InvalidProviderToken"})
    assert streams(client) == 1

    assert client.answer(client.push()) == (200, {})
    assert streams(client) == 1000


def test_a_stream_too_many_is_refused_and_the_other_answered(client: Client) -> None:
    first = client.push()
    # The client library keeps to the limit by itself, so it is told of another.
    client.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 10
    client.h2.remote_settings.acknowledge()
    second = client.push()

    (reset,) = client.receive_until(h2.events.StreamReset)

    assert (reset.stream_id, reset.error_code) == (second, 7)
    assert client.answer(first) == (200, {})


def test_an_arrival_tells_token_ids_and_the_status_answered(
    client: Client, switchboard: httpx.Client
) -> None:
    sent_at, apns_id = time.time(), str(uuid.uuid4())
    client.answer(client.push(apns_id=apns_id, apns_collapse_id="343/2000"))
    client.answer(client.push(apns_topic="com.example.other"))

    answer = switchboard.get("/arrivals", params={"after": 0, "wait_s": 5}).json()

    assert answer["next"] == 2
    first, second = answer["arrivals"]
    assert sent_at <= first.pop("at") <= time.time()
    assert first == {
        "token": DEVICE,
        "apns_id": apns_id,
        "collapse_id": "343/2000",
        "topic": client.topic,
        "status": 200,
        "reason": "",
    }
    assert (second["status"], second["reason"]) == (400, "TopicDisallowed")
    assert switchboard.get("/arrivals?after=1").json()["arrivals"] == [second]


def test_hundreds_of_pushes_in_flight_are_all_answered(
    client: Client, switchboard: httpx.Client
) -> None:
    client.answer(client.push())
    pushed = [client.push(body=b"x" * 300) for _ in range(500)]

    assert [client.answer(stream) for stream in pushed] == [(200, {})] * 500
    assert switchboard.get("/counters").json()["apns"] == {"200": 501}


def test_error_bodies_wait_for_the_clients_window(client: Client) -> None:
    client.answer(client.push())
    fitting = 65_535 // len(json.dumps({"reason": "TopicDisallowed"}))
    for batch in (900, 900, fitting - 1800):
        for stream in [client.push(apns_topic="other") for _ in range(batch)]:
            client.answer(stream)

    late = client.push(apns_topic="other")
    client.send()
    client.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.answer(late)
    client.socket.settimeout(20)

    client.h2.increment_flow_control_window(65_535)
    assert client.answer(late) == (400, {"reason": "TopicDisallowed"})


def test_a_ping_is_answered(client: Client) -> None:
    client.h2.ping(b"12345678")

    (answer,) = client.receive_until(h2.events.PingAckReceived)

    assert answer.ping_data == b"12345678"


def test_another_client_library_is_understood(
    world: Rig, switchboard: httpx.Client
) -> None:
    context = ssl.create_default_context(cafile=world.environment["APNS_CA_FILE"])
    with httpx.Client(
        http2=True, verify=context, base_url=world.environment["APNS_BASE_URL"]
    ) as client:
        answers = [
            client.post(
                f"/3/device/{DEVICE}",
                headers={
                    "authorization": f"bearer {provider_token(world)}",
                    "apns-topic": topic,
                    "apns-push-type": "alert",
                },
                content=b"{}",
            )
            for topic in (world.environment["APNS_TOPIC"], "other")
        ]

    assert [answer.http_version for answer in answers] == ["HTTP/2", "HTTP/2"]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert uuid.UUID(answers[0].headers["apns-id"])
    assert answers[1].json() == {"reason": "TopicDisallowed"}


def test_it_cannot_be_reached_without_tls(world: Rig) -> None:
    address = httpx.URL(world.environment["APNS_BASE_URL"])
    with pytest.raises(httpx.TransportError):
        httpx.post(f"http://{address.host}:{address.port}/3/device/{DEVICE}")


def test_a_fault_of_status_strikes_the_share_it_names(
    client: Client, switchboard: httpx.Client
) -> None:
    client.answer(client.push())
    value = {"status": 410, "reason": "Unregistered", "share": 0.5}
    fault = {"target": "apns", "kind": "status", "value": value}
    switchboard.post("/faults", json=fault).raise_for_status()

    answers = [client.answer(client.push()) for _ in range(40)]

    gone = [body for status, body in answers if status == 410]
    assert 5 < len(gone) < 35
    assert all(abs(body["timestamp"] / 1000 - time.time()) < 60 for body in gone)


def test_goaway_names_the_reason_and_ends_the_connection(
    client: Client, switchboard: httpx.Client
) -> None:
    pushed = client.push()
    client.send()
    switchboard.get("/arrivals", params={"after": 0, "wait_s": 5})

    switchboard.post("/faults", json={"target": "apns", "kind": "goaway"})
    (goodbye,) = client.receive_until(h2.events.ConnectionTerminated)

    assert client.answer(pushed) == (200, {})
    assert goodbye.last_stream_id == pushed
    assert json.loads(goodbye.additional_data) == {"reason": "Shutdown"}
    assert client.socket.recv(1) == b""


def test_a_hanging_apple_answers_nothing_and_a_reset_one_resets(
    client: Client, switchboard: httpx.Client
) -> None:
    client.answer(client.push())
    switchboard.post("/faults", json={"target": "apns", "kind": "hang"})
    silent = client.push()
    client.send()
    client.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.answer(silent)
    client.socket.settimeout(20)

    switchboard.delete("/faults")
    switchboard.post("/faults", json={"target": "apns", "kind": "reset"})
    lost = client.push()
    (reset,) = client.receive_until(h2.events.StreamReset)

    assert reset.stream_id == lost


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        PREFACE + b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\x80",
        PREFACE + b"\x00\x00\x00\x09\x04\x00\x00\x00\x01",
    ],
    ids=["another protocol", "large frame", "header 0", "stray continuation"],
)
def test_who_breaks_the_protocol_is_sent_away_alone(
    client: Client, world: Rig, said: bytes
) -> None:
    with connected_to(world) as broken:
        broken.sendall(said)
        heard = b""
        while data := broken.recv(65_536):
            heard += data

    kinds = []
    while heard:
        length = int.from_bytes(heard[:3], "big")
        kinds.append(heard[3])
        heard = heard[9 + length :]
    assert kinds[-1] == GOAWAY
    assert client.answer(client.push()) == (200, {})
