import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from worker.clients.bundles import Bundles
from worker.clients.kept import Published
from worker.errors import PermanentError, RateLimitedError, TransientError
from worker.policy.timetable import BUNDLES, TIMETABLE, TimetableLimits

BODY = b"PK\x03\x04" + bytes(range(256)) * 400
SHA256 = hashlib.sha256(BODY).hexdigest()
ROW = BUNDLES["complete"]
KNOWN = Published(name="complete", sha256=SHA256, etag='"v1"')
OLDER = Published(name="complete", sha256="0" * 64, etag='"v0"')
Answer = Callable[[httpx.Request], httpx.Response]


def server(
    folder: Path, answer: Answer, limits: TimetableLimits = TIMETABLE
) -> Bundles:
    client = httpx.Client(base_url="http://nsw", transport=httpx.MockTransport(answer))
    return Bundles(client, folder, limits, clock=lambda: 0.0)


def rest_of(body: bytes, start: int) -> httpx.Response:
    where = f"bytes {start}-{len(body) - 1}/{len(body)}"
    headers = {"etag": '"v1"', "content-range": where}
    return httpx.Response(206, content=iter([body[start:]]), headers=headers)


def test_a_bundle_is_kept_under_its_hash(tmp_path: Path) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=iter([BODY]), headers={"etag": '"v1"'})

    fetched = server(tmp_path, answer).fetch(ROW, None, deadline=1)

    assert fetched.published == KNOWN
    assert fetched.path
    assert fetched.path.read_bytes() == BODY
    assert not fetched.unchanged


def test_a_bundle_that_the_server_calls_unchanged_is_not_sent(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["if-none-match"] == '"v1"'
        return httpx.Response(304)

    fetched = server(tmp_path, answer).fetch(ROW, KNOWN, deadline=1)

    assert (fetched.unchanged, fetched.path) == (True, None)


def test_a_502_to_a_conditional_request_is_asked_again_without(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "if-none-match" in request.headers:
            return httpx.Response(502)
        return httpx.Response(200, content=iter([BODY]))

    assert server(tmp_path, answer).fetch(ROW, KNOWN, deadline=1).path


def test_a_broken_download_continues_where_it_stopped(tmp_path: Path) -> None:
    ranges: list[str | None] = []

    def broken() -> Iterator[bytes]:
        yield BODY[:50_000]
        raise httpx.ReadError("gone")

    def answer(request: httpx.Request) -> httpx.Response:
        ranges.append(request.headers.get("range"))
        if len(ranges) == 1:
            return httpx.Response(200, content=broken(), headers={"etag": '"v1"'})
        assert request.headers["if-range"] == '"v1"'
        return rest_of(BODY, 50_000)

    bundles = server(tmp_path, answer)
    with pytest.raises(TransientError, match="continues where this one stopped"):
        bundles.fetch(ROW, OLDER, deadline=1)

    assert bundles.fetch(ROW, OLDER, deadline=1).published.sha256 == SHA256
    assert ranges == [None, "bytes=50000-"]


def test_a_part_that_was_not_asked_for_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "complete.part").write_bytes(BODY[:50_000])
    (tmp_path / "complete.json").write_text('{"etag": "\\"v1\\"", "modified": ""}')
    answers = [rest_of(BODY, 40_000), httpx.Response(200, content=iter([BODY]))]
    bundles = server(tmp_path, lambda _: answers.pop(0))

    with pytest.raises(TransientError, match="not the part asked for"):
        bundles.fetch(ROW, None, deadline=1)

    assert bundles.fetch(ROW, None, deadline=1).published.sha256 == SHA256


def test_a_download_that_only_lacked_its_name_is_taken_anew(tmp_path: Path) -> None:
    (tmp_path / "complete.part").write_bytes(BODY)
    (tmp_path / "complete.json").write_text('{"etag": "\\"v1\\"", "modified": ""}')

    def answer(request: httpx.Request) -> httpx.Response:
        if "range" in request.headers:
            return httpx.Response(416)
        return httpx.Response(200, content=iter([BODY]))

    fetched = server(tmp_path, answer).fetch(ROW, None, deadline=1)

    assert fetched.published.sha256 == SHA256


def test_what_came_before_a_killed_load_is_asked_for_and_not_sent_again(
    tmp_path: Path,
) -> None:
    sent: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        held = request.headers.get("if-none-match") == '"v1"'
        sent.append(304 if held else 200)
        return (
            httpx.Response(304)
            if held
            else httpx.Response(200, content=iter([BODY]), headers={"etag": '"v1"'})
        )

    server(tmp_path, answer).fetch(ROW, OLDER, deadline=1)
    again = server(tmp_path, answer).fetch(ROW, OLDER, deadline=1)

    assert sent == [200, 304]
    assert again.published == KNOWN
    assert again.path
    assert again.path.read_bytes() == BODY
    assert not again.unchanged


def test_a_kept_archive_that_is_damaged_is_downloaded_anew(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "if-none-match" in request.headers:
            return httpx.Response(304)
        return httpx.Response(200, content=iter([BODY]), headers={"etag": '"v1"'})

    bundles = server(tmp_path, answer)
    bundles.fetch(ROW, None, deadline=1)
    bundles.kept.path(ROW.name, SHA256).write_bytes(BODY[:-1] + b"x")

    again = bundles.fetch(ROW, OLDER, deadline=1)

    assert again.path
    assert again.path.read_bytes() == BODY


def test_a_new_file_on_the_server_is_taken_from_its_start(tmp_path: Path) -> None:
    (tmp_path / "complete.part").write_bytes(b"PK\x03\x04 of yesterday")
    (tmp_path / "complete.json").write_text('{"etag": "\\"v0\\"", "modified": ""}')

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["if-range"] == '"v0"'
        return httpx.Response(200, content=iter([BODY]), headers={"etag": '"v1"'})

    fetched = server(tmp_path, answer).fetch(ROW, None, deadline=1)

    assert fetched.published.sha256 == SHA256


@pytest.mark.parametrize(
    ("response", "error", "sentence"),
    [
        (
            httpx.Response(200, content=iter([b"<html>"])),
            TransientError,
            "is not a zip",
        ),
        (httpx.Response(503), TransientError, "refused with 503"),
        (httpx.Response(401), PermanentError, "check NSW_API_KEY"),
        (httpx.Response(404), PermanentError, "the path /v1/publictransport"),
    ],
    ids=["html", "503", "401", "404"],
)
def test_a_refusal_is_named_by_what_to_do(
    response: httpx.Response, error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=sentence):
        server(tmp_path, lambda _: response).fetch(ROW, None, deadline=1)


@pytest.mark.parametrize(
    ("detail", "pause_s"),
    [("Account Over Quota Limit", 3600), ("Account Over Rate Limit", 5)],
)
def test_a_403_of_a_limit_asks_for_a_pause(
    detail: str, pause_s: float, tmp_path: Path
) -> None:
    response = httpx.Response(403, headers={"X-Error-Detail": detail})

    with pytest.raises(RateLimitedError) as raised:
        server(tmp_path, lambda _: response).fetch(ROW, None, deadline=1)

    assert raised.value.retry_after_s == pause_s


def test_a_body_beyond_the_cap_or_the_deadline_is_not_taken(tmp_path: Path) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=iter([BODY]))

    small = replace(TIMETABLE, max_archive_bytes=1000)
    with pytest.raises(PermanentError, match="larger than 1000 bytes"):
        server(tmp_path, answer, small).fetch(ROW, None, deadline=1)
    with pytest.raises(TransientError, match="took too long"):
        server(tmp_path, answer).fetch(ROW, None, deadline=-1)
