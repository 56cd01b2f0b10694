"""What a run says of itself before its figures are believed."""

from typing import Any

from loadtests.summary import remarks


def _about(**changed: Any) -> dict[str, Any]:
    """Four onsets, one in each quarter of the poll period, two riders each."""
    return {
        "users": 10,
        "scenario_as_run": {"poll_period_s": 15.0},
        "events": [
            {"published_at": 1_800_000_000.0 + phase, "lines": [f"L{number}"]}
            for number, phase in enumerate((1.0, 19.0, 38.0, 59.0))
        ],
        "commuters_reached": 8,
        "pushes_due": 8,
        "pushes_arrived": 8,
        "pushes_lost": 0,
        "pushes_duplicated": 1,
        **changed,
    }


def test_a_claim_stands_beside_the_onsets_and_riders_that_it_rests_on() -> None:
    claim = remarks(_about())[0]

    assert claim == (
        "4 onsets, 0 on a line used before, by quarter of the poll period 1, 1, 1, 1; "
        "8 of 10 commuters were reached (80%); 8 pushes due, 0 lost, 1 duplicated"
    )


def test_a_line_that_was_used_before_and_onsets_in_step_are_seen() -> None:
    twice = [{"published_at": 1_800_000_000.0, "lines": ["L1"]}] * 2

    claim = remarks(_about(events=twice))[0]

    assert "2 onsets, 1 on a line used before" in claim
    assert "by quarter of the poll period 2, 0, 0, 0" in claim


def test_the_canary_is_counted_to_what_watches_and_its_part_is_seen() -> None:
    costs = {"recorder_cpu_s": 0.3, "workers_cpu_s": 20.0}

    both = remarks(_about(**costs, canary_cpu_s=0.2))[2]
    older = remarks(_about(**costs))[2]

    assert both == (
        "the recorder used 0.30 s of a core, the canary, which measures the machine, "
        "at least 0.20 s: together 2.5% of the workers' 20.00 s; locust 0.00 s"
    )
    assert "what its canary used is not recorded: 1.5% of the workers'" in older


def test_pushes_that_never_came_are_not_counted_among_those_that_did() -> None:
    told = {"requests": 607, "failures": 472}

    said = remarks(_about(locust=told, pushes_arrived=135, pushes_lost=472))[1]

    assert said == (
        "locust counted 135 pushes and 472 that never came; the recorder 135 and 472"
    )


def test_a_machine_is_not_called_quiet_where_nobody_could_tell() -> None:
    short, long = (remarks(_about(drift_judged=judged))[-1] for judged in (False, True))

    assert short == "quiet machine; too short to judge drift"
    assert long == "quiet machine"
