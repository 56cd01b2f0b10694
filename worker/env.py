"""The only reader of the environment: addresses, secrets, and the running policy.

Read by ``app`` and ``cli`` and handed on; secrets never reach a repr or a log.
"""

import os
import tempfile
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.errors import PolicyError, UsageError
from worker.policy import POLICY, Policy, apply_settings

_NEEDED = (
    *("REDIS_URL", "DATABASE_URL", "NSW_API_KEY"),
    *("APNS_KEY", "APNS_KEY_ID", "APNS_TEAM_ID", "APNS_TOPIC"),
)


class Settings(BaseSettings):
    """One field per variable; `worker table environment` prints the descriptions."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    redis_url: SecretStr | None = Field(None, description="Redis: broker and cache")
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL, session mode or direct (never port 6543)"
    )
    database_admin_url: SecretStr | None = Field(
        None, description="PostgreSQL as owner, for `worker migrate` alone"
    )
    nsw_base_url: str = Field(
        "https://api.transport.nsw.gov.au", description="Transport for NSW"
    )
    nsw_api_key: SecretStr = Field(
        SecretStr(""), description="key of Transport for NSW, sent as a header"
    )
    apns_base_url: str = Field("https://api.push.apple.com", description="Apple")
    apns_ca_file: Path | None = Field(
        None, description="certificate to trust instead of the system's (stand-in)"
    )
    apns_key: SecretStr | None = Field(None, description="the .p8 key, PEM text")
    apns_key_file: Path | None = Field(None, description="or the file that holds it")
    apns_key_id: str = Field("", description="id of that key")
    apns_team_id: str = Field("", description="Apple team")
    apns_topic: str = Field("", description="bundle id of the app")
    clock_offset_s: float = Field(
        0.0, description="service time minus real time, for replays"
    )
    state_dir: Path = Field(
        Path(tempfile.gettempdir()) / "transit-workers",
        description="downloaded bundles are kept here between tries",
    )
    policy_set: str = Field("", description="PATH=VALUE ..., varies the policy, loudly")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR"
    )

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _check_url(
                "REDIS_URL", url, ("redis", "rediss"), "redis://127.0.0.1:6379/0"
            )
        return url

    @field_validator("database_url", "database_admin_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _check_url(
                "DATABASE_URL",
                url,
                ("postgres", "postgresql"),
                "postgresql://user@127.0.0.1:5432/postgres",
            )
        return url

    def policy(self) -> Policy:
        """The deployed policy, varied as POLICY_SET says; raises PolicyError."""
        try:
            return apply_settings(POLICY, self.policy_set.split())
        except PolicyError as error:
            raise PolicyError(f"POLICY_SET: {error}") from None

    def given(self) -> dict[str, bool]:
        """Of each variable that a deployed worker needs, whether it has a value."""
        found = {
            name.upper(): bool(_plain(getattr(self, name)))
            for name in type(self).model_fields
        }
        needed = {name: found[name] for name in _NEEDED}
        return needed | {"APNS_KEY": found["APNS_KEY"] or found["APNS_KEY_FILE"]}

    def needed_redis_url(self) -> str:
        """REDIS_URL, or UsageError with the command that gives one."""
        return _needed("REDIS_URL", self.redis_url)

    def needed_database_url(self) -> str:
        """DATABASE_URL, or UsageError with the command that gives one."""
        return _needed("DATABASE_URL", self.database_url)

    def migration_database_url(self) -> str:
        """DATABASE_ADMIN_URL where it is set, else DATABASE_URL."""
        if self.database_admin_url is not None:
            return self.database_admin_url.get_secret_value()
        return self.needed_database_url()


def settings() -> Settings:
    """The environment as it is now; raises UsageError with one sentence."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "the environment"
        what = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"{name}: {what}") from None


def without(name: str) -> str:
    """What holds when the variable of field ``name`` is not set, for a table."""
    default = _plain(Settings.model_fields[name].default)
    if name == "state_dir":
        return "a folder of the system's temporary one"
    return "-" if default in (None, "") else str(default)


def for_celery() -> dict[str, str]:
    """This process's environment for a Celery worker to start in.

    SIGTERM, the platform's word for a deploy, then means a soft shutdown: what runs
    gets a few seconds, then its message goes back to the queue. Celery reads it when
    it is imported, so it must be set before.
    https://docs.celeryq.dev/en/stable/userguide/workers.html#worker-remap-sigterm
    """
    return {**os.environ, "REMAP_SIGTERM": "SIGQUIT"}


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _needed(name: str, url: SecretStr | None) -> str:
    if url is None:
        raise UsageError(
            f"{name} is not set; set it, or run inside the stand-in world: "
            "python -m loadtests rig -- COMMAND"
        )
    return url.get_secret_value()


def _check_url(name: str, url: SecretStr, schemes: tuple[str, ...], like: str) -> None:
    """Raises ValueError without naming the value, which may hold a password."""
    try:
        parts = urlsplit(url.get_secret_value())
        ok = parts.scheme in schemes and bool(parts.hostname or parts.query)
        parts.port  # noqa: B018  a port out of range raises here
    except ValueError:
        ok = False
    if not ok:
        raise ValueError(f"not a {schemes[-1]} address; it should look like {like}")
