"""A push that was not accepted is no push that was fast."""

from contextlib import closing

import httpx
import pytest

from loadtests.bench import pushes
from loadtests.rig.rig import rig


def test_a_push_counts_only_when_it_was_accepted() -> None:
    some = pushes.notices()[:10]
    fault = {
        "target": "apns",
        "kind": "status",
        "duration_s": 60,
        "value": {"status": 404, "reason": "BadPath", "share": 1.0},
    }
    with rig(migrated=False) as up:
        there = pushes.double(up)
        with closing(pushes.client(there)) as apns:
            pushes.send(there, apns, some, 5)
            httpx.post(f"{up.control_url}/faults", json=fault).raise_for_status()
            with pytest.raises(RuntimeError, match=r"not accepted: \{404: 10\}"):
                pushes.send(there, apns, some, 5)
