"""Match delays and alerts to riders' favorites: each 120 s, and when nudged."""

from worker.clients import apns
from worker.notifications import match, outbox
from worker.notifications.disruptions import Disruptions
from worker.realtime import read
from worker.records import Detail
from worker.tasks.shell import SLOT, task
from worker.tasks.world import World


@task("alert_matcher", once_per=SLOT)
def alert_matcher(world: World) -> Detail:
    """Notify riders of what is new, or worse, since they were last told."""
    policy, now = world.policy, world.now()
    wanted, _ = read.generation(world.redis)
    disruptions = Disruptions()
    disruptions.add_alerts(read.alerts(world.redis), policy.matching, now)
    for delays in read.worst_delays_in_columns(world.redis):
        disruptions.add_delays(delays, policy.matching, now)
    with world.postgres("matcher") as db:
        matched = match.insert_notifications(
            db,
            disruptions,
            policy=policy,
            environment=apns.environment(world.settings.apns_base_url),
            now=now,
            clock_offset_s=world.settings.clock_offset_s,
        )
    # Committed above: a lost message is swept, a lost row is not.
    read.mark_matched(world.redis, wanted)
    left = outbox.enqueue(world.redis, world.publish, matched.ids, policy)
    return Detail(
        disruptions=len(disruptions),
        notifications=len(matched.ids),
        capped=matched.capped,
        left_to_sweep=left,
        skipped=disruptions.skipped,
    )
