"""Whatever the bytes of a source or a model file are, a command does its work or says in words why not.

The long form of each format gives the figures of `docs/reliability.md`; `make fuzz` tries other numbers.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from seq_assets.models.parsing import FAULT
from seq_assets_tests.fuzz.__main__ import USUAL, figures, fuzz
from seq_assets_tests.fuzz.mutating import Input
from seq_assets_tests.fuzz.running import Case, Verdict, run_cases, run_command, what_is_wrong, write_input
from seq_assets_tests.fuzz.seeds import FORMATS, Format, Seed, seeds_of

QUICK: Final[Mapping[Format, int]] = {"csv": 4, "json": 4, "gz": 3, "parquet": 7, "yaml": 30}


@pytest.mark.slow
def test_some_mutated_inputs_are_read_or_refused_in_words(tmp_path: Path) -> None:
    cases = [Case(kind, 0, number) for kind, count in QUICK.items() for number in range(1, count + 1)]
    outcome = run_cases(cases, tmp_path)
    assert outcome.findings == ()
    assert outcome.done == len(cases)
    assert 0 < outcome.refused < outcome.done


@pytest.mark.faults
@pytest.mark.parametrize("kind", FORMATS)
def test_many_mutated_inputs_are_read_or_refused_in_words(kind: Format, record_property) -> None:
    outcome = fuzz([Case(kind, 0, number) for number in range(USUAL[kind])])
    record_property(*figures(kind, outcome))
    assert outcome.findings == ()
    assert outcome.done == USUAL[kind]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [seed for kind in FORMATS for seed in seeds_of(kind)], ids=lambda seed: seed.file)
def test_what_is_mutated_is_right(seed: Seed, tmp_path: Path) -> None:
    write_input(Input(seed.file, seed.content, seed.model.encode()), tmp_path / "case")
    assert run_command(["validate", str(tmp_path / "case" / "fuzzed.yaml")]).exit_code == 0


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_numbers_make_the_same_input_and_others_another(kind: Format) -> None:
    found = [Case(kind, seed, number).input for seed in (0, 1) for number in range(5)]
    assert found == [Case(kind, seed, number).input for seed in (0, 1) for number in range(5)]
    assert len(set(found)) == len(found)


def dying_at_two(case: Case, folder: Path) -> Verdict:
    """In place of the commands: the second case is one that kills the process, the fourth one of a mistake of ours."""
    if case.number == 2:
        os.abort()
    return case.number % 2, "a mistake" if case.number == 4 else None


def test_a_case_that_kills_the_process_is_found_and_the_next_ones_are_run(tmp_path: Path) -> None:
    cases = [Case("csv", 0, number) for number in range(1, 6)]
    outcome = run_cases(cases, tmp_path, dying_at_two)
    found = [(finding.case.number, finding.what) for finding in outcome.findings]
    assert found == [(2, "the process ended with SIGABRT"), (4, "a mistake")]
    assert (outcome.done, outcome.refused) == (5, 3)


def result_of(output: str, code: int = 1, exception: BaseException | None = None) -> Result:
    """What a command has ended with."""
    said = output.encode()
    return Result(CliRunner(), b"", said, said, None, code, exception or SystemExit(code))


@pytest.mark.parametrize(
    "result",
    [
        result_of("", exception=ValueError("x")),
        result_of("Traceback (most recent call last):"),
        result_of(f"x.yaml: found what {FAULT}: ValueError"),
        result_of("fuzzed failed:\nValueError: x"),
        result_of("fuzzed failed:\nduckdb.duckdb.BinderException: x"),
        result_of("Error: [Errno 28] No space left on device"),
        result_of("Error: x", code=3),
        result_of(""),
    ],
)
def test_what_only_a_program_says_is_found(result: Result) -> None:
    assert what_is_wrong(result)


@pytest.mark.parametrize(
    "result", [result_of("Error: x.csv is empty; mend it"), result_of("", code=0), result_of("Usage", code=2)]
)
def test_a_sentence_is_clean(result: Result) -> None:
    assert what_is_wrong(result) is None
