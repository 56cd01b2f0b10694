"""Candidate scaling rules beside those of the policy: the brief's three, and ours."""

from simulation.demands import PUSH, Calibration
from simulation.layout import Layout
from simulation.loop import sender
from worker.policy import Policy
from worker.policy.alarms import Alarm

CANDIDATES: tuple[Alarm, ...] = (
    Alarm(
        name="brief_add_worker", sample="depth", label="normal", threshold=50,
        sustain_s=300, kind="scaling", action="Add a worker (the brief's rule).",
        reason="Brief: queue depth > 50 sustained for 5 min.",
    ),
    Alarm(
        name="brief_scale_out", sample="cpu_share", label="all", threshold=0.70,
        sustain_s=600, kind="scaling", action="Scale horizontally (the brief's rule).",
        reason="Brief: CPU > 70 % for 10 min.",
    ),
    Alarm(
        name="brief_overwhelmed", sample="depth", label="normal", threshold=100,
        sustain_s=0, kind="scaling", action="Workers overwhelmed (the brief's rule).",
        reason="Brief: queue depth > 100.",
    ),
    Alarm(
        name="oldest_age", sample="oldest_age_s", label="normal", threshold=5,
        sustain_s=0, kind="scaling", action="Add children at the first late message.",
        reason="The quickest that any reaction to waiting can be.",
    ),
    Alarm(
        name="predicted_drain", sample="drain_s", label="normal", threshold=20,
        sustain_s=15, kind="scaling", action="Add children while a storm drains.",
        reason="Messages waiting x their recent service time / children: what the last "
        "in the queue will wait, twice in a row.",
    ),
    Alarm(
        name="utilization_ahead", sample="busy_ahead", label="bg", threshold=0.8,
        sustain_s=60, kind="scaling", action="Add children before they are all busy.",
        reason="Busy children of the last 5 min, carried on to when a container that "
        "is asked for now would be there.",
    ),
)  # fmt: skip


def rules_of(policy: Policy) -> tuple[Alarm, ...]:
    """The scaling alarms that are deployed, then the candidates."""
    deployed = [alarm for alarm in policy.alarms.values() if alarm.kind == "scaling"]
    return (*deployed, *CANDIDATES)


def derivation(alarm: Alarm, calibration: Calibration, layout: Layout) -> str:
    """Why the threshold is what it is, and what it takes to fire."""
    push = calibration.demands[PUSH]
    service_s = push.service_s(layout.batch_size)
    if alarm.sample == "depth":
        children = sender(layout).children
        pushes = layout.batch_size * (
            alarm.threshold + alarm.sustain_s * children / service_s
        )
        return (
            f"{alarm.reason} With {children} children and {service_s:.2f} s a batch "
            f"it needs {pushes:,.0f} pushes at once: n >= D + T c / E[S] batches"
        )
    return alarm.reason


def validity(calibration: Calibration, layout: Layout) -> str:
    """What the figures of a rule hold for."""
    listed = ", ".join(f"{name} {pool.children}" for name, pool in layout.pools.items())
    service_s = calibration.demands[PUSH].service_s(layout.batch_size)
    return f"children {listed}; {service_s:.2f} s a batch of {layout.batch_size}"
