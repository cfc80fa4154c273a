"""The documents are true: every example in them runs and shows what it says, and every test that they name exists.

Belongs here: how a Markdown file is executed. Its fenced blocks run in order, in a folder of their own: a block after "`name`:"
is that file, `python` is a session of `>>>`, `console` holds commands and what they print. Not here: what the examples mean.
"""

import ast
import doctest
import re
import runpy
import shlex
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from click.testing import CliRunner
from dagster_dg_cli.cli import cli as dg

from seq_assets.cli.commands import cli
from seq_assets.environments import Environment, current_environment, prepare_dagster_home
from seq_assets.errors import SeqAssetsError
from seq_assets.materialize import Outcome
from seq_assets.models import SUBSETS, ModelRegistry
from seq_assets.sequencing.plans import IngestPlan, SequencePlan

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md"]
SEMANTICS: Final = ROOT / "docs" / "semantics.md"
LOSSLESS: Final = ROOT / "docs" / "lossless.md"
IDS: Final = [str(document.relative_to(ROOT)) for document in DOCUMENTS]
SLOW: Final = {ROOT / "docs" / "embedding.md", SEMANTICS}
"""Whose examples take long."""
EXECUTED: Final = [pytest.param(document, marks=[pytest.mark.slow] * (document in SLOW)) for document in DOCUMENTS]

