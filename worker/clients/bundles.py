"""Published archives over HTTP: only when changed, resumed when broken, hashed, kept.

A download continues in ``<name>.part`` where the last try stopped, if the server still
holds the same file. What arrived whole is kept under its hash, so that a retry after a
crash needs no network.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import httpx

from worker.errors import PermanentError, RateLimitedError, TransientError
from worker.policy.timetable import Bundle, TimetableLimits

_ZIP_MAGIC = b"PK\x03\x04"
_OVER_QUOTA = "quota limit"
_QUOTA_PAUSE_S = 3600.0
_RATE_PAUSE_S = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A bundle as it was received: its hash and what the server called it."""

    name: str
    sha256: str
    etag: str = ""
    modified: str = ""


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
        self._folder = folder
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
        """The bundle, downloaded unless the server says it is still ``known``.

        ``deadline`` is of this object's clock. Raises TransientError when it may work
        next time, RateLimitedError, or PermanentError.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._fetched(bundle, known, deadline, tell)
        except httpx.HTTPError as error:
            raise TransientError(
                f"the bundle {bundle.name} did not arrive: {type(error).__name__}; "
                "the next try continues where this one stopped"
            ) from error

    def kept(self, name: str, sha256: str) -> Path:
        """Where a bundle with this hash is kept, if it is."""
        return self._folder / f"{name}-{sha256[:16]}.zip"

    def forget_others(self, names: Mapping[str, str]) -> None:
        """Delete kept archives other than those with the hashes of ``names``."""
        wanted = {self.kept(name, sha256) for name, sha256 in names.items()}
        for path in self._folder.glob("*.zip"):
            if path not in wanted:
                path.unlink(missing_ok=True)

    def _fetched(
        self, bundle: Bundle, known: Published | None, deadline: float, tell: Tell
    ) -> Fetched:
        part = self._folder / f"{bundle.name}.part"
        asked = _conditions(known) if known else self._continuation(part)
        with self._client.stream("GET", bundle.path, headers=asked) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED and known:
                path = self.kept(bundle.name, known.sha256)
                return Fetched(
                    published=known,
                    path=path if path.exists() else None,
                    unchanged=True,
                )
            if not (response.is_server_error and known):
                self._receive(bundle, part, response, deadline, tell)
                return self._finished(bundle, part, known)
        # NSW answers a conditional request for trains with 502 where 304 is meant.
        return self._fetched(bundle, None, deadline, tell)

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
        expected = received + int(response.headers.get("content-length", 0))
        if expected > self._limits.max_archive_bytes:
            raise PermanentError(self._too_large(bundle))
        _labels(part).write_text(
            json.dumps(
                {
                    "etag": response.headers.get("etag", ""),
                    "modified": response.headers.get("last-modified", ""),
                }
            )
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
        labels = json.loads(_labels(part).read_text())
        path = self.kept(bundle.name, sha256)
        part.replace(path)
        _labels(part).unlink()
        return Fetched(
            published=Published(name=bundle.name, sha256=sha256, **labels),
            path=path,
            unchanged=known is not None and known.sha256 == sha256,
        )

    def _continuation(self, part: Path) -> dict[str, str]:
        """Ask for the rest of a broken download, if its file is still the same."""
        if not part.exists() or not _labels(part).exists():
            return {}
        labels = json.loads(_labels(part).read_text())
        same = labels["etag"] or labels["modified"]
        size = part.stat().st_size
        if not same or not size or same.startswith("W/"):
            return {}
        return {"Range": f"bytes={size}-", "If-Range": same}

    def _too_large(self, bundle: Bundle) -> str:
        return (
            f"the bundle {bundle.name} is larger than "
            f"{self._limits.max_archive_bytes} bytes"
        )


def connect(base_url: str, api_key: str, limits: TimetableLimits) -> httpx.Client:
    """A client of Transport for NSW for bundles; close it after use."""
    return httpx.Client(
        base_url=base_url,
        headers={"Authorization": f"apikey {api_key}", "Accept-Encoding": "identity"},
        timeout=httpx.Timeout(limits.read_timeout_s, connect=limits.connect_timeout_s),
        follow_redirects=False,
    )


def sha256_of(path: Path) -> str:
    """The hash of an archive; of a folder, that of its files' names and contents."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file_path in sorted(each for each in path.rglob("*") if each.is_file()):
        whole.update(file_path.relative_to(path).as_posix().encode() + b"\0")
        with file_path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _labels(part: Path) -> Path:
    return part.with_suffix(".json")


def _conditions(known: Published) -> dict[str, str]:
    conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
    return {name: value for name, value in conditions.items() if value}


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
