"""Every fault still fits the code and the tests that it names, so that a run of the mutants proves what it says."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

from seq_assets_tests.mutants.faults import FAULTS

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "seq_assets"


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_fault_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(fault.name for fault in FAULTS).items() if times > 1] == []


def test_no_two_faults_are_the_same() -> None:
    changes = Counter((fault.file, fault.old, fault.new) for fault in FAULTS)
    assert [change for change, times in changes.items() if times > 1] == []


def test_the_text_that_a_fault_replaces_stands_where_and_as_often_as_it_says() -> None:
    found = {fault.name: (fault.file, text_of(PACKAGE / fault.file).count(fault.old)) for fault in FAULTS}
    assert found == {fault.name: (fault.file, fault.count) for fault in FAULTS}


def test_a_fault_is_another_program_and_one_that_python_reads() -> None:
    assert [fault.name for fault in FAULTS if fault.new == fault.old] == []
    for fault in FAULTS:
        # The line alone would not do: a fault may stand in the middle of an expression.
        ast.parse(text_of(PACKAGE / fault.file).replace(fault.old, fault.new), fault.name)


def test_the_tests_that_a_fault_names_exist() -> None:
    named = {test for fault in FAULTS for test in fault.tests}
    for test in sorted(named):
        file, *names = test.split("::")
        assert (TESTS / file).is_file(), test
        for name in names:
            assert re.search(rf"^ *(def|class) {re.escape(name.partition('[')[0])}\b", text_of(TESTS / file), re.MULTILINE), (
                test
            )


def test_every_fault_names_tests() -> None:
    assert [fault.name for fault in FAULTS if not fault.tests] == []
