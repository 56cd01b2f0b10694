"""The policy in Celery's words: queues, routes, annotations, ticks, pools.

No number of its own. Names are Celery's:
https://docs.celeryq.dev/en/stable/userguide/configuration.html
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from celery.beat import BeatLazyFunc
from celery.schedules import BaseSchedule, schedstate
from kombu.entity import Exchange, Queue

from worker.policy import Daily, Every, Policy, Pool, Task
from worker.policy.tasks import TIMEZONE

_LONG_AGO = datetime.fromtimestamp(0, UTC)


def settings(policy: Policy, redis_url: str | None) -> dict[str, Any]:
    """Celery's configuration for a policy; without an address nothing can connect."""
    broker = policy.broker
    return {
        "broker_url": redis_url,
        "broker_connection_retry_on_startup": True,
        "broker_connection_timeout": broker.socket_connect_timeout_s,
        "broker_pool_limit": broker.pool_limit,
        "broker_transport_options": {
            "visibility_timeout": broker.visibility_timeout_s,
            "unacked_restore_interval": broker.restore_interval_s,
            "unacked_restore_throttle": 1,  # the interval alone decides
            "socket_timeout": broker.socket_timeout_s,
            "socket_connect_timeout": broker.socket_connect_timeout_s,
            "socket_keepalive": True,
            "health_check_interval": broker.health_check_interval_s,
            "global_keyprefix": broker.key_prefix,
            "priority_steps": list(broker.priority_steps),
            "queue_order_strategy": broker.queue_order,
        },
        # Every place that may decide it must say the same; the shortest value wins.
        "visibility_timeout": broker.visibility_timeout_s,
        "result_backend": None,
        "task_ignore_result": True,
        "task_queues": [_queue(name) for name in policy.queues],
        "task_default_queue": policy.queues[0],
        "task_create_missing_queues": False,
        "task_routes": {
            task.name: {"queue": task.queue} for task in policy.tasks.values()
        },
        "task_annotations": {
            task.name: options(task) for task in policy.tasks.values()
        },
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,  # alone it loops for ever on Redis
        "task_retry_on_worker_lost": True,
        "task_publish_retry_policy": {
            "max_retries": broker.publish_retries,
            "interval_start": 0,
            "interval_step": broker.publish_retry_step_s,
            "interval_max": broker.publish_retry_step_s * broker.publish_retries,
        },
        "task_serializer": "json",
        "accept_content": ["json"],
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_eta_task_limit": broker.eta_task_limit,
        "worker_proc_alive_timeout": broker.child_start_s,
        "worker_lost_wait": broker.child_lost_s,
        "worker_soft_shutdown_timeout": broker.soft_shutdown_s,
        "worker_enable_soft_shutdown_on_idle": True,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        "worker_disable_rate_limits": True,
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": False,
        "timezone": TIMEZONE,
        "enable_utc": True,
        "beat_scheduler": "celery.beat:Scheduler",  # in memory: it has nothing to keep
        "beat_max_loop_interval": broker.beat_max_loop_s,
        "beat_schedule": ticks(policy),
    }


def _queue(name: str) -> Queue:
    # Exchange and key of its own: by default every queue would share the first one's.
    exchange = Exchange(name, type="direct")
    return Queue(name, exchange, routing_key=name)


def options(task: Task) -> dict[str, Any]:
    """One task's row as Celery's annotation."""
    return {
        "acks_late": task.ack == "late",
        "expires": task.expires_s,
        "soft_time_limit": task.soft_time_limit_s,
        "time_limit": task.time_limit_s,
        "max_retries": task.max_retries,
        "default_retry_delay": task.retry_backoff_s,
    }


def ticks(policy: Policy) -> dict[str, dict[str, Any]]:
    """Beat's entries: each sends its slot, computed where beat runs, as an argument.

    ``last_run_at`` long ago makes a starting beat send the slot that is due at once:
    whoever has run that slot already is told by its guard, so nothing is lost and
    nothing is done twice.
    """
    return {
        task.name: {
            "task": task.name,
            "schedule": SlotSchedule(task.tick, task.expires_s),
            "args": (BeatLazyFunc(SlotSchedule(task.tick, task.expires_s).slot),),
            "options": {"expires": task.expires_s, "queue": task.queue},
            "last_run_at": _LONG_AGO,
        }
        for task in policy.tasks.values()
        if task.tick is not None
    }


def worker_arguments(pool: Pool) -> list[str]:
    """The words after ``celery -A worker.app worker`` for one pool."""
    return [
        "--pool=prefork",
        f"--hostname={pool.name}@%h",
        f"--queues={','.join(pool.queues)}",
        f"--concurrency={pool.children}",
        f"--max-tasks-per-child={pool.max_tasks_per_child}",
        f"--max-memory-per-child={pool.max_memory_per_child_mib * 1024}",  # KiB
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]


class SlotSchedule(BaseSchedule):
    """Due when a slot has begun that was not sent yet, and is not too old to send."""

    def __init__(self, tick: Every | Daily, expires_s: int) -> None:
        super().__init__()
        self.tick = tick
        self.expires_s = expires_s

    def slot(self) -> int:
        """The slot due now, epoch seconds: what the message carries."""
        return self.tick.slot_at(self.now().timestamp())

    def is_due(self, last_run_at: datetime) -> Any:
        """(due, seconds until the next slot), as beat asks for it."""
        now_s = self.now().timestamp()
        slot = self.tick.slot_at(now_s)
        due = last_run_at.timestamp() < slot and now_s - slot < self.expires_s
        return schedstate(is_due=due, next=self.tick.next_after(now_s) - now_s)

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Time until the next slot."""
        now_s = self.now().timestamp()
        return timedelta(seconds=self.tick.next_after(now_s) - now_s)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SlotSchedule):
            return NotImplemented
        return (self.tick, self.expires_s) == (other.tick, other.expires_s)

    def __hash__(self) -> int:
        return hash((self.tick, self.expires_s))

    def __reduce__(self) -> tuple[type, tuple[Every | Daily, int]]:
        return type(self), (self.tick, self.expires_s)
