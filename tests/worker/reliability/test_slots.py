"""The guard of a tick, on a real Redis."""

from concurrent.futures import ThreadPoolExecutor

from worker import keys
from worker.reliability import slots


def test_one_of_many_messages_runs_the_slot(redis):
    def claimed(message):
        return slots.claim(redis, "poll", 15, message, ttl_s=60)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(claimed, [f"message-{n}" for n in range(40)]))

    assert sum(answers) == 1


def test_the_message_of_a_killed_child_may_come_back(redis):
    first = slots.claim(redis, "poll", 15, "a", ttl_s=60)
    again = slots.claim(redis, "poll", 15, "a", ttl_s=60)

    assert first
    assert again


def test_the_next_slot_is_another_matter(redis):
    slots.claim(redis, "poll", 15, "a", ttl_s=60)

    assert slots.claim(redis, "poll", 30, "b", ttl_s=60)


def test_the_guard_has_an_end(redis):
    slots.claim(redis, "poll", 15, "a", ttl_s=60)

    assert 0 < redis.ttl(keys.slot("poll", 15)) <= 60
