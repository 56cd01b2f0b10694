"""The NSW double refuses, limits and serves as Transport for NSW does."""

import gzip
import io
import zipfile

import httpx
import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from loadtests.rig.rig import Rig
from worker.policy import POLICY

BUSES = POLICY.feeds["buses_trips"].path
COMPLETE = POLICY.bundles["complete"].path
TRAINS = POLICY.bundles["sydneytrains"].path


def served(response: httpx.Response) -> FeedMessage:
    return FeedMessage.FromString(response.content)


@pytest.mark.parametrize("header", [None, "apikey wrong", "Bearer x"], ids=str)
def test_without_its_key_nothing_is_served(world: Rig, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}

    answer = httpx.get(world.environment["NSW_BASE_URL"] + BUSES, headers=headers)

    assert answer.status_code == 401


def test_every_feed_and_bundle_of_policy_is_served(
    switchboard: httpx.Client, nsw: httpx.Client
) -> None:
    paths = [row.path for row in (*POLICY.feeds.values(), *POLICY.bundles.values())]
    for path in paths:
        switchboard.post("/reset")
        assert nsw.get(path).status_code == 200, path

    assert nsw.get("/v1/gtfs/realtime/hovercraft").status_code == 404


def test_a_sixth_request_within_a_second_is_over_the_rate(nsw: httpx.Client) -> None:
    answers = [nsw.get("/v2/gtfs/realtime/metro") for _ in range(8)]

    refused = [answer for answer in answers if answer.status_code == 403]
    assert refused
    assert {a.headers["X-Error-Detail"] for a in refused} == {"Account Over Rate Limit"}


def test_realtime_has_no_validators_and_refuses_head(nsw: httpx.Client) -> None:
    assert nsw.head(BUSES).status_code == 502

    answer = nsw.get(BUSES)

    assert not {"etag", "last-modified"} & set(answer.headers)
    assert served(answer).header.timestamp


def test_gzip_is_given_to_those_who_ask(nsw: httpx.Client) -> None:
    plain = nsw.get(BUSES, headers={"Accept-Encoding": "identity"})
    with nsw.stream("GET", BUSES, headers={"Accept-Encoding": "gzip"}) as packed:
        body = b"".join(packed.iter_raw())

    assert packed.headers["content-encoding"] == "gzip"
    assert len(body) < len(plain.content) / 2
    assert FeedMessage.FromString(gzip.decompress(body)).header.timestamp
    assert "content-encoding" not in plain.headers


def test_a_bundle_is_fetched_whole_in_parts_or_not_at_all(nsw: httpx.Client) -> None:
    whole = nsw.get(TRAINS)
    middle = nsw.get(TRAINS, headers={"Range": "bytes=1000-1999"})
    rest = nsw.get(TRAINS, headers={"Range": f"bytes={len(whole.content) - 10}-"})
    known = nsw.get(TRAINS, headers={"If-None-Match": whole.headers["etag"]})

    assert zipfile.ZipFile(io.BytesIO(whole.content)).testzip() is None
    assert middle.status_code == rest.status_code == 206
    assert middle.content == whole.content[1000:2000]
    assert middle.headers["content-range"] == f"bytes 1000-1999/{len(whole.content)}"
    assert rest.content == whole.content[-10:]
    assert (known.status_code, known.content) == (304, b"")


def test_a_bundle_not_modified_since_is_not_sent_again(nsw: httpx.Client) -> None:
    first = nsw.head(TRAINS)
    since = nsw.get(
        TRAINS, headers={"If-Modified-Since": first.headers["last-modified"]}
    )
    beyond = nsw.get(TRAINS, headers={"Range": "bytes=999999999-"})

    assert (first.status_code, first.content) == (200, b"")
    assert int(first.headers["content-length"]) > 1000
    assert since.status_code == 304
    assert beyond.status_code == 416


def test_what_is_asked_of_us_is_counted(
    nsw: httpx.Client, switchboard: httpx.Client
) -> None:
    switchboard.post("/reset")
    nsw.get("/v1/nowhere")

    assert switchboard.get("/counters").json()["nsw"] == {"GET /v1/nowhere 404": 1}


@pytest.mark.parametrize(
    ("kind", "value", "status"),
    [("status", 503, 503), ("status", 429, 429), ("quota", "day", 403)],
)
def test_a_fault_of_status_is_answered(
    nsw: httpx.Client, switchboard: httpx.Client, kind: str, value: object, status: int
) -> None:
    fault = {"target": "nsw", "kind": kind, "value": value, "path": "realtime/buses"}
    switchboard.post("/faults", json=fault).raise_for_status()

    hit, missed = nsw.get(BUSES), nsw.get("/v2/gtfs/realtime/metro")

    assert hit.status_code == status
    assert missed.status_code == 200
    if kind == "quota":
        assert hit.headers["X-Error-Detail"] == "Account Over Quota Limit"


def test_faults_spoil_the_body(nsw: httpx.Client, switchboard: httpx.Client) -> None:
    def with_fault(kind: str) -> httpx.Response:
        switchboard.post("/reset")
        switchboard.post("/faults", json={"target": "nsw", "kind": kind})
        return nsw.get(BUSES, headers={"Accept-Encoding": "identity"})

    whole = nsw.get(BUSES, headers={"Accept-Encoding": "identity"})

    assert with_fault("empty").content == b""
    assert with_fault("html").content.startswith(b"<!DOCTYPE html>")
    assert 0 < len(with_fault("cut").content) < len(whole.content)
    with pytest.raises(httpx.RemoteProtocolError):
        with_fault("truncated")


def test_a_frozen_feed_stands_still_until_it_is_mended(
    nsw: httpx.Client, switchboard: httpx.Client
) -> None:
    def timestamp() -> int:
        return int(served(nsw.get(BUSES)).header.timestamp)

    switchboard.post("/faults", json={"target": "nsw", "kind": "frozen"})
    before = timestamp()
    lines = switchboard.get("/state").json()["lines"]
    switchboard.post("/events", json={"lines": lines, "delay_s": 900, "duration_s": 60})

    during = timestamp()
    switchboard.delete("/faults")

    assert during == before
    assert timestamp() > before


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"target": "moon", "kind": "status"}, "no target moon"),
        ({"target": "nsw", "kind": "tired"}, "nsw has no fault tired"),
        ({"target": "nsw", "kind": "slow", "duration_s": "x"}, "duration_s"),
    ],
    ids=["target", "kind", "duration"],
)
def test_a_wrong_fault_is_refused_in_one_sentence(
    switchboard: httpx.Client, asked: dict[str, object], why: str
) -> None:
    answer = switchboard.post("/faults", json=asked)

    assert answer.status_code == 400
    assert why in answer.json()["error"]
    assert switchboard.get("/faults").json() == {"faults": []}


def test_a_timetable_that_is_published_anew_is_the_same_under_another_hash(
    switchboard: httpx.Client, nsw: httpx.Client
) -> None:
    before = nsw.get(TRAINS)
    switchboard.post("/reset")

    reissued = switchboard.post("/bundles", json={}).json()["reissued"]
    after = nsw.get(TRAINS, headers={"If-None-Match": before.headers["ETag"]})

    assert "sydneytrains" in reissued
    assert after.status_code == 200
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.content != before.content
    with (
        zipfile.ZipFile(io.BytesIO(before.content)) as old,
        zipfile.ZipFile(io.BytesIO(after.content)) as new,
    ):
        assert new.testzip() is None
        assert [i.CRC for i in old.infolist()] == [i.CRC for i in new.infolist()]
