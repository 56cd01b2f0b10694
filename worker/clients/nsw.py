"""Transport for NSW over HTTP: many feeds at once under one total deadline.

A timeout of each read does not bound a body that trickles in, so the whole fetch has
one deadline and every body a size limit, held while it streams and while it inflates.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Literal

import httpx

from worker.policy.feeds import RealtimeLimits

Problem = Literal[
    "",
    "deadline",
    "unreachable",
    "truncated",
    "too_large",
    "rate_limited",
    "over_quota",
    "unauthorized",
    "refused",
    "unavailable",
]
"""Why there is no body. ``refused``: our mistake, such as an unknown path."""

_OVER_QUOTA = "account over quota limit"
_KEEP_ALIVE_S = 60.0
_CHUNK = 1 << 16
_MIB = 1 << 20
_GZIP = 31
# An event of https://www.encode.io/httpcore/extensions/#trace
_REQUEST_LEFT = ".send_request_headers.complete"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back for one feed: a body, or the problem.

    ``status`` is 0 when there was no answer. ``retry_after_s`` is what the server
    asked for, 0 when it did not. ``detail`` is for a person.
    """

    feed: str
    seconds: float
    body: bytes = b""
    problem: Problem = ""
    status: int = 0
    received: int = 0
    retry_after_s: float = 0.0
    detail: str = ""


Admit = Callable[[str], Awaitable[bool]]
"""Waits for the turn of a feed; False when it must not be asked."""
Sent = Callable[[str], None]
"""Told when a feed's request has left: connecting may have taken a while."""
Handle = Callable[[Answer], None]


class Nsw:
    """Connections to Transport for NSW, kept open from one tick to the next.

    Not shared between processes or threads.
    """

    def __init__(self, base_url: str, key: str, limits: RealtimeLimits) -> None:
        self._base_url = base_url
        self._key = key
        self._limits = limits
        self._runner: asyncio.Runner | None = None
        self._client: httpx.AsyncClient | None = None

    def fetch(
        self, paths: Mapping[str, str], admit: Admit, sent: Sent, handle: Handle
    ) -> None:
        """Ask for every path at once; ``handle`` is called for each answer as it comes.

        Returns within the total deadline of the policy, plus what ``handle`` takes;
        what has not come by then is answered with the problem ``deadline``. An error
        of ``admit``, ``sent`` or ``handle`` ends the fetch and is raised.
        """
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            self._runner.run(self._fetch(paths, admit, sent, handle))
        except BaseException:
            # Out of time, or worse: sockets in an unknown state are not used again.
            self.close()
            raise

    def close(self) -> None:
        """Close every connection; the next fetch opens new ones."""
        runner, self._runner = self._runner, None
        client, self._client = self._client, None
        if runner is None:
            return
        if client is not None:
            runner.run(client.aclose())
        runner.close()

    async def _fetch(
        self, paths: Mapping[str, str], admit: Admit, sent: Sent, handle: Handle
    ) -> None:
        began = monotonic()
        client = self._connected()
        waiting = {
            asyncio.create_task(
                self._one(client, feed, path, admit, sent, handle)
            ): feed
            for feed, path in paths.items()
        }
        try:
            done, late = await asyncio.wait(
                waiting,
                timeout=self._limits.deadline_s,
                return_when=asyncio.FIRST_EXCEPTION,
            )
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if late:
            # A stream that was given up still fills the window that it shares with
            # all others over HTTP/2: the next tick opens a connection of its own.
            self._client = None
            await client.aclose()
        for task in done:
            task.result()
        for task in late:
            handle(
                Answer(
                    feed=waiting[task],
                    seconds=monotonic() - began,
                    problem="deadline",
                    detail=f"not within {self._limits.deadline_s:g} s",
                )
            )

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = self._limits
            self._client = httpx.AsyncClient(
                base_url=self._base_url,
                http2=limits.http2,
                headers={
                    "Authorization": f"apikey {self._key}",
                    "Accept-Encoding": "gzip",
                },
                timeout=httpx.Timeout(
                    limits.deadline_s, connect=limits.connect_timeout_s
                ),
                limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE_S),
            )
        return self._client

    async def _one(
        self,
        client: httpx.AsyncClient,
        feed: str,
        path: str,
        admit: Admit,
        sent: Sent,
        handle: Handle,
    ) -> None:
        if not await admit(feed):
            return
        began = monotonic()
        try:
            answer = await self._ask(client, feed, path, began, sent)
        except httpx.HTTPError as error:
            broken = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError)
            answer = Answer(
                feed=feed,
                seconds=monotonic() - began,
                problem="truncated" if broken else "unreachable",
                detail=type(error).__name__,
            )
        handle(answer)

    async def _ask(
        self, client: httpx.AsyncClient, feed: str, path: str, began: float, sent: Sent
    ) -> Answer:
        async def trace(event: str, _info: object) -> None:
            if event.endswith(_REQUEST_LEFT):
                sent(feed)

        async with client.stream("GET", path, extensions={"trace": trace}) as response:
            problem = _problem(response)
            body = b""
            if not problem:
                problem, body = await self._body(response)
            return Answer(
                feed=feed,
                seconds=monotonic() - began,
                body=body,
                problem=problem,
                status=response.status_code,
                received=response.num_bytes_downloaded,
                retry_after_s=retry_after_s(response.headers),
                detail=response.headers.get("X-Error-Detail", ""),
            )

    async def _body(self, response: httpx.Response) -> tuple[Problem, bytes]:
        limit = self._limits.body_limit_mib * _MIB
        encoding = response.headers.get("Content-Encoding", "").lower()
        inflate = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
        received = 0
        body = bytearray()
        async for chunk in response.aiter_raw(_CHUNK):
            received += len(chunk)
            if inflate is None:
                body += chunk
            else:
                try:
                    body += inflate.decompress(chunk, limit + 1 - len(body))
                except zlib.error:
                    return "truncated", b""
            if len(body) > limit:
                return "too_large", b""
        # More behind the end is a second member, which we would leave out.
        if inflate and received and (not inflate.eof or inflate.unused_data):
            return "truncated", b""
        return "", bytes(body)


def _problem(response: httpx.Response) -> Problem:
    """The problem that a status means; https://opendata.transport.nsw.gov.au"""
    status = response.status_code
    if status == 200:
        return ""
    if status == 403:
        # One status for two limits: the header tells which. Without it, the second.
        detail = response.headers.get("X-Error-Detail", "").strip().lower()
        return "over_quota" if detail == _OVER_QUOTA else "rate_limited"
    if status == 429:
        return "rate_limited"
    if status == 401:
        return "unauthorized"
    return "unavailable" if status >= 500 else "refused"


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds that a Retry-After header asks for; 0 when there is none to read."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():  # a superscript two is a digit, and no number
        return float(value)
    try:
        at = parsedate_to_datetime(value)
        sent = parsedate_to_datetime(headers.get("Date", ""))
        return max((at - sent).total_seconds(), 0.0)
    except (TypeError, ValueError, OverflowError):  # the year 99999, as a zone
        return 0.0
