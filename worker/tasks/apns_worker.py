"""Push notifications to iPhones: a batch of ids, on demand."""

import time
from collections import Counter

from worker.clients import apns, token
from worker.clients.apns import Said
from worker.notifications import outbox
from worker.notifications.send import Sender
from worker.records import Detail
from worker.tasks.shell import task
from worker.tasks.world import World


@task("apns_worker")
def apns_worker(world: World, ids: list[int]) -> Detail:
    """Send what is still due of these notifications."""
    return sender(world).send(ids)


def push_due(world: World) -> Detail:
    """Send everything that is due now, here; counts by outcome."""
    counts: Counter[str] = Counter()
    sending, push = sender(world), world.policy.push
    while True:
        with world.postgres("sender") as db:
            ids = outbox.due(db, now=time.time(), limit=push.batch_size)
        said = sending.send(ids) if ids else Detail(claimed=0)
        if not said.get("claimed"):
            return Detail(counts) | {k: v for k, v in said.items() if k == "paused"}
        counts.update(said)


def push_test(world: World, device_token: str) -> Said:
    """Send one push to a device, outside the outbox, and say what Apple answers."""
    return sender(world).test(device_token)


def sender(world: World) -> Sender:
    """The sender of this process, over the connection that it keeps."""
    settings = world.settings
    return Sender(
        policy=world.policy,
        redis=world.redis,
        postgres=world.postgres,
        apns=apns.of_this_process(
            settings.apns_base_url,
            settings.apns_topic,
            settings.apns_ca_file,
            world.policy.push,
        ),
        key=token.signing_key(
            settings.apns_key.get_secret_value() if settings.apns_key else None,
            settings.apns_key_file,
            key_id=settings.apns_key_id,
            team_id=settings.apns_team_id,
        ),
    )
