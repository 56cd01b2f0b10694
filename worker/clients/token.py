"""Apple's provider token: one for all processes, kept in Redis, renewed in time.

Apple refuses a token older than an hour, and a team that changes it more often than
each 20 minutes; it judges the team, so no child signs one of its own.
https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import jwt
from redis import Redis

from worker import keys
from worker.errors import PermanentError, TransientError
from worker.policy.notifications import Push

_SIGNING_S = 5  # how long one process may take to sign before another may try
_LOOKS = 50
_OTHERS_MAY_READ = 0o077


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """The .p8 key of an Apple team."""

    pem: str = field(repr=False)
    key_id: str
    team_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A provider token; ``issued_at`` in real epoch seconds."""

    text: str = field(repr=False)
    issued_at: float


def signing_key(
    pem: str | None, file: Path | None, *, key_id: str, team_id: str
) -> SigningKey:
    """The key from its text or its file; PermanentError says what is missing."""
    if not pem and file is not None:
        try:
            if file.stat().st_mode & _OTHERS_MAY_READ:
                raise PermanentError(
                    f"APNS_KEY_FILE {file.name} can be read by others; chmod 600 it"
                )
            pem = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise PermanentError(
                f"APNS_KEY_FILE {file.name} cannot be read: {type(error).__name__}"
            ) from None
    for name, value in (
        ("APNS_KEY or APNS_KEY_FILE", pem),
        ("APNS_KEY_ID", key_id),
        ("APNS_TEAM_ID", team_id),
    ):
        if not value:
            raise PermanentError(f"{name} is not set: no push can be signed")
    return SigningKey(pem=str(pem), key_id=key_id, team_id=team_id)


def current(
    redis: Redis,
    key: SigningKey,
    push: Push,
    *,
    refused: Token | None = None,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Token:
    """The token that all processes use; signed here when it is due and nobody else is.

    A token that is due but still valid is used while another process signs the next.
    ``refused``: the one that Apple called expired; another one is given.
    Raises TransientError when there is none and the one who signs does not finish,
    PermanentError when the refused one is too young to be replaced: then the clock of
    this machine is wrong, and signing again would make Apple refuse the team.
    """
    signing = keys.apns_signing(key.key_id)
    for _ in range(_LOOKS):
        held = _held(redis, key, refused, push, now())
        if held and now() - held.issued_at < push.token_refresh_s:
            return held
        if redis.set(signing, 1, nx=True, ex=_SIGNING_S):
            # Another process may have signed between the look and the claim.
            again = _held(redis, key, refused, push, now())
            if again and (held is None or again.issued_at > held.issued_at):
                redis.delete(signing)
                return again
            return _signed(redis, key, push, now())
        if held:
            return held
        sleep(_SIGNING_S / _LOOKS)
    raise TransientError("nobody finished signing the APNs provider token")


def _held(
    redis: Redis, key: SigningKey, refused: Token | None, push: Push, now: float
) -> Token | None:
    """The shared token, unless it is too old or the one that was refused."""
    packed = redis.get(keys.apns_token(key.key_id))
    if packed is None:
        return None
    values = json.loads(packed)
    age_s = now - values["issued_at"]
    if refused is not None and values["text"] == refused.text:
        if age_s < push.token_least_s:
            raise PermanentError(
                f"APNs calls a provider token expired that is {age_s:.0f} s old; check "
                " this machine's clock"
            )
        return None
    if age_s >= push.token_life_s:
        return None
    return Token(text=values["text"], issued_at=values["issued_at"])


def _signed(redis: Redis, key: SigningKey, push: Push, now: float) -> Token:
    claims = {"iss": key.team_id, "iat": int(now)}
    try:
        text = jwt.encode(
            claims, key.pem, algorithm="ES256", headers={"kid": key.key_id}
        )
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise PermanentError(
            "APNS_KEY cannot sign: it should be the text of the .p8 file that Apple "
            f"gave you ({type(error).__name__})"
        ) from None
    token = Token(text=text, issued_at=float(int(now)))
    packed = json.dumps({"text": token.text, "issued_at": token.issued_at})
    with redis.pipeline() as pipe:
        pipe.set(keys.apns_token(key.key_id), packed, ex=push.token_life_s)
        pipe.delete(keys.apns_signing(key.key_id))
        pipe.execute()
    return token
