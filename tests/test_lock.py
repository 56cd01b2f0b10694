"""The locks pin what pyproject.toml declares, with hashes and without addresses."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "worker/requirements.lock")
PYTHONS = ("3.11", "3.12", "3.13")


def pins(lock: str) -> dict[str, tuple[Version, frozenset[str]]]:
    """Name -> version and hashes, of every entry of a lock."""
    text = (ROOT / lock).read_text()
    return {
        canonicalize_name(found["name"]): (
            Version(found["version"]),
            frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", found["rest"])),
        )
        for found in re.finditer(
            r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?P<rest>.*(?:\n +.*)*)",
            text,
            re.M,
        )
    }


def declared() -> dict[str, list[str]]:
    """Where it is declared -> requirements."""
    project = PYPROJECT["project"]
    return {
        "dependencies": project["dependencies"],
        **project["optional-dependencies"],
        "build-system": PYPROJECT["build-system"]["requires"],
    }


@pytest.mark.parametrize("place", declared())
def test_the_lock_satisfies_what_is_declared(place):
    locked = pins("requirements.lock")

    for line in declared()[place]:
        requirement = Requirement(line)
        version, _ = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), line


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock):
    assert pins(lock)
    assert not [name for name, (_, hashes) in pins(lock).items() if not hashes]


@pytest.mark.parametrize("name", [*LOCKS, "environment.yml", "pyproject.toml"])
def test_no_file_of_the_installation_names_an_index(name):
    assert not re.findall(r"https?://|index-url|find-links", (ROOT / name).read_text())


def test_the_image_gets_the_same_pins_and_the_worker_s_alone():
    image, whole = pins("worker/requirements.lock"), pins("requirements.lock")

    assert image.items() <= whole.items()
    for line in declared()["dependencies"]:
        assert canonicalize_name(Requirement(line).name) in image
    assert not {"pandas", "gtfs-kit", "simpy", "matplotlib", "locust"} & set(image)


def test_conda_installs_the_same_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *packages, installed = environment["dependencies"]
    (python,) = (p for p in packages if p.startswith("python="))

    assert installed == {"pip": ["-r requirements.lock"]}
    supported = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert supported.contains(f"{python.removeprefix('python=')}.0")


@pytest.mark.parametrize("python", PYTHONS)
def test_ci_tries_every_supported_python(python):
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())

    assert python in workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert SpecifierSet(PYPROJECT["project"]["requires-python"]).contains(f"{python}.0")
