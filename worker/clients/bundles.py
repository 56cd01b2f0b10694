"""Published archives over HTTP: only when changed, resumed when broken, hashed, kept.

A download continues in ``<name>.part`` where the last try stopped, if the server still
holds the same file. What arrived whole is kept under its hash with what the server
called it, so that a retry after a crash asks whether it is still that, and no more.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import httpx

from worker.clients.kept import Kept, Published, labels_of, write_labels
from worker.errors import PermanentError, RateLimitedError, TransientError
from worker.policy.timetable import Bundle, TimetableLimits

_ZIP_MAGIC = b"PK\x03\x04"
_OVER_QUOTA = "quota limit"
_QUOTA_PAUSE_S = 3600.0
_RATE_PAUSE_S = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """The bundle as it is now. ``path`` is None when it has not changed and is not
    kept here: ask again without ``known``.
    """

    published: Published
    path: Path | None
    unchanged: bool


Tell = Callable[[int, int], None]
"""Bytes received so far, and bytes in all (0 when the server does not say)."""


class Bundles:
    """Fetches bundles from one server into one folder."""

    def __init__(
        self,
        client: httpx.Client,
        folder: Path,
        limits: TimetableLimits,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._client = client
        self.kept = Kept(folder)
        self._limits = limits
        self._clock = clock

    def fetch(
        self,
        bundle: Bundle,
        known: Published | None,
        *,
        deadline: float,
        tell: Tell = lambda _got, _all: None,
    ) -> Fetched:
        """The bundle, downloaded unless it is still ``known``, or what is kept here.

        ``deadline`` is of this object's clock. Raises TransientError when it may work
        next time, RateLimitedError, or PermanentError.
        """
        self.kept.folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._fetched(bundle, known, deadline, tell)
        except httpx.HTTPError as error:
            raise TransientError(
                f"the bundle {bundle.name} did not arrive: {type(error).__name__}; "
                "the next try continues where this one stopped"
            ) from error

    def _fetched(
        self, bundle: Bundle, known: Published | None, deadline: float, tell: Tell
    ) -> Fetched:
        part = self.kept.folder / f"{bundle.name}.part"
        held = self.kept.newest(bundle.name) or known
        asked = self._continuation(part) or _conditions(held)
        with self._client.stream("GET", bundle.path, headers=asked) as response:
            status = response.status_code
            if status == httpx.codes.NOT_MODIFIED and held:
                path = self.kept.whole(held)
                if path or held == known:
                    return Fetched(published=held, path=path, unchanged=held == known)
            elif not (asked and _is_confused(response)):
                self._receive(bundle, part, response, deadline, tell)
                return self._finished(bundle, part, known)
        with self._client.stream("GET", bundle.path) as response:
            self._receive(bundle, part, response, deadline, tell)
            return self._finished(bundle, part, known)

    def _receive(
        self,
        bundle: Bundle,
        part: Path,
        response: httpx.Response,
        deadline: float,
        tell: Tell,
    ) -> None:
        _check_status(bundle, response)
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        received = part.stat().st_size if resumed else 0
        if resumed and not _continues(response, received):
            part.unlink()
            raise TransientError(
                f"the bundle {bundle.name} came in part, but not the part asked for; "
                "the next try begins anew"
            )
        expected = received + int(response.headers.get("content-length", 0))
        if expected > self._limits.max_archive_bytes:
            raise PermanentError(self._too_large(bundle))
        write_labels(
            part,
            etag=response.headers.get("etag", ""),
            modified=response.headers.get("last-modified", ""),
        )
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_raw():
                if not received and not chunk.startswith(_ZIP_MAGIC[: len(chunk)]):
                    raise TransientError(f"the bundle {bundle.name} is not a zip")
                received += len(chunk)
                if received > self._limits.max_archive_bytes:
                    raise PermanentError(self._too_large(bundle))
                file.write(chunk)
                tell(received, expected)
                if self._clock() > deadline:
                    raise TransientError(
                        f"the bundle {bundle.name} took too long: {received} of "
                        f"{expected} bytes came; the next try continues there"
                    )

    def _finished(self, bundle: Bundle, part: Path, known: Published | None) -> Fetched:
        with part.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        published = Published(name=bundle.name, sha256=sha256, **labels_of(part))
        return Fetched(
            published=published,
            path=self.kept.keep(part, published),
            unchanged=known is not None and known.sha256 == sha256,
        )

    def _continuation(self, part: Path) -> dict[str, str]:
        """Ask for the rest of a broken download, if its file is still the same."""
        labels = labels_of(part)
        same = labels.get("etag") or labels.get("modified")
        size = part.stat().st_size if part.exists() else 0
        if not same or not size or same.startswith("W/"):
            return {}
        return {"Range": f"bytes={size}-", "If-Range": same}

    def _too_large(self, bundle: Bundle) -> str:
        return (
            f"the bundle {bundle.name} is larger than "
            f"{self._limits.max_archive_bytes} bytes"
        )


def connect(
    base_url: str,
    api_key: str,
    limits: TimetableLimits,
    *,
    take_turn: Callable[[], str],
    sent: Callable[[str], None],
) -> httpx.Client:
    """A client of Transport for NSW for bundles; close it after use.

    Before each request ``take_turn`` waits for its share of the quota and names it;
    ``sent`` is told that name when the request is answered.
    """

    def before(request: httpx.Request) -> None:
        request.extensions["turn"] = take_turn()

    def after(response: httpx.Response) -> None:
        sent(response.request.extensions["turn"])

    return httpx.Client(
        event_hooks={"request": [before], "response": [after]},
        base_url=base_url,
        headers={"Authorization": f"apikey {api_key}", "Accept-Encoding": "identity"},
        timeout=httpx.Timeout(limits.read_timeout_s, connect=limits.connect_timeout_s),
        follow_redirects=False,
    )


def _conditions(known: Published | None) -> dict[str, str]:
    if known is None:
        return {}
    conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
    return {name: value for name, value in conditions.items() if value}


def _is_confused(response: httpx.Response) -> bool:
    """Whether the answer to a condition or a range says nothing about the bundle.

    NSW answers a conditional request for trains with 502 where 304 is meant; 416 says
    that nothing is left after the part that is here.
    """
    status = response.status_code
    return status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE or (
        response.is_server_error
    )


def _continues(response: httpx.Response, size: int) -> bool:
    """Whether a partial answer begins where ``size`` bytes end (RFC 9110, 14.4)."""
    said: str = response.headers.get("content-range", "")
    return said.startswith(f"bytes {size}-")


def _check_status(bundle: Bundle, response: httpx.Response) -> None:
    status = response.status_code
    if status in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        return
    said = f"the bundle {bundle.name} was refused with {status}"
    detail = response.headers.get("x-error-detail", "").lower()
    if status == httpx.codes.FORBIDDEN or status == httpx.codes.TOO_MANY_REQUESTS:
        # NSW answers 403 for both limits and tells them apart in this header.
        pause_s = _QUOTA_PAUSE_S if _OVER_QUOTA in detail else _RATE_PAUSE_S
        raise RateLimitedError(f"{said} {detail}".strip(), retry_after_s=pause_s)
    if response.is_server_error:
        raise TransientError(said)
    raise PermanentError(f"{said}; check NSW_API_KEY and the path {bundle.path}")
