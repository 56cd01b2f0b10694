"""TCP links that can be cut, reset, held and slowed: what stands before a server."""

import asyncio
import contextlib
from urllib.parse import urlsplit

from loadtests.rig.faults import Faults

CHUNK = 64 * 1024
HOLD_CHECK_S = 0.05


class Link:
    """A proxy to one server; its faults are those of ``target``."""

    def __init__(self, target: str, host: str, port: int, faults: Faults) -> None:
        self.target = target
        self._host = host
        self._port = port
        self._faults = faults
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> asyncio.Server:
        """Take connections on a free port of the loopback interface."""
        return await asyncio.start_server(self._connected, "127.0.0.1", 0)

    def strike(self, kind: str) -> None:
        """Do at once what a fault does to connections that are open."""
        if kind in ("cut", "reset"):
            for writer in list(self._writers):
                writer.transport.abort()

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._faults.find(self.target, "cut") is not None:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(
                self._host, self._port
            )
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        both = [
            asyncio.create_task(self._carry(reader, far_writer)),
            asyncio.create_task(self._carry(far_reader, writer)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for each in (writer, far_writer):
                self._writers.discard(each)
                each.close()
                with contextlib.suppress(ConnectionError):
                    await each.wait_closed()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                while self._faults.find(self.target, "hold") is not None:
                    await asyncio.sleep(HOLD_CHECK_S)
                slow = self._faults.find(self.target, "slow")
                if slow is not None:
                    await asyncio.sleep(slow.number())
                writer.write(data)
                await writer.drain()


def endpoint(url: str, default_port: int) -> tuple[str, int]:
    """Host and port of an address."""
    where = urlsplit(url)
    return where.hostname or "127.0.0.1", where.port or default_port


def through(url: str, port: int) -> str:
    """The same address by way of a local port."""
    where = urlsplit(url)
    user, at, _ = where.netloc.rpartition("@")
    return where._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()
