"""Apple's checks, one rule at a time; the clock is handed in."""

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from loadtests.rig.apple import Refusal, Team, check_push

NOW = 1_800_000_000.0
DEVICE = "0a" * 32


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def team(key: ec.EllipticCurvePrivateKey) -> Team:
    return Team(key=key)


def token(team: Team, issued_at: float = NOW, **changed: Any) -> str:
    claims = {"iss": changed.pop("iss", team.team_id), "iat": int(issued_at)}
    return jwt.encode(
        claims,
        changed.pop("key", team.key),
        algorithm="ES256",
        headers={"kid": changed.pop("kid", team.key_id)},
    )


def push(team: Team, **changed: str) -> dict[str, str]:
    headers = {
        ":method": "POST",
        ":path": f"/3/device/{DEVICE}",
        "authorization": f"bearer {token(team)}",
        "apns-topic": team.topic,
        "apns-push-type": "alert",
        "apns-expiration": str(int(NOW) + 600),
        "apns-collapse-id": "x" * 64,
    }
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    path = named.pop("path", None)
    method = named.pop("method", None)
    headers.update(named)
    if path is not None:
        headers[":path"] = path
    if method is not None:
        headers[":method"] = method
    return {name: value for name, value in headers.items() if value != "absent"}


def refusal(team: Team, headers: dict[str, str], body: bytes = b"{}") -> str:
    with pytest.raises(Refusal) as caught:
        check_push(headers, body, team, NOW)
    return str(caught.value)


def test_a_good_push_is_taken(team: Team) -> None:
    check_push(push(team), b"{}", team, NOW)


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"method": "GET"}, "405 MethodNotAllowed"),
        ({"path": "/4/device/1"}, "404 BadPath"),
        ({"path": "/3/device/"}, "400 MissingDeviceToken"),
        ({"path": "/3/device/zz"}, "400 BadDeviceToken"),
        ({"authorization": "absent"}, "403 MissingProviderToken"),
        ({"authorization": "bearer nonsense"}, "403 InvalidProviderToken"),
        ({"apns_topic": "absent"}, "400 MissingTopic"),
        ({"apns_topic": "com.example.other"}, "400 TopicDisallowed"),
        ({"apns_push_type": "absent"}, "400 InvalidPushType"),
        ({"apns_priority": "7"}, "400 BadPriority"),
        ({"apns_collapse_id": "x" * 65}, "400 BadCollapseId"),
        ({"apns_id": "17"}, "400 BadMessageId"),
        ({"apns_expiration": "soon"}, "400 BadExpirationDate"),
        ({"apns_expiration": "300"}, "400 BadExpirationDate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_header_has_apples_reason(
    team: Team, changed: dict[str, str], answer: str
) -> None:
    assert refusal(team, push(team, **changed)) == answer


@pytest.mark.parametrize(
    ("body", "answer"),
    [(b"", "400 PayloadEmpty"), (b"x" * 4097, "413 PayloadTooLarge")],
    ids=["empty", "large"],
)
def test_a_wrong_payload_has_apples_reason(
    team: Team, body: bytes, answer: str
) -> None:
    assert refusal(team, push(team), body) == answer


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"iss": "OTHERTEAM1"}, "403 InvalidProviderToken"),
        ({"kid": "OTHERKEY12"}, "403 InvalidProviderToken"),
        ({"issued_at": NOW - 3601}, "403 ExpiredProviderToken"),
        ({"issued_at": NOW + 600}, "403 InvalidProviderToken"),
    ],
    ids=["team", "key id", "old", "future"],
)
def test_a_provider_token_must_be_ours_and_fresh(
    team: Team, changed: dict[str, Any], answer: str
) -> None:
    headers = push(team, authorization=f"bearer {token(team, **changed)}")

    assert refusal(team, headers) == answer


def test_a_token_signed_by_another_key_is_refused(team: Team) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    headers = push(team, authorization=f"bearer {token(team, key=other)}")

    assert refusal(team, headers) == "403 InvalidProviderToken"


def test_a_token_that_was_good_expires(team: Team) -> None:
    headers = push(team)
    check_push(headers, b"{}", team, NOW)

    with pytest.raises(Refusal, match="ExpiredProviderToken"):
        check_push(headers, b"{}", team, NOW + 3601)


def test_a_third_token_within_twenty_minutes_is_too_many(team: Team) -> None:
    for age in (0, 1):
        team.check_token(token(team, NOW - age), NOW)

    with pytest.raises(Refusal, match="429 TooManyProviderTokenUpdates"):
        team.check_token(token(team, NOW - 2), NOW)

    team.check_token(token(team, NOW - 3), NOW + 1201)
    team.check_token(token(team, NOW), NOW)


def test_the_real_clock_is_used_when_none_is_given(team: Team) -> None:
    fresh = push(team, authorization=f"bearer {token(team, time.time())}")
    fresh["apns-expiration"] = "0"

    check_push(fresh, b"{}", team)
