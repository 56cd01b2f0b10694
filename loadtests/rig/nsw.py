"""Transport for NSW's doors: true paths, key, quota, validators, and faults.

Bundles have ETag, Last-Modified and ranges; realtime bodies have no validators and
answer HEAD with 502, as the real ones do.
https://opendata.transport.nsw.gov.au/developers/userguide
"""

import asyncio
import hmac
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from hashlib import blake2b
from pathlib import Path

from isal import igzip

from loadtests.rig.faults import Fault, Faults
from loadtests.rig.http import Request, Response, file_response
from loadtests.rig.streamed_zip import reissue
from loadtests.rig.world import Outside
from worker.policy.timetable import Bundle

RATE_PER_S = 5
QUOTA_PER_DAY = 60_000
"""What the double grants one key: the Bronze plan, as NSW's forum and users state it.
https://opendata.transport.nsw.gov.au/developers/api-basics"""

QUOTA_MESSAGES = {
    "rate": "Account Over Rate Limit",
    "day": "Account Over Quota Limit",
}
HTML = b"<!DOCTYPE html><html><body>Scheduled maintenance.</body></html>"


class Nsw:
    """Answers requests; ``counters`` holds them by path and status."""

    def __init__(
        self,
        outside: Outside,
        bundles: Mapping[str, Bundle],
        folder: Path,
        key: str,
        faults: Faults,
    ) -> None:
        self.outside = outside
        self.counters: Counter[str] = Counter()
        self._bundles = {row.path: row for row in bundles.values()}
        self._feeds = {row.path: name for name, row in outside.feeds.items()}
        self._folder = folder
        self._key = key
        self._faults = faults
        self._recent: deque[float] = deque()
        self._today = 0
        self._packed: dict[str, tuple[bytes, bytes]] = {}
        self._frozen: dict[str, bytes] = {}
        self._writing = asyncio.Lock()

    async def __call__(self, request: Request) -> Response:
        response = await self._answer(request)
        self.counters[f"{request.method} {request.path} {response.status}"] += 1
        return response

    def forget(self) -> None:
        """As if nothing had been asked: counters and quota begin anew."""
        self.counters.clear()
        self._recent.clear()
        self._today = 0

    def reissue(self) -> list[str]:
        """Publish the bundles that were asked for so far anew, under other hashes: the
        same timetable, as NSW does each night.
        """
        paths = [self._folder / f"{row.name}.zip" for row in self._bundles.values()]
        there = [path for path in paths if path.exists()]
        for path in there:
            reissue(path)
        return [path.stem for path in there]

    async def write(self) -> None:
        """Write the bundles, which else are written when one is asked for first."""
        for row in self._bundles.values():
            await self._written(row)

    async def _answer(self, request: Request) -> Response:
        if not _authorised(request, self._key):
            return _refusal(401, "apikey is missing or unknown")
        slow = self._faults.find("nsw", "slow", request.path)
        if slow is not None:
            await asyncio.sleep(slow.number())
        refused = self._over_quota(request)
        if refused is not None:
            return _refusal(403, "Forbidden", {"X-Error-Detail": refused})
        status = self._faults.find("nsw", "status", request.path)
        if status is not None:
            return _refusal(int(status.number()), "fault")
        if request.path in self._bundles:
            return await self._bundle(self._bundles[request.path], request)
        if request.path in self._feeds:
            if request.method == "HEAD":
                return _refusal(502, "Bad Gateway")
            return await self._feed(self._feeds[request.path], request)
        return _refusal(404, f"no resource {request.path}")

    def _over_quota(self, request: Request) -> str | None:
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        fault = self._faults.find("nsw", "quota", request.path)
        if fault is not None:
            return QUOTA_MESSAGES.get(str(fault.value), QUOTA_MESSAGES["rate"])
        if self._today >= QUOTA_PER_DAY:
            return QUOTA_MESSAGES["day"]
        if len(self._recent) >= RATE_PER_S:
            return QUOTA_MESSAGES["rate"]
        self._recent.append(now)
        self._today += 1
        return None

    async def _bundle(self, row: Bundle, request: Request) -> Response:
        path = await self._written(row)
        state = path.stat()
        tag = blake2b(f"{row.name} {state.st_size}".encode(), digest_size=8).hexdigest()
        headers = {
            "Content-Type": "application/octet-stream",
            "ETag": f'"{tag}"',
            "Last-Modified": formatdate(state.st_mtime, usegmt=True),
        }
        return self._spoiled(file_response(path, request, headers), request)

    async def _written(self, row: Bundle) -> Path:
        """Where the bundle lies, written by now."""
        path = self._folder / f"{row.name}.zip"
        async with self._writing:
            if not path.exists():
                write = self.outside.source.write_bundle
                await asyncio.to_thread(write, row.name, row.path, path)
        return path

    async def _feed(self, name: str, request: Request) -> Response:
        publication = self.outside.publications[name]
        body = publication.body
        if self._faults.find("nsw", "frozen", request.path) is None:
            self._frozen.pop(name, None)
        else:
            body = self._frozen.setdefault(name, body)
        headers = {"Content-Type": "application/x-google-protobuf"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = await self._pack(name, body)
        return self._spoiled(Response(headers=headers, body=body), request)

    async def _pack(self, name: str, body: bytes) -> bytes:
        """The body under gzip, made once for each that is published."""
        held = self._packed.get(name)
        if held is None or held[0] is not body:
            packed = await asyncio.to_thread(igzip.compress, body, 1)
            held = self._packed[name] = (body, packed)
        return held[1]

    def _spoiled(self, response: Response, request: Request) -> Response:
        """The answer as the faults of the moment leave it."""
        for fault in self._faults.active("nsw", request.path):
            spoil = _SPOILERS.get(fault.kind)
            if spoil is not None and response.status == 200:
                response = spoil(response, fault)
        return response


def _authorised(request: Request, key: str) -> bool:
    given = request.headers.get("authorization", "")
    return hmac.compare_digest(given.encode(), f"apikey {key}".encode())


def _refusal(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    response = Response.of_json({"ErrorDetails": {"Message": detail}}, status)
    response.headers.update(headers or {})
    return response


def _empty(response: Response, fault: Fault) -> Response:
    return Response(headers=response.headers)


def _html(response: Response, fault: Fault) -> Response:
    return Response(headers={"Content-Type": "text/html"}, body=HTML)


def _truncated(response: Response, fault: Fault) -> Response:
    """Content-Length promises all of it; the connection ends early."""
    whole = _length(response)
    response.chunks = _first(response, int(whole * fault.number()))
    response.declared = whole
    return response


def _cut(response: Response, fault: Fault) -> Response:
    """Content-Length agrees with the missing end: only the content can tell."""
    kept = int(_length(response) * fault.number())
    response.chunks = _first(response, kept)
    response.declared = kept
    return response


def _drip(response: Response, fault: Fault) -> Response:
    whole = _length(response)
    response.chunks = _slowly(response, fault.number())
    response.declared = whole
    return response


_SPOILERS = {
    "empty": _empty,
    "html": _html,
    "truncated": _truncated,
    "cut": _cut,
    "drip": _drip,
}


def _length(response: Response) -> int:
    return len(response.body) if response.declared is None else response.declared


async def _pieces(response: Response) -> AsyncIterator[bytes]:
    if response.chunks is None:
        yield response.body
        return
    async for chunk in response.chunks:
        yield chunk


def _first(response: Response, size: int) -> AsyncIterator[bytes]:
    pieces = _pieces(Response(body=response.body, chunks=response.chunks))

    async def read() -> AsyncIterator[bytes]:
        left = size
        async for piece in pieces:
            yield piece[:left]
            left -= len(piece[:left])
            if not left:
                return

    return read()


def _slowly(response: Response, pause_s: float) -> AsyncIterator[bytes]:
    pieces = _pieces(Response(body=response.body, chunks=response.chunks))

    async def read() -> AsyncIterator[bytes]:
        async for piece in pieces:
            for at in range(len(piece)):
                yield piece[at : at + 1]
                await asyncio.sleep(pause_s)

    return read()
