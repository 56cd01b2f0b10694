"""A log line is an event with fields, and holds no secret."""

import json
import logging
from collections.abc import Iterator

import pytest

from worker.telemetry import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def test_an_event_is_one_json_line_with_its_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("INFO", for_person=False)

    logging.getLogger("worker.x").warning("skipped", extra={"feed": "buses", "n": 3})

    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["event"], event["feed"], event["n"]) == ("skipped", "buses", 3)
    assert event["level"] == "warning"


def test_tokens_and_secrets_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", for_person=False)

    logging.getLogger("worker.x").info(
        "sent", extra={"token": "a1b2c3d4e5f6", "authorization": "apikey hunter2"}
    )

    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert "d4e5f6" not in written
    assert "a1b2c3" in written


def test_the_level_is_obeyed_and_an_unknown_one_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("ERROR", for_person=False)
    logging.getLogger("worker.x").info("unheard")

    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match="LOUD"):
        logs.configure("loud", for_person=False)


def test_celerys_second_copy_of_an_event_is_dropped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("INFO", for_person=False)

    logging.getLogger("celery.app.trace").error(
        "raised", extra={"data": {"args": "[1]", "traceback": "File hunter2.py"}}
    )

    assert "hunter2" not in capsys.readouterr().err
