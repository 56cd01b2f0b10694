"""What Apple checks of a push, as one pure function, and the team it belongs to."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

TOKEN_LIFE_S = 3600
TOKEN_RENEWAL_S = 1200
"""A provider token is renewed at most every 20 minutes and at least every 60.
https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns"""

TOKENS_PER_RENEWAL = 2
"""The token in use and one renewal: a third within 20 minutes is too many."""

CLOCK_TOLERANCE_S = 60
PAYLOAD_LIMIT = 4096
COLLAPSE_ID_LIMIT = 64
LONGEST_EXPIRY_S = 31 * 86400

PUSH_TYPES = frozenset(
    (
        *("alert", "background", "location", "voip", "complication"),
        *("fileprovider", "mdm", "liveactivity", "pushtotalk", "widgets"),
    )
)
_DEVICE = re.compile(r"/3/device/([0-9a-fA-F]{64,200})")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Refusal(Exception):
    """A push that is not taken: HTTP status and Apple's reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


@dataclass(kw_only=True)
class Team:
    """A made-up team with a signing key, and the provider tokens seen from it."""

    key_id: str = "ABC123DEFG"
    team_id: str = "DEF123GHIJ"
    topic: str = "au.example.transit"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    tokens: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, float] = field(default_factory=dict)

    def key_pem(self) -> str:
        """The .p8 that Apple would have handed out."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    def check_token(self, token: str, now: float) -> None:
        """Raise Refusal unless the token is ours, fresh and not one of many."""
        issued_at = self.tokens.get(token)
        if issued_at is None:
            issued_at = self._verified(token)
            if now - TOKEN_LIFE_S < issued_at <= now + CLOCK_TOLERANCE_S:
                self._count(token, now)
            self.tokens[token] = issued_at
        if issued_at <= now - TOKEN_LIFE_S:
            raise Refusal(403, "ExpiredProviderToken")
        if issued_at > now + CLOCK_TOLERANCE_S:
            raise Refusal(403, "InvalidProviderToken")

    def forget(self) -> None:
        """As if no provider token had been seen."""
        self.tokens.clear()
        self._seen.clear()

    def _verified(self, token: str) -> float:
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                self.key.public_key(),
                algorithms=["ES256"],
                options={"verify_iat": False, "require": ["iss", "iat"]},
            )
            issued_at = float(claims["iat"])
        except (jwt.InvalidTokenError, TypeError, ValueError):
            raise Refusal(403, "InvalidProviderToken") from None
        if header.get("kid") != self.key_id or claims["iss"] != self.team_id:
            raise Refusal(403, "InvalidProviderToken")
        return issued_at

    def _count(self, token: str, now: float) -> None:
        self._seen = {
            seen: at for seen, at in self._seen.items() if at > now - TOKEN_RENEWAL_S
        }
        if len(self._seen) >= TOKENS_PER_RENEWAL:
            raise Refusal(429, "TooManyProviderTokenUpdates")
        self._seen[token] = now


def check_push(
    headers: Mapping[str, str], body: bytes, team: Team, now: float | None = None
) -> None:
    """Raise Refusal for what Apple would not take; ``now`` is real epoch seconds."""
    now = time.time() if now is None else now
    if headers.get(":method") != "POST":
        raise Refusal(405, "MethodNotAllowed")
    path = headers.get(":path", "")
    if not path.startswith("/3/device/"):
        raise Refusal(404, "BadPath")
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Refusal(403, "MissingProviderToken")
    team.check_token(token, now)
    if path == "/3/device/":
        raise Refusal(400, "MissingDeviceToken")
    if not _DEVICE.fullmatch(path):
        raise Refusal(400, "BadDeviceToken")
    _check_headers(headers, team, now)
    if not body:
        raise Refusal(400, "PayloadEmpty")
    if len(body) > PAYLOAD_LIMIT:
        raise Refusal(413, "PayloadTooLarge")


def _check_headers(headers: Mapping[str, str], team: Team, now: float) -> None:
    topic = headers.get("apns-topic")
    if not topic:
        raise Refusal(400, "MissingTopic")
    if topic != team.topic:
        raise Refusal(400, "TopicDisallowed")
    if headers.get("apns-push-type", "") not in PUSH_TYPES:
        raise Refusal(400, "InvalidPushType")
    if headers.get("apns-priority", "10") not in ("1", "5", "10"):
        raise Refusal(400, "BadPriority")
    if len(headers.get("apns-collapse-id", "").encode()) > COLLAPSE_ID_LIMIT:
        raise Refusal(400, "BadCollapseId")
    if "apns-id" in headers and not _UUID.fullmatch(headers["apns-id"]):
        raise Refusal(400, "BadMessageId")
    expiration = headers.get("apns-expiration", "0")
    if not expiration.isdecimal():
        raise Refusal(400, "BadExpirationDate")
    # Apple takes any number and drops what has expired; a relative one (300 s) is 1970
    # and would vanish without a word, so the double is stricter.
    if (
        expiration != "0"
        and not now - 86400 <= int(expiration) <= now + LONGEST_EXPIRY_S
    ):
        raise Refusal(400, "BadExpirationDate")
