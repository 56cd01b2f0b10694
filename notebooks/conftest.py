"""What nbval leaves uncompared: tables are compared as text, not as HTML."""

from typing import Any

import pytest

_UNCOMPARED = ("text/html", "stderr")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for notebook in {item.parent for item in items if item.parent is not None}:
        skipped: Any = getattr(notebook, "skip_compare", None)
        if skipped is not None:
            notebook.skip_compare = (*skipped, *_UNCOMPARED)
