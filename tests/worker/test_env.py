"""The environment is read once, and a wrong value is named without being shown."""

import pytest

from worker import env
from worker.errors import PolicyError, UsageError


def test_a_missing_address_says_which_command_gives_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)

    with pytest.raises(UsageError, match=r"REDIS_URL is not set.*loadtests rig"):
        env.settings().needed_redis_url()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "not-a-url"),
        ("REDIS_URL", "http://:hunter2@127.0.0.1:6379"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:99999/0"),
        ("DATABASE_URL", "mysql://me:hunter2@127.0.0.1/x"),
    ],
)
def test_a_wrong_address_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(UsageError, match=name) as refused:
        env.settings()

    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_secrets_do_not_show_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@127.0.0.1:6379/0")
    monkeypatch.setenv("NSW_API_KEY", "hunter2")

    assert "hunter2" not in repr(env.settings())


def test_a_live_worker_can_be_varied_and_a_wrong_setting_stops_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POLICY_SET", "pools.bg.children=5 pools.rt.children=2")
    assert env.settings().policy().pools["bg"].children == 5

    monkeypatch.setenv("POLICY_SET", "pools.bg.kids=5")
    with pytest.raises(PolicyError, match="POLICY_SET: "):
        env.settings().policy()
