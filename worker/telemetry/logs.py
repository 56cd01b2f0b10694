"""Logs: one event a line, with fields; JSON for a platform, colors for a person."""

import logging
import sys

import structlog
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level
from structlog.stdlib import add_logger_name as add_logger
from structlog.typing import EventDict, Processor, WrappedLogger

_SHOWN_OF_A_TOKEN = 6
_QUIET = ("httpx", "httpcore", "hpack", "amqp", "kombu")
_SECRET_FIELDS = ("authorization", "password", "api_key", "jwt")


def configure(level: str, *, for_person: bool | None = None) -> None:
    """Send every logger's events to stderr, in one form.

    ``for_person`` None: as stderr is a terminal or not. Fields that could hold a
    secret are cut: a log is read by more people than a vault.
    """
    if for_person is None:
        for_person = sys.stderr.isatty()
    shared: list[Processor] = [
        add_log_level,
        add_logger,
        ExtraAdder(),
        _told_once,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_secrets,
    ]
    end: Processor = (
        structlog.dev.ConsoleRenderer()
        if for_person
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                end,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:  # they log addresses and headers at a lower level
        logging.getLogger(name).setLevel(logging.WARNING)


def _told_once(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Drop Celery's ``data``: it repeats the event, the traceback and the arguments."""
    event.pop("data", None)
    return event


def without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Cut device tokens to their beginning, and known secret fields to nothing."""
    if "token" in event:
        event["token"] = f"{str(event['token'])[:_SHOWN_OF_A_TOKEN]}..."
    for name in _SECRET_FIELDS:
        if name in event:
            event[name] = "(not shown)"
    return event
