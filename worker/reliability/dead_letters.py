"""What failed for good: which attempt, why, and how to run it again.

Parked in Redis, because the poller must be able to fail without PostgreSQL; upkeep
copies each letter to ``ops.dead_letters``. Replaying sends the same arguments as a new
message, and is bounded per letter and per call.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from redis import Redis

from worker import keys
from worker.errors import UsageError
from worker.policy.recording import Recording


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """One attempt that failed for good; times are epoch seconds."""

    id: str  # the task id of the message; the task's name for a tick
    task: str
    args: list[Any]
    attempt: int
    error: str  # the type
    reason: str  # the sentence
    parked_at: float
    replays: int = 0
    replayed_at: float | None = None

    @property
    def replay_command(self) -> str:
        """What to type to run it again."""
        return f"python -m worker dead replay {self.id}"


def park(redis: Redis, letter: DeadLetter, recording: Recording) -> None:
    """Keep a letter; the oldest go when more than ``dead_letter_cap`` are kept."""
    ttl_s = recording.dead_letter_ttl_s
    with redis.pipeline() as pipe:
        pipe.set(keys.dead_letter(letter.id), json.dumps(asdict(letter)), ex=ttl_s)
        pipe.zadd(keys.DEAD_LETTERS, {letter.id: letter.parked_at})
        pipe.zremrangebyrank(keys.DEAD_LETTERS, 0, -recording.dead_letter_cap - 1)
        pipe.expire(keys.DEAD_LETTERS, ttl_s)
        pipe.sadd(keys.DEAD_LETTERS_UNSAVED, letter.id)
        pipe.expire(keys.DEAD_LETTERS_UNSAVED, ttl_s)
        pipe.execute()


def listed(redis: Redis, *, task: str | None = None) -> list[DeadLetter]:
    """Every kept letter, the newest first; of one task where it is named."""
    ids: Any = redis.zrevrange(keys.DEAD_LETTERS, 0, -1)
    every = read(redis, [letter_id.decode() for letter_id in ids])
    return [letter for letter in every if task in (None, letter.task)]


def read(redis: Redis, ids: Sequence[str]) -> list[DeadLetter]:
    """The letters with these ids that are still kept."""
    if not ids:
        return []
    kept = redis.mget([keys.dead_letter(letter_id) for letter_id in ids])
    return [DeadLetter(**json.loads(text)) for text in kept if text is not None]


def replay(
    redis: Redis,
    publish: Callable[..., None],
    ids: Sequence[str],
    recording: Recording,
    *,
    now: float,
) -> list[DeadLetter]:
    """Send these letters' messages again and return the letters as they are then.

    Raises UsageError, before anything is sent, when there are too many at once, when
    one is not kept, or when one was replayed ``replays_per_letter`` times already.
    """
    if len(ids) > recording.replays_at_once:
        raise UsageError(
            f"{len(ids)} letters are more than {recording.replays_at_once} at once; "
            "replay fewer, and look at what they do first"
        )
    letters = {letter.id: letter for letter in read(redis, ids)}
    for letter_id in ids:
        if letter_id not in letters:
            raise UsageError(
                f"no dead letter {letter_id} is kept; list them with "
                "`python -m worker dead`"
            )
        if letters[letter_id].replays >= recording.replays_per_letter:
            raise UsageError(
                f"dead letter {letter_id} was replayed {letters[letter_id].replays} "
                "times and failed each time; its reason must be mended first: "
                f"{letters[letter_id].reason}"
            )
    replayed = []
    for letter in letters.values():
        again = replace(letter, replays=letter.replays + 1, replayed_at=now)
        park(redis, again, recording)  # counted first: a crash here must not loop
        publish(letter.task, *letter.args)
        replayed.append(again)
    return replayed
