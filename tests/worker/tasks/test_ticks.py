"""Every tick that beat sends can be taken by the task that it is sent to."""

import pytest

from worker import celeryconfig
from worker.app import app
from worker.policy import POLICY
from worker.tasks import alert_matcher, gtfs_rt_poller, gtfs_static_sync, upkeep
from worker.tasks.shell import SLOT

SHELLS = {
    shell.name: shell
    for shell in (
        alert_matcher.alert_matcher,
        gtfs_rt_poller.gtfs_rt_poller,
        gtfs_static_sync.gtfs_static_sync,
        upkeep.upkeep,
    )
}


@pytest.mark.parametrize("name", celeryconfig.ticks(POLICY))
def test_a_task_with_a_tick_takes_its_slot(name):
    assert SHELLS[name].once_per == SLOT
    assert name in app.tasks
