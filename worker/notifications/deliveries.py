"""What became of notifications of late, in a Redis stream: one entry a batch.

For whoever looks now; what is kept for days stands in the outbox itself.
"""

import json
import time
from collections.abc import Mapping, Sequence

from redis import Redis

from worker import keys
from worker.policy import Policy
from worker.records import Delivery, as_row


def append(redis: Redis, policy: Policy, deliveries: Sequence[Delivery]) -> None:
    """Say what became of each; the notification's id is its apns-id."""
    if not deliveries:
        return
    text = json.dumps([as_row(delivery) for delivery in deliveries])
    oldest = int((time.time() - policy.recording.reader_grace_s) * 1000)
    with redis.pipeline() as pipe:
        pipe.xadd(keys.DELIVERIES, {"batch": text}, maxlen=policy.push.deliveries_cap)
        pipe.xtrim(keys.DELIVERIES, minid=oldest, approximate=False)
        pipe.expire(keys.DELIVERIES, policy.recording.stream_ttl_s)
        pipe.execute()


def parsed(fields: Mapping[bytes, bytes]) -> list[Delivery]:
    """An entry of the stream ``keys.DELIVERIES``, as XRANGE and XREAD give it."""
    return [Delivery(**row) for row in json.loads(fields[b"batch"])]
