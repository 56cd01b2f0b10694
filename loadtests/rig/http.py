"""A small HTTP/1.1 server on asyncio: keep-alive, ranges, files; loopback only."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 4 * 2**20
CHUNK = 256 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> dict[str, object]:
        """The body as a JSON object; raises ValueError when it is none."""
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise ValueError("a JSON object is wanted")
        return value


@dataclass(kw_only=True, slots=True)
class Response:
    """What is answered; ``chunks`` instead of ``body`` when it comes in pieces.

    ``declared`` overrides Content-Length, for a body that ends too early.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    declared: int | None = None

    @classmethod
    def of_json(cls, value: object, status: int = 200) -> "Response":
        """A JSON answer."""
        return cls(
            status=status,
            headers={"Content-Type": "application/json"},
            body=json.dumps(value).encode() + b"\n",
        )


Handler = Callable[[Request], Awaitable[Response]]


async def serve(handler: Handler, *, port: int = 0) -> asyncio.Server:
    """Listen on the loopback interface; port 0 takes a free one."""

    async def connected(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while request := await _read(reader):
                response = await handler(request)
                if not await _write(writer, request, response):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass  # the client went away or does not speak HTTP: nothing to answer
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    return await asyncio.start_server(connected, "127.0.0.1", port, limit=HEAD_LIMIT)


def port_of(server: asyncio.Server) -> int:
    """The port it listens on."""
    return int(server.sockets[0].getsockname()[1])


def file_response(path: Path, request: Request, headers: dict[str, str]) -> Response:
    """A file, or the part of it that Range asks for (RFC 9110, one range).

    ``headers`` holds the validators; If-None-Match, If-Modified-Since and If-Range are
    compared with them word for word.
    """
    size = path.stat().st_size
    asked = request.headers
    if asked.get("if-none-match", "") == headers.get("ETag", "-") or (
        "if-none-match" not in asked
        and asked.get("if-modified-since", "") == headers.get("Last-Modified", "-")
    ):
        return Response(status=304, headers=headers)
    whole = {**headers, "Accept-Ranges": "bytes"}
    wanted = asked.get("range", "")
    validators = (None, headers.get("ETag"), headers.get("Last-Modified"))
    if wanted.startswith("bytes=") and asked.get("if-range") in validators:
        first, last = _range(wanted, size)
        if first >= size or first > last:
            return Response(
                status=416, headers={**whole, "Content-Range": f"bytes */{size}"}
            )
        return Response(
            status=206,
            headers={**whole, "Content-Range": f"bytes {first}-{last}/{size}"},
            chunks=_read_file(path, first, last + 1),
            declared=last + 1 - first,
        )
    return Response(headers=whole, chunks=_read_file(path, 0, size), declared=size)


def _range(wanted: str, size: int) -> tuple[int, int]:
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1


async def _read_file(path: Path, first: int, end: int) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        while first < end:
            chunk = await asyncio.to_thread(file.read, min(CHUNK, end - first))
            if not chunk:
                return
            first += len(chunk)
            yield chunk


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    if length > BODY_LIMIT:
        raise ValueError("the body is too large")
    address = urlsplit(target)
    return Request(
        method=method,
        path=address.path,
        query=dict(parse_qsl(address.query)),
        headers=headers,
        body=await reader.readexactly(length) if length else b"",
    )


async def _write(
    writer: asyncio.StreamWriter, request: Request, response: Response
) -> bool:
    """Send the answer; False when the connection must end after it."""
    length = response.declared if response.declared is not None else len(response.body)
    reason = HTTPStatus(response.status).phrase
    head = [f"HTTP/1.1 {response.status} {reason}"]
    head += [f"{name}: {value}" for name, value in response.headers.items()]
    if response.status != 304:
        head.append(f"Content-Length: {length}")
    writer.write("\r\n".join([*head, "\r\n"]).encode("latin-1"))
    sent = 0
    if request.method != "HEAD" and response.status != 304:
        if response.chunks is not None:
            async for chunk in response.chunks:
                writer.write(chunk)
                sent += len(chunk)
                await writer.drain()
        else:
            writer.write(response.body)
            sent = len(response.body)
        await writer.drain()
        if sent != length:
            return False
    return request.headers.get("connection", "").lower() != "close"
