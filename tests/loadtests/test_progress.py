"""A bar costs what its updates cost: nothing draws between them."""

import io
import threading

from rich.console import Console

from loadtests.progress import Steps


def test_a_bar_is_drawn_when_it_is_told_and_by_nobody_else() -> None:
    steps, screen = Steps(), io.StringIO()
    steps._console = Console(file=screen, force_terminal=True, width=80)
    threads = set(threading.enumerate())

    with steps.bar("disruption", 60.0) as tell:
        assert set(threading.enumerate()) == threads
        tell(30.0, "7 attempts recorded")
        assert "7 attempts recorded" in screen.getvalue()
