"""Apple's table of answers, and what each one means for the notification.

https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.clients.apns import Said
from worker.policy.notifications import Push

_OTHER_TOPIC = "DeviceTokenNotForTopic"


class Verdict(StrEnum):
    """What to do next."""

    SENT = "sent"
    DEAD = "dead"  # the device's token is void: disable it
    LATER = "later"  # try this notification again
    RENEW = "renew"  # try again with another provider token
    BUG = "bug"  # our mistake: fail, raise the alarm
    STOP = "stop"  # a fault of the configuration: send nothing, raise the alarm


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table; ``reason`` "" stands for every other of the status."""

    status: int
    reason: str
    verdict: Verdict
    why: str


def _rows(status: int, verdict: Verdict, why: str, *reasons: str) -> list[Row]:
    return [
        Row(status=status, reason=reason, verdict=verdict, why=why)
        for reason in reasons or ("",)
    ]


TABLE: tuple[Row, ...] = (
    *_rows(200, Verdict.SENT, "Apple has it."),
    *_rows(
        400,
        Verdict.DEAD,
        "The token is no token here: another environment, or another app's. In doubt "
        "it is APNS_TOPIC or APNS_BASE_URL that is wrong: see is_doubtful.",
        *("BadDeviceToken", _OTHER_TOPIC),
    ),
    *_rows(400, Verdict.LATER, "Apple closes an idle connection.", "IdleTimeout"),
    *_rows(
        400,
        Verdict.STOP,
        "APNS_TOPIC is not one that this key may send to.",
        *("BadTopic", "MissingTopic", "TopicDisallowed", "TopicMismatch"),
    ),
    *_rows(
        400,
        Verdict.BUG,
        "A header or a payload that Apple does not take: the same again is refused.",
        *("BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority"),
        *("DuplicateHeaders", "InvalidPushType", "MissingDeviceToken", "PayloadEmpty"),
        "",
    ),
    *_rows(
        403,
        Verdict.RENEW,
        "The provider token has passed its hour.",
        "ExpiredProviderToken",
    ),
    *_rows(
        403,
        Verdict.STOP,
        "The key, its id or the team is wrong; every push would be refused.",
        *("InvalidProviderToken", "MissingProviderToken", "BadCertificate"),
        *("BadCertificateEnvironment", "BadEnvironmentKeyIdInToken"),
        *("UnrelatedKeyIdInToken", "Forbidden", ""),
    ),
    *_rows(404, Verdict.BUG, "A path that does not exist.", "BadPath", ""),
    *_rows(405, Verdict.BUG, "Not a POST.", "MethodNotAllowed", ""),
    *_rows(
        410,
        Verdict.DEAD,
        "The app was removed, or the token has run out.",
        *("Unregistered", "ExpiredToken", ""),
    ),
    *_rows(413, Verdict.BUG, "Above 4,096 bytes.", "PayloadTooLarge", ""),
    *_rows(
        429,
        Verdict.STOP,
        "The team's provider token changed too often: Apple wants 20 minutes' rest.",
        "TooManyProviderTokenUpdates",
    ),
    *_rows(429, Verdict.LATER, "Too many for one device.", "TooManyRequests", ""),
    *_rows(500, Verdict.LATER, "Apple's own fault.", "InternalServerError", ""),
    *_rows(503, Verdict.LATER, "Apple is busy.", "ServiceUnavailable", "Shutdown", ""),
    *_rows(
        0,
        Verdict.LATER,
        "No answer: the same apns-id and collapse id go out again.",
        *("Unsent", "Refused", "Reset", "Lost", "TimedOut", ""),
    ),
)

_VERDICTS = {(row.status, row.reason): row.verdict for row in TABLE}


def verdict(said: Said) -> Verdict:
    """What an answer means; one that the table does not know is tried again when the
    status says that the fault is Apple's, and is our mistake otherwise.
    """
    known = _VERDICTS.get((said.status, said.reason))
    if known is None:
        known = _VERDICTS.get((said.status, ""))
    if known is None:
        known = Verdict.LATER if said.status >= 500 else Verdict.BUG
    return known


def is_doubtful(said: Sequence[Said | None], push: Push) -> bool:
    """Whether these answers of one batch speak against our address or topic rather than
    against the phones: none was accepted, and one device is another topic's or
    ``push.disbelieved_from`` are unknown.
    """
    answers = [each for each in said if each is not None]
    foreign = [each for each in answers if _is_foreign(each)]
    return not any(each.status == 200 for each in answers) and (
        len(foreign) >= push.disbelieved_from
        or any(each.reason == _OTHER_TOPIC for each in foreign)
    )


def verdicts(said: Sequence[Said | None], *, doubted: bool) -> list[Verdict | None]:
    """What each answer of a batch means, None where there is none. While the
    configuration is ``doubted`` a foreign token is a reason to stop, not a dead phone.
    """
    return [
        None
        if each is None
        else Verdict.STOP
        if doubted and _is_foreign(each)
        else verdict(each)
        for each in said
    ]


def _is_foreign(said: Said) -> bool:
    return said.status == 400 and verdict(said) is Verdict.DEAD


def outcome(said: Said) -> str:
    """The answer in one word for the record: Apple's reason, or the status."""
    return "sent" if said.status == 200 else said.reason or f"status {said.status}"
