"""Apple's table, row by row."""

import pytest

from worker.clients.apns import Said
from worker.notifications.outcomes import TABLE, Verdict, outcome, verdict

APPLE = {
    (200, ""): "sent",
    (400, "BadCollapseId"): "bug",
    (400, "BadDeviceToken"): "dead",
    (400, "BadExpirationDate"): "bug",
    (400, "BadMessageId"): "bug",
    (400, "BadPriority"): "bug",
    (400, "BadTopic"): "stop",
    (400, "DeviceTokenNotForTopic"): "dead",
    (400, "DuplicateHeaders"): "bug",
    (400, "IdleTimeout"): "later",
    (400, "InvalidPushType"): "bug",
    (400, "MissingDeviceToken"): "bug",
    (400, "MissingTopic"): "stop",
    (400, "PayloadEmpty"): "bug",
    (400, "TopicDisallowed"): "stop",
    (403, "BadCertificate"): "stop",
    (403, "BadCertificateEnvironment"): "stop",
    (403, "BadEnvironmentKeyIdInToken"): "stop",
    (403, "ExpiredProviderToken"): "renew",
    (403, "Forbidden"): "stop",
    (403, "InvalidProviderToken"): "stop",
    (403, "MissingProviderToken"): "stop",
    (403, "UnrelatedKeyIdInToken"): "stop",
    (404, "BadPath"): "bug",
    (405, "MethodNotAllowed"): "bug",
    (410, "ExpiredToken"): "dead",
    (410, "Unregistered"): "dead",
    (413, "PayloadTooLarge"): "bug",
    (429, "TooManyProviderTokenUpdates"): "stop",
    (429, "TooManyRequests"): "later",
    (500, "InternalServerError"): "later",
    (503, "ServiceUnavailable"): "later",
    (503, "Shutdown"): "later",
}
"""https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns"""


def said(status: int, reason: str) -> Said:
    return Said(status=status, reason=reason, at=0.0)


@pytest.mark.parametrize(("answer", "expected"), APPLE.items(), ids=str)
def test_each_answer_of_apple_has_its_verdict(answer, expected):
    assert verdict(said(*answer)) == expected


def test_every_reason_of_apple_stands_in_the_table_itself():
    assert set(APPLE) <= {(row.status, row.reason) for row in TABLE}


def test_no_answer_has_two_rows():
    assert len({(row.status, row.reason) for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Verdict.BUG),
        (403, Verdict.STOP),
        (410, Verdict.DEAD),
        (418, Verdict.BUG),
        (429, Verdict.LATER),
        (500, Verdict.LATER),
        (502, Verdict.LATER),
        (0, Verdict.LATER),
    ],
)
def test_a_reason_that_is_not_known_yet_follows_its_status(status, expected):
    assert verdict(said(status, "SomethingNew")) is expected


def test_only_apples_yes_counts_as_sent():
    assert [row.status for row in TABLE if row.verdict is Verdict.SENT] == [200]
    assert outcome(said(200, "")) == "sent"
    assert outcome(said(410, "Unregistered")) == "Unregistered"
    assert outcome(said(502, "")) == "status 502"