_FENCE: Final = re.compile(r"^```(\w*)$")
_FILE: Final = re.compile(r"^`([\w./-]+)`:$")
_ROW: Final = re.compile(r"^\| ([A-Z])(\d+) \| (.+) \| (.*) \|$")
_TEST: Final = re.compile(r"`([\w/]+\.py)::([\w:]+)`")
_LINK: Final = re.compile(r"\]\((?!https?://)([^)#]+)")
_ELLIPSIS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: the word after its fence, the file that it is (if any), its text, and the number of its first line."""

    language: str
    file: str | None
    text: str
    line: int


def blocks_of(document: Path) -> Iterator[Block]:
    lines = document.read_text(encoding="utf-8").splitlines()
    number, before = 0, ""
    while number < len(lines):
        if fence := _FENCE.match(lines[number]):
            end = lines.index("```", number + 1)
            named = _FILE.match(before)
            text = "\n".join(lines[number + 1 : end]) + "\n"
            yield Block(fence[1], named[1] if named else None, text, number + 1)
            number, before = end, ""
        elif lines[number].strip():
            before = lines[number]
        number += 1


# Examples


def execute_plans(
    environment: Environment, registry: ModelRegistry, models: Iterable[str], lengths: Sequence[int], force: bool
) -> list[Outcome]:
    """As `materialize_models`, but without Dagster, whose runs take seconds; its own tests hold what the graph executes."""
    warehouse, outcomes = environment.warehouse(), []
    for name in models:
        spec, publications, failures = registry[name], [], []
        try:
            plan = IngestPlan(spec, str(spec.location("local")), str(registry.folder_of(name)))
            publications.append(warehouse.execute(plan, force=force))
            raw = publications[0].version
            plans = [
                SequencePlan.of(spec, subset, length, raw.id)
                for length in spec.lengths
                if not lengths or length in lengths
                for subset in SUBSETS
            ]
            publications += [warehouse.execute(cell, force=force) for cell in plans]
        except SeqAssetsError as error:
            failures = [str(error)]
        versions = tuple(publication.version for publication in publications)
        built = frozenset(publication.version.id for publication in publications if not publication.unchanged)
        outcomes.append(Outcome(name, versions, tuple(failures), built))
    return outcomes


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, whose modules can be imported, and where the command line builds without Dagster."""
    monkeypatch.setattr("seq_assets.materialize.materialize_models", execute_plans)
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.mark.parametrize("document", EXECUTED, ids=IDS)
def test_every_example_runs_and_shows_what_it_says(
    document: Path, place: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = list(blocks_of(document))
    if any(block.language == "python" and '"dkt' in block.text for block in blocks):
        home = shutil.copytree(request.getfixturevalue("bundled_home"), place.parent / "home")
        monkeypatch.setenv("SEQ_ASSETS_HOME", str(home))
    names: dict[str, Any] = {}
    for block in blocks:
        if block.file:
            (place / block.file).parent.mkdir(parents=True, exist_ok=True)
            (place / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            run_session(document, block, names)
        elif block.language == "console":
            run_commands(document, block, monkeypatch)
        elif block.language == "yaml":
            yaml.safe_load(block.text)
        else:
            assert block.language == "text", f"{document}:{block.line}: a block that nothing runs"


def run_session(document: Path, block: Block, names: dict[str, Any]) -> None:
    """Runs a session; what it defines stays defined for later ones."""
    session = doctest.DocTestParser().get_doctest(block.text, names, document.name, str(document), block.line)
    assert session.examples, f"{document}:{block.line}: no session of >>>"
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=_ELLIPSIS)
    runner.run(session, out=told.append, clear_globs=False)
    names.update(session.globs)
    assert not told, "".join(told)


def run_commands(document: Path, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each `$ command`; one that prints nothing in the document may print anything, but must succeed."""
    for part in block.text.removeprefix("$ ").split("\n$ "):
        line, _, expected = part.partition("\n")
        command = shlex.split(line, comments=True)
        if command[0] == "export":
            for setting in command[1:]:
                monkeypatch.setenv(*setting.split("=", maxsplit=1))
        elif command[0] == "make":
            assert re.search(rf"^{command[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        else:
            assert command[0] in ("dg", "seq-assets", ".venv/bin/seq-assets"), f"{document}:{block.line}: {line}"
            if command[0] == "dg":
                monkeypatch.setenv("DAGSTER_HOME", str(prepare_dagster_home(current_environment())))
            result = CliRunner().invoke(dg if command[0] == "dg" else cli, command[1:])
            if expected.strip():
                shown = doctest.OutputChecker().check_output(expected, result.output, _ELLIPSIS)
                assert shown, f"{document}:{block.line}: {line}\n{result.output}"
            else:
                assert result.exit_code == 0, f"{document}:{block.line}: {line}\n{result.output}"


@pytest.mark.usefixtures("bundled_home")
def test_the_program_that_make_demo_ends_with_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "docs" / "examples" / "first_sequence.py"))
    assert "is_pad_sequence" in capsys.readouterr().out


# References


@cache
def names_of_tests(file: Path) -> frozenset[str]:
    """The names of a file's tests, those in a class as `Class::test`, without importing it."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{method.name}" for method in node.body if isinstance(method, ast.FunctionDef)}
    return frozenset(name for name in found if name.split("::")[-1].startswith("test_"))


def files_named(path: str) -> list[Path]:
    """The files of tests whose path ends with the given one."""
    parts = Path(path).parts
    return [file for file in sorted((ROOT / "seq_assets_tests").rglob(parts[-1])) if file.parts[-len(parts) :] == parts]


def semantics() -> list[tuple[str, int, str]]:
    """Letter, number and tests of each row of the tables."""
    rows = [_ROW.match(line) for line in SEMANTICS.read_text(encoding="utf-8").splitlines()]
    return [(row[1], int(row[2]), row[4]) for row in rows if row]


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_test_that_is_named_exists(document: Path) -> None:
    named = set(_TEST.findall(document.read_text(encoding="utf-8")))
    wrong = [(path, name) for path, name in named if sum(name in names_of_tests(file) for file in files_named(path)) != 1]
    assert wrong == []


def test_every_semantic_is_held_by_a_test() -> None:
    rows = semantics()
    assert len(rows) > 100
    assert [f"{letter}{number}" for letter, number, tests in rows if not _TEST.search(tests)] == []


def test_the_numbers_of_the_semantics_have_no_gap_and_none_stands_twice() -> None:
    rows = semantics()
    counts = Counter(letter for letter, _, _ in rows)
    assert [(letter, number) for letter, number, _ in rows] == [
        (letter, number) for letter, count in counts.items() for number in range(1, count + 1)
    ]


def test_every_line_of_the_tables_is_a_semantic() -> None:
    lines = [line for line in SEMANTICS.read_text(encoding="utf-8").splitlines() if ".py::" in line]
    assert [line for line in lines if not _ROW.match(line)] == []


def test_every_loss_that_is_prevented_is_held_by_a_test() -> None:
    lines = [line for line in LOSSLESS.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [line for line in lines if not line.startswith("| what could be lost |")]
    assert len(rows) > 40
    assert [line for line in rows if not _TEST.search(line.split(" | ")[-1])] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = _LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
