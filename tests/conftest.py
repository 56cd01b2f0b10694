"""What every test may ask for: real servers, real transit data, a fixed seed."""

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.rig.folder import RigError
from loadtests.rig.servers import Servers
from loadtests.rig.servers import servers as started_servers

ROOT = Path(__file__).resolve().parents[1]
IN_CI = bool(os.environ.get("CI"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="rewrite generated blocks and golden files instead of comparing them",
    )


@pytest.fixture(scope="session")
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether generated files are to be written (make docs, make golden)."""
    return bool(request.config.getoption("--rewrite"))


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    random.seed(1337)


@pytest.fixture(scope="session")
def transit_data() -> Path:
    """The folder of real transit data that TRANSIT_DATA names, relative to the root."""
    named = os.environ.get("TRANSIT_DATA")
    if not named:
        pytest.skip("TRANSIT_DATA does not name a folder of real transit data")
    folder = (ROOT / named).resolve()
    if not folder.is_dir():
        pytest.fail(f"TRANSIT_DATA names {folder}, which is not a folder")
    return folder


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Valkey and PostgreSQL of the rig, shared by the whole session."""
    with contextlib.ExitStack() as stack:
        try:
            world = stack.enter_context(started_servers())
        except RigError as error:
            if IN_CI:
                raise
            pytest.skip(f"no servers here: {error}")
        yield world
