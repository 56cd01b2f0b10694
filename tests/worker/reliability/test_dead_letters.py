"""Dead letters on a real Redis: kept, bounded, replayed."""

from dataclasses import replace

import pytest

from worker import keys
from worker.errors import UsageError
from worker.policy import POLICY, vary
from worker.reliability import dead_letters
from worker.reliability.dead_letters import DeadLetter

RECORDING = POLICY.recording

LETTER = DeadLetter(
    id="a",
    task="apns_worker",
    args=[[1, 2]],
    attempt=3,
    error="PermanentError",
    reason="Apple refused the key",
    parked_at=1000.0,
)


class Sent(list):
    def __call__(self, *message):
        self.append(message)


def park(redis, *ids, recording=RECORDING, **changes):
    for place, letter_id in enumerate(ids):
        letter = replace(LETTER, id=letter_id, parked_at=1000.0 + place, **changes)
        dead_letters.park(redis, letter, recording)


def replay(redis, sent, *ids, recording=RECORDING):
    return dead_letters.replay(redis, sent, ids, recording, now=2000.0)


def test_the_newest_letter_comes_first_with_all_it_said(redis):
    park(redis, "a", "b")

    found = dead_letters.listed(redis)

    assert [letter.id for letter in found] == ["b", "a"]
    assert found[1] == LETTER


def test_letters_can_be_listed_of_one_task(redis):
    park(redis, "a")
    park(redis, "b", task="gtfs_static_sync")

    assert [each.id for each in dead_letters.listed(redis, task="apns_worker")] == ["a"]


def test_the_oldest_letters_go_when_there_are_too_many(redis):
    few = vary(POLICY, "recording.dead_letter_cap", 2).recording

    park(redis, "a", "b", "c", recording=few)

    assert [letter.id for letter in dead_letters.listed(redis)] == ["c", "b"]


def test_everything_that_is_kept_has_an_end(redis):
    park(redis, "a")

    for key in (keys.dead_letter("a"), keys.DEAD_LETTERS, keys.DEAD_LETTERS_UNSAVED):
        assert redis.ttl(key) > 0, key


def test_a_replay_sends_the_same_arguments_and_is_counted(redis):
    park(redis, "a")
    sent = Sent()

    (after,) = replay(redis, sent, "a")

    assert sent == [("apns_worker", [1, 2])]
    assert (after.replays, after.replayed_at) == (1, 2000.0)
    assert dead_letters.listed(redis) == [after]


def test_a_letter_is_not_replayed_for_ever(redis):
    park(redis, "a")
    sent = Sent()
    for _ in range(RECORDING.replays_per_letter):
        replay(redis, sent, "a")

    with pytest.raises(UsageError, match="Apple refused the key"):
        replay(redis, sent, "a")

    assert len(sent) == RECORDING.replays_per_letter


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["a", "unknown"], "no dead letter unknown is kept"),
        ([str(n) for n in range(51)], "51 letters are more than 50 at once"),
    ],
    ids=["unknown", "too many"],
)
def test_a_bad_replay_sends_nothing_at_all(redis, ids, said):
    park(redis, "a")
    sent = Sent()

    with pytest.raises(UsageError, match=said):
        replay(redis, sent, *ids)

    assert sent == []
