"""What ended before its rider could hear of it is told again; what we broke is not."""

import time
from datetime import UTC, datetime
from functools import partial

import pytest

from worker.clients import postgres
from worker.notifications import outbox, sweep
from worker.notifications.outbox import Mark
from worker.policy import POLICY


@pytest.fixture(params=["alert", "delay"])
def outage(riders, match, happens, database, request):
    """What one rider was to hear of, and everything that may end that."""
    now = datetime.now(UTC)
    late = happens.late(now, service_date=now.strftime("%Y%m%d"))
    tells = {
        "alert": partial(match, alerts=(happens.alert({"route_id": "T1"}),), now=now),
        "delay": partial(match, late, now=now),
    }
    return Outage(riders, tells[request.param], database)


class Outage:
    def __init__(self, riders, tell, database):
        self.riders, self.tell, self.database = riders, tell, database
        riders.one({"route_id": "T1"})
        self.ids = self.again()

    def again(self):
        """The ids of what the matcher tells now."""
        return self.tell().ids

    def role(self, name):
        return postgres.connect(self.database.url, name, POLICY)

    def expires(self):
        with self.role("upkeep") as db:
            late = time.time() + POLICY.push.expiry_s + 1
            assert len(sweep.expire(db, POLICY.push, now=late)) == 1

    def finds_its_device_gone(self):
        self.riders.owner.execute(
            "update app.devices set disabled_at = now(), disabled_reason = 'Test'"
        )
        self.is_given_up()

    def was_tried_too_often(self):
        self.riders.owner.execute(
            "update app.notifications set attempts = %s", (POLICY.push.max_attempts,)
        )
        self.is_given_up()

    def is_given_up(self):
        with self.role("sender") as db:
            push, now = POLICY.push, time.time()
            assert len(outbox.give_up(db, self.ids, push=push, now=now)) == 1

    def ends(self, state, outcome, dead_since=None, **more):
        with self.role("sender") as db:
            now = time.time()
            (claimed,) = outbox.claim(db, self.ids, policy=POLICY, now=now)
            mark = Mark(
                id=claimed.id, attempt=1, state=state, outcome=outcome,
                dead_since=dead_since, **more,
            )  # fmt: skip
            outbox.mark(db, [mark], now=now)

    def meets_a_dead_token(self):
        self.ends("failed", "Unregistered", dead_since=time.time())

    def meets_a_token_that_was_dead_before(self):
        self.ends("failed", "Unregistered", dead_since=time.time() - 3600)

    def is_our_mistake(self):
        self.ends("failed", "PayloadTooLarge")

    def is_sent(self):
        self.ends("sent", "sent", sent_at=time.time())

    def is_put_off(self):
        self.ends("new", "ServiceUnavailable")

    def registers_again(self):
        self.riders.owner.execute(
            "update app.devices "
            "set disabled_at = null, disabled_reason = null, registered_at = now()"
        )


@pytest.mark.parametrize(
    "ends", [Outage.expires, Outage.finds_its_device_gone, Outage.meets_a_dead_token]
)
def test_what_no_rider_could_hear_is_told_again_under_its_own_id(outage, riders, ends):
    (before,) = riders.told()
    ends(outage)
    outage.registers_again()

    again = outage.again()

    ended, told = riders.told()
    assert again == [told["id"]]
    assert told["collapse_id"] == before["collapse_id"] != ended["collapse_id"]
    with outage.role("sender") as db:
        late = time.time() + 60
        claimed = outbox.claim(db, [ended["id"], told["id"]], policy=POLICY, now=late)
    assert [each.id for each in claimed] == again


@pytest.mark.parametrize(
    "ends",
    [
        Outage.was_tried_too_often,
        Outage.is_our_mistake,
        Outage.meets_a_token_that_was_dead_before,
        Outage.is_sent,
        Outage.is_put_off,
    ],
)
def test_what_was_told_or_would_end_alike_is_not_told_again(outage, riders, ends):
    (before,) = riders.told()
    ends(outage)

    assert outage.again() == []

    (after,) = riders.told()
    assert after["collapse_id"] == before["collapse_id"]


def test_many_that_end_untold_do_not_meet_in_the_key(outage, riders):
    for _ in range(3):
        outage.expires()
        outage.again()

    assert [row["state"] for row in riders.told()] == ["expired"] * 3 + ["new"]
