"""What the documents, the notebooks and the top level promise is there."""

import functools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(ROOT.glob("*.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# A block opens with the command that prints it and ends with <!-- end -->.
OPENED = re.compile(
    r"^<!-- (?P<command>(?:worker|simulation|loadtests) .+?) -->$", re.M
)
BLOCK = re.compile(rf"({OPENED.pattern}\n)(?P<text>.*?)(^<!-- end -->$)", re.M | re.S)

NAMED_TARGETS = re.compile(r"(?:^|`)make ((?:[a-z-]+ ?)+)", re.M)

TOP_LEVEL = {
    *("notebooks", "worker", "simulation", "loadtests", "tests"),
    *("README.md", "DECISIONS.md", "SCALING.md", "LICENSE", "Makefile"),
    *("environment.yml", "pyproject.toml", "requirements.lock"),
    *(".railway", ".ci", ".github"),
    *(".gitignore", ".dockerignore", ".pre-commit-config.yaml"),
}


@functools.cache
def printed(command: str) -> str:
    """What ``python -m COMMAND`` prints, without servers and without a terminal."""
    unset = ("REDIS_URL", "DATABASE_URL", "POLICY_SET")
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k not in unset},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"python -m {command}: {done.stderr}"
    return done.stdout


def filled(text: str) -> str:
    """The document with every block as its command prints it today."""
    return BLOCK.sub(
        lambda block: f"{block[1]}\n{printed(block['command']).strip()}\n\n{block[4]}",
        text,
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_is_what_its_command_prints(document, rewrite):
    text = document.read_text()
    assert len(OPENED.findall(text)) == len(BLOCK.findall(text)), (
        f"{document.name}: a block is not closed with <!-- end -->"
    )

    if rewrite:
        document.write_text(filled(text))
        return
    assert filled(text) == text, "make docs fills the blocks"


def test_every_make_target_of_the_documents_exists():
    targets = re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.M)

    named = {
        target
        for document in DOCUMENTS
        for words in NAMED_TARGETS.findall(document.read_text())
        for target in words.split()
    }

    assert named <= set(targets)


def test_ci_runs_the_test_command_of_the_readme():
    workflow = (ROOT / ".github/workflows/test.yml").read_text()
    last = (ROOT / ".ci/run").read_text().splitlines()[-1]

    assert "- run: .ci/run\n" in workflow
    assert last == "exec make test"
    assert re.search(r"^make test\b", (ROOT / "README.md").read_text(), re.M)


@pytest.mark.parametrize("room", ["worker", "simulation", "loadtests"])
def test_every_verb_of_the_documents_exists(room):
    named = {
        verb
        for document in DOCUMENTS
        for verb in re.findall(rf"python -m {room} ([a-z]+)\b", document.read_text())
    }

    listed = printed(f"{room} --help")

    assert not {verb for verb in named if not re.search(rf"\b{verb}\b", listed)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_run_in_order_and_ends_with_a_decision(path):
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    outputs = [out for cell in code for out in cell["outputs"]]
    checked = [
        cell
        for cell in code
        if cell["outputs"]
        and "nbval-ignore-output" not in cell["metadata"].get("tags", [])
    ]

    # nbval passes a cell without an execution count whatever it prints.
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [out for out in outputs if out["output_type"] == "error"]
    assert checked
    assert cells[0]["source"][0].startswith("# ")
    assert any(
        line.startswith("## Decision") for cell in cells for line in cell["source"]
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_defines_and_installs_nothing(path):
    cells = json.loads(path.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]

    unwanted = re.compile(r"^\s*(def |class |!|%pip|.*= lambda|sys\.path)", re.M)

    assert not [source for source in code if unwanted.search(source)]


def test_the_top_level_holds_what_the_map_names():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode != 0:
        pytest.skip("not a git clone")

    names = {line.partition("/")[0] for line in tracked.stdout.splitlines()}

    assert names <= TOP_LEVEL
