"""Numbers as a person reads them."""

from collections.abc import Sequence


def number(value: float | None) -> str:
    """Three figures; thousands whole."""
    if value is None or value != value:
        return "-"
    if value and abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(value: float) -> str:
    """A signed share; beyond 999 % its size says nothing; a dash for what is none."""
    if value != value:
        return "-"
    return f"{value:+.1%}" if abs(value) < 10 else ">999%"


def span(ends: Sequence[float | None]) -> str:
    """An interval, its ends shorter than a number alone."""
    return " to ".join(
        f"{end:.2g}" if end and abs(end) < 1 else number(end) for end in ends
    )


def allowed(threshold: float, floor: float, measured: float) -> str:
    """The share that is allowed; the difference where the floor is more."""
    if floor > threshold * abs(measured):
        return f"±{number(floor)}"
    return f"{threshold:.0%}"


def share(value: float | None) -> str:
    """A share without a sign."""
    return "-" if value is None else f"{value:.1%}"


def cell(value: object) -> str:
    """Whatever a row holds."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, (list, tuple)):
        return span(value)
    return "-" if value is None else str(value)
