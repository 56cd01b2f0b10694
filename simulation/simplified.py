"""What the worker does and the model leaves out, by name, with what that is worth."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Simplified:
    """One rule of the worker that both engines leave out.

    ``worker`` and ``model``: what each does; ``matters``: where the difference shows.
    """

    name: str
    worker: str
    model: str
    matters: str


SIMPLIFIED: tuple[Simplified, ...] = (
    Simplified(
        name="push.queue_limit",
        worker="publishes no further batch while so many messages wait; the rest is "
        "left to the sweep",
        model="publishes every batch at once",
        matters="from queue_limit x batch_size notifications at once on: the model is "
        "too quick by the end of the queue, at most one sweep",
    ),
    Simplified(
        name="push.hint_again_s",
        worker="the sweep publishes again what has waited so long in the queue; that "
        "message finds its rows claimed or sent",
        model="one message a batch, and another only for one that was lost",
        matters="in a drain longer than hint_again_s: an empty claim for each message "
        "that is published twice",
    ),
    Simplified(
        name="push.sweep_limit",
        worker="one sweep takes so many notifications at most",
        model="one sweep takes all that are due",
        matters="after an outage that left more than that unsent",
    ),
    Simplified(
        name="a breaker for each feed",
        worker="counts failures of each feed apart, and one process probes at a time",
        model="one breaker for all feeds, which a poll that fails as a whole moves",
        matters="where one feed of several is down: the model has no such outage",
    ),
    Simplified(
        name="the quota of Transport for NSW",
        worker="stops asking, feed by feed, when the day's requests are spent",
        model="asks at every tick; the plan keeps the requests below the quota",
        matters="only where something else spends the same key's quota",
    ),
    Simplified(
        name="bodies as large as NSW's",
        worker="reads all that the feeds hold: buses of a weekday morning are 8.3 MB, "
        "0.2 s of processor time, and lift a poll's peak to 121 MiB",
        model="a poll takes what was measured on the made-up city's feeds, 0.11 MB",
        matters="a poll's own cores and memory; the senders' pool is another process",
    ),
)
