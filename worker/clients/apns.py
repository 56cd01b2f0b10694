"""Apple's push service: one long-lived connection a process.

https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
"""

import json
import os
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from worker.clients import tls
from worker.clients.frames import literals
from worker.clients.http2 import Answer, Connection, Request
from worker.errors import PermanentError, TransientError
from worker.policy.notifications import Push

PROVIDER_REASONS = frozenset(
    (
        *("BadTopic", "MissingTopic", "TopicDisallowed", "TopicMismatch"),
        "TooManyProviderTokenUpdates",
    )
)
"""Beside status 403: reasons that are the provider's fault, not of one push."""

_LEAVING_REASONS = ("IdleTimeout", "Shutdown")
_PRIORITY = b"10"  # at once; a delay is no use when the phone feels like it


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One push to one device; Apple drops it after ``expires_at``, epoch seconds."""

    device_token: str = field(repr=False)
    apns_id: str
    collapse_id: str
    expires_at: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What came of a push: Apple's status and reason, or 0 and why there is none.

    ``dead_since``: epoch seconds, of a 410. ``at``: when it was heard.
    """

    status: int
    reason: str
    at: float
    dead_since: float | None = None


class Apns:
    """Sends pushes over a connection that it opens, proves and replaces by itself.

    ``name``: the address and the topic, which decide whose tokens are known there.
    """

    def __init__(
        self, base_url: str, topic: str, ca_file: Path | None, push: Push
    ) -> None:
        where = urlsplit(base_url)
        if where.scheme != "https" or not where.hostname:
            raise PermanentError("APNS_BASE_URL must be an https address")
        if not topic:
            raise PermanentError("APNS_TOPIC is not set: the bundle id of the app")
        self._address = (where.hostname, where.port or 443)
        self.name = f"{where.netloc}/{topic}"
        self._authority = where.netloc.encode()
        self._topic = topic.encode()
        self._ca_file = ca_file
        self._push = push
        self._connection: Connection | None = None

    def send(
        self, notices: Sequence[Notice], token: str, said: list[Said | None]
    ) -> None:
        """Send what has no answer in ``said`` yet, and put each answer there.

        What was in flight when the connection ended is sent once more on a new one,
        under the same apns-id; what never left keeps None. ``said`` is right at any
        moment, also when this is left by an exception. Raises TransientError when no
        connection can be made, PermanentError when the other side is not Apple.
        """
        common = self._common(token)
        requests = [Request(_block(each, common), each.payload) for each in notices]
        answers = [None if each is None else _DONE for each in said]
        until = time.monotonic() + self._push.send_budget_s
        try:
            for _ in range(2):
                self._ready().exchange(
                    requests,
                    answers,
                    streams=self._push.streams,
                    until=until,
                    ends=_ends_batch,
                )
                answers = [None if _was_lost(each) else each for each in answers]
                done = None not in answers or time.monotonic() >= until
                if done or not self._must_go():
                    break
        finally:
            now = time.time()
            for index, answer in enumerate(answers):
                if answer is not None and answer is not _DONE:
                    said[index] = _said(answer, now)
            if any(each and each.reason in _LEAVING_REASONS for each in said):
                self.close()  # Apple leaves this connection: the next push needs one

    def close(self) -> None:
        """Close the connection; the next push opens one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _must_go(self) -> bool:
        """Whether the connection is used up."""
        return self._connection is None or not self._connection.alive(
            idle_s=self._push.connection_idle_s, within_s=self._push.connect_timeout_s
        )

    def _ready(self) -> Connection:
        if self._connection is None or self._must_go():
            self.close()
            self._connection = Connection(self._connected())
        return self._connection

    def _connected(self) -> ssl.SSLSocket:
        host, port = self._address
        try:
            encrypted = tls.connect(
                host,
                port,
                _trusting(self._ca_file),
                within_s=self._push.connect_timeout_s,
            )
        except ssl.SSLCertVerificationError as error:
            raise PermanentError(
                f"{host}:{port} shows a certificate that is not trusted: "
                f"{error.verify_message}"
            ) from None
        except OSError as error:
            raise TransientError(
                f"APNs at {host}:{port} cannot be reached: {type(error).__name__}"
            ) from None
        if encrypted.selected_alpn_protocol() != "h2":
            encrypted.close()
            raise PermanentError(f"{host}:{port} does not speak HTTP/2: not APNs")
        return encrypted

    def _common(self, token: str) -> bytes:
        """The headers that all pushes share, encoded."""
        return literals(
            (
                (b":method", b"POST"),
                (b":scheme", b"https"),
                (b":authority", self._authority),
                (b"authorization", b"bearer " + token.encode()),
                (b"apns-topic", self._topic),
                (b"apns-push-type", b"alert"),
                (b"apns-priority", _PRIORITY),
            )
        )


def of_this_process(
    base_url: str, topic: str, ca_file: Path | None, push: Push
) -> Apns:
    """The one that this process keeps; a forked child gets its own."""
    return _kept(os.getpid(), base_url, topic, ca_file, push)


def environment(base_url: str) -> Literal["production", "sandbox"]:
    """Which devices' tokens the address takes."""
    host = urlsplit(base_url).hostname or ""
    return "sandbox" if "sandbox" in host else "production"


@lru_cache(maxsize=1)
def _kept(
    _pid: int, base_url: str, topic: str, ca_file: Path | None, push: Push
) -> Apns:
    return Apns(base_url, topic, ca_file, push)


@lru_cache(maxsize=1)
def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return context


def _block(notice: Notice, common: bytes) -> bytes:
    path = ((b":path", b"/3/device/" + notice.device_token.encode()),)
    return (
        literals(path)
        + common
        + literals(
            (
                (b"apns-id", notice.apns_id.encode()),
                (b"apns-collapse-id", notice.collapse_id.encode()),
                (b"apns-expiration", b"%d" % notice.expires_at),
            )
        )
    )


_DONE = Answer(200, "")


def _was_lost(answer: Answer | None) -> bool:
    return answer is not None and answer.reason == "Lost"


def _ends_batch(answer: Answer) -> bool:
    """A fault of the provider, not of one push: the rest would be refused alike."""
    if answer.status == 200:
        return False
    return answer.status == 403 or _reason(answer) in PROVIDER_REASONS


def _said(answer: Answer, now: float) -> Said:
    body = _body(answer)
    dead_since = body.get("timestamp") if answer.status == 410 else None
    return Said(
        status=answer.status,
        reason=answer.reason or _reason(answer),
        at=now,
        dead_since=dead_since / 1000 if isinstance(dead_since, int | float) else None,
    )


def _reason(answer: Answer) -> str:
    return str(_body(answer).get("reason", ""))[:100]


def _body(answer: Answer) -> dict[str, object]:
    try:
        body = json.loads(answer.body or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
