from collections.abc import Iterator

import pytest

from worker.timetable.ahead import one_ahead


def test_items_come_in_order_and_an_error_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the third cannot be read")

    ahead = one_ahead(items())

    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(OSError, match="the third cannot be read"):
        next(ahead)


def test_no_more_than_one_item_is_made_before_it_is_asked_for() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(9):
            made.append(number)
            yield number

    ahead = one_ahead(items())
    first = next(ahead)
    ahead.close()

    assert first == 0
    assert made in ([0], [0, 1])
