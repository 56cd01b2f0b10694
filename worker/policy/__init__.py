"""Every number that the worker obeys, with its unit and its reason."""

from worker.policy.policy import POLICY, Policy, apply_settings, vary
from worker.policy.pools import Pool, Service
from worker.policy.tasks import Daily, Every, Task

__all__ = [
    "POLICY",
    "Daily",
    "Every",
    "Policy",
    "Pool",
    "Service",
    "Task",
    "apply_settings",
    "vary",
]
