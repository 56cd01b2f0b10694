from pathlib import Path

import pytest

from loadtests.given import Input
from loadtests.matrix import record
from loadtests.progress import Steps
from loadtests.rows import FULL
from worker.errors import UsageError


def test_a_redis_that_is_not_the_rigs_is_not_emptied_for_a_second_crew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")

    with pytest.raises(UsageError, match="REDIS_URL would be emptied for each"):
        record(FULL, Input(), tmp_path, Steps())
