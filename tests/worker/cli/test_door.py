"""The worker's door: what cannot be done is one sentence and exit code 2."""

import sys

import pytest

from worker.cli import main
from worker.errors import answer_at_the_door

NOWHERE = "redis://:secret@127.0.0.1:1/0"
NO_DATABASE = "postgresql://someone:secret@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("words", "environment", "says"),
    [
        ("rt", {}, "REDIS_URL is not set"),
        ("beat", {"REDIS_URL": "not-a-url"}, "REDIS_URL: not a redis"),
        ("rt", {"REDIS_URL": NOWHERE}, "127.0.0.1:1"),
        ("bg", {"REDIS_URL": NOWHERE}, "127.0.0.1:1"),
        ("beat", {"REDIS_URL": NOWHERE}, "127.0.0.1:1"),
        ("rt", {"REDIS_URL": NOWHERE, "POLICY_SET": "pools.no.x=1"}, "pools.no"),
        ("poll", {"REDIS_URL": NOWHERE}, "python -m worker check"),
        ("migrate", {"DATABASE_URL": NO_DATABASE}, "python -m worker check"),
        ("status", {}, "python -m loadtests rig -- COMMAND"),
        ("sync --rollback --archive x.zip", {}, "say one of them"),
        ("decode no-such.pb", {}, "no-such.pb"),
        ("decode pyproject.toml", {}, "not a GTFS-Realtime feed"),
        ("table no-such", {}, "there is no table 'no-such'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: str,
    environment: dict[str, str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("REDIS_URL", "DATABASE_URL", "DATABASE_ADMIN_URL", "POLICY_SET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["worker", *words.split()])

    with pytest.raises(SystemExit) as left:
        answer_at_the_door(main)

    said = capfd.readouterr()
    assert left.value.code == 2
    assert says in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert "secret" not in said.err
    assert said.out == ""
