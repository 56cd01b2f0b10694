import pytest

from worker.policy import POLICY
from worker.realtime import accept, decode
from worker.realtime.accept import Held
from worker.realtime.envelope import open_message

FEED = POLICY.feeds["buses_trips"]


def judged(message, held, now_s, limits, usable=None, sketch=None):
    opened = open_message(message.SerializeToString())
    trips, _ = decode.trip_updates(opened)
    return accept.refuse_message(
        opened,
        len(trips) if usable is None else usable,
        accept.sketch(trips.route_id) if sketch is None else sketch,
        feed=FEED,
        held=held,
        now_s=now_s,
        limits=limits,
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"\r\n \n", "empty"),
        (b"<!DOCTYPE html><html>", "html"),
        (b"  \n<html>", "html"),
        (b"\xef\xbb\xbf<?xml?>", "html"),
        (b'{"ErrorDetails": {}}', "json"),
        (b"[1, 2]", "json"),
        (b"Service unavailable", "not_protobuf"),
        (b"\x1f\x8b\x08", "not_protobuf"),
        (b"\n\x0d\n\x032.0", None),
    ],
)
def test_bodies_that_are_no_feed_are_refused_by_name(body, reason):
    assert accept.refuse_bytes(body) == reason


def test_a_first_message_is_accepted(feeds, limits):
    assert judged(feeds.city(), Held(), feeds.NOON, limits) is None


@pytest.mark.parametrize(
    ("shift_s", "reason"),
    [(-1, "older"), (0, None), (1, None), (60, None), (61, "future"), (3600, "future")],
)
def test_the_header_must_be_newer_and_not_from_the_future(
    feeds, limits, shift_s, reason
):
    held = Held(timestamp=feeds.NOON, entities=60)

    found = judged(feeds.city(timestamp=feeds.NOON + shift_s), held, feeds.NOON, limits)

    assert found == reason


def test_a_held_message_from_the_future_is_replaced(feeds, limits):
    held = Held(timestamp=feeds.NOON + 3600, entities=60)

    assert judged(feeds.city(), held, feeds.NOON, limits) is None


@pytest.mark.parametrize(
    ("trips", "held", "age_s", "reason"),
    [
        pytest.param(160, 160, 15, None, id="as many"),
        pytest.param(128, 160, 15, None, id="a fifth less"),
        pytest.param(127, 160, 15, "collapsed", id="more than a fifth less"),
        pytest.param(0, 160, 15, "collapsed", id="none"),
        pytest.param(15, 25, 15, None, id="a small feed may lose two roots"),
        pytest.param(14, 25, 15, "collapsed", id="and no more"),
        pytest.param(0, 4, 15, None, id="a tiny one may end"),
        pytest.param(5, 160, 91, None, id="believed once the held one is stale"),
    ],
)
def test_a_collapse_is_refused_while_the_held_message_is_fresh(
    feeds, limits, trips, held, age_s, reason
):
    message = feeds.city(trips=trips)

    found = judged(
        message,
        Held(timestamp=feeds.NOON - age_s, entities=held),
        feeds.NOON,
        limits,
        sketch=frozenset(),
    )

    assert found == reason


def test_a_message_without_a_timestamp_is_refused(feeds, limits):
    message = feeds.city(timestamp=feeds.NOON)
    message.header.ClearField("timestamp")

    assert judged(message, Held(), feeds.NOON, limits) == "no_timestamp"


def test_entities_of_another_kind_are_refused(feeds, limits):
    message = feeds.empty()
    feeds.vehicle(message, "t", "r", -33.8, 151.2)

    assert judged(message, Held(), feeds.NOON, limits) == "wrong_kind"


def test_another_modes_feed_is_refused(feeds, limits):
    held = Held(
        timestamp=feeds.NOON - 15, entities=60, sketch=frozenset({"T1_2a", "T8_4b"})
    )

    assert judged(feeds.city(), held, feeds.NOON, limits) == "other_routes"


def test_the_sketch_of_a_growing_network_keeps_most_routes():
    routes = [f"route-{number}".encode() for number in range(1000)]

    before, after = accept.sketch(routes[:990]), accept.sketch(routes)

    assert len(before) == accept.SKETCH_SIZE
    assert len(before & after) > 0.9 * accept.SKETCH_SIZE
