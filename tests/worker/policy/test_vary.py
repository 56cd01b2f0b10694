"""A what-if is a copy of the policy with every rule checked again."""

import pytest

from worker.errors import PolicyError
from worker.policy import POLICY, apply_settings, vary


def test_a_varied_policy_leaves_the_deployed_one_alone() -> None:
    more = vary(POLICY, "pools.bg.children", 7)

    assert more.pools["bg"].children == 7
    assert POLICY.pools["bg"].children != 7
    assert more.pools["rt"] is POLICY.pools["rt"]


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("pools.bg.children=4", 4),
        ("services.rt.vcpu=0.5", 0.5),
        ("pools.bg.queues=normal,batch,critical", ("normal", "batch", "critical")),
        ("tasks.upkeep.queue=batch", "batch"),
        ("tasks.alert_matcher.tick.period_s=240", 240),
    ],
)
def test_a_text_is_read_as_the_type_that_is_there(setting: str, read: object) -> None:
    path = setting.partition("=")[0].split(".")

    node: object = apply_settings(POLICY, [setting])
    for step in path:
        node = node[step] if isinstance(node, dict) else getattr(node, step)

    assert node == read


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("pools.no_such.children=4", "'no_such' is not one of"),
        ("pools.bg.no_such=4", "'no_such' is not one of"),
        ("pools.bg.children.deeper=4", "nothing below it"),
        ("pools.bg.children=four", "cannot be read as one"),
        ("pools.bg.children=0", "below 1"),
        ("pools.bg=4", "its parts can be set"),
        ("pools.bg.children", "is not PATH=VALUE"),
        ("pools.bg.queues=normal", "which no pool serves"),
        ("tasks.gtfs_rt_poller.soft_time_limit_s=20", "must lie between"),
        ("tasks.gtfs_rt_poller.expires_s=16", "exceeds its period"),
        ("tasks.gtfs_static_sync.max_retries=0", "acknowledges late"),
        ("tasks.apns_worker.time_limit_s=16", "exceeds 15"),
        ("broker.visibility_timeout_s=5100", "started a second time"),
        ("broker.soft_shutdown_s=25", "leaves less than"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_one_sentence(setting: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says) as refused:
        apply_settings(POLICY, [setting])

    assert "\n" not in str(refused.value)


def test_every_row_has_a_reason_and_its_own_name() -> None:
    tables = (
        POLICY.tasks, POLICY.pools, POLICY.services, POLICY.feeds, POLICY.bundles,
        POLICY.upkeep, POLICY.objectives, POLICY.alarms,
    )  # fmt: skip

    for table in tables:
        for name, row in table.items():
            assert row.name == name
            assert row.reason
