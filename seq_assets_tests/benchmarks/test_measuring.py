"""What is measured of a process, and how it is judged and shown."""

import json

import pytest

from benchmarks.goals import Goal
from benchmarks.guard import ratios_of
from benchmarks.measuring import FailedProcessError, Measurement, interleaved, measure, typical
from benchmarks.report import table, with_section

MIB = 2**20


def test_a_process_is_measured_from_its_start_to_its_end() -> None:
    found = measure(["-c", "import time; time.sleep(0.2); print('done')"])
    assert found.seconds > 0.2
    assert found.cpu_seconds < found.seconds
    assert found.output == "done\n"


def test_the_peak_of_memory_counts_though_it_was_freed() -> None:
    found = measure(["-c", "x = bytearray(100_000_000); x[::4096] = b'1' * len(x[::4096]); del x"])
    assert 95 * MIB < found.peak_bytes < 130 * MIB


def test_the_memory_of_whoever_measures_does_not_count() -> None:
    mine = bytearray(b"1" * 300_000_000)
    assert measure(["-c", "pass"]).peak_bytes < 30 * MIB
    assert mine


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(FailedProcessError, match=r"ended with 1(.|\n)*ZeroDivisionError"):
        measure(["-c", "1 / 0"])


def test_a_process_sees_no_setting_of_the_platform_but_those_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQ_ASSETS_HOME", "another")
    program = "import os; print(sorted(name for name in os.environ if name.startswith('SEQ_')))"
    assert measure(["-c", program], {"SEQ_ASSETS_MODELS": "x"}).output == "['SEQ_ASSETS_MODELS']\n"


def test_contenders_run_in_turn() -> None:
    order: list[str] = []

    def run(name: str) -> Measurement:
        order.append(name)
        return Measurement(len(order), 1, 1)

    found = interleaved({"a": lambda: run("a"), "b": lambda: run("b")}, 2)
    assert order == ["a", "b", "a", "b"]
    assert [measurement.seconds for measurement in found["a"]] == [1, 3]


def test_the_median_of_times_and_the_highest_peak_are_typical() -> None:
    found = typical([Measurement(1, 10, 5), Measurement(9, 30, 7), Measurement(2, 20, 6)])
    assert (found.seconds, found.cpu_seconds, found.peak_bytes) == (2, 20, 7)


def test_processes_one_after_the_other_add_their_times_but_not_their_memory() -> None:
    assert Measurement(1, 2, 30) + Measurement(10, 20, 3) == Measurement(11, 22, 30)


@pytest.mark.parametrize(("at_least", "met"), [(True, False), (False, True)])
def test_a_goal_is_met_on_the_right_side_of_its_bound(at_least: bool, met: bool) -> None:
    assert Goal("", "", ratio=1.0, wanted=1.2, at_least=at_least).is_met is met


def test_the_guard_leaves_out_the_start_of_the_engines_process() -> None:
    def engine(*seconds: float) -> list[Measurement]:
        return [Measurement(100, 100, 1, json.dumps({"cpu_seconds": value})) for value in seconds]

    found = ratios_of(engine(3, 4), engine(1.5, 1), [Measurement(1, 8, 1), Measurement(1, 9, 1)])
    assert found == {"a further length": 8, "the first length": 2}


def test_a_table_is_markdown() -> None:
    assert table([{"who": "ours", "s": 1}]) == "| who  | s |\n| ---- | - |\n| ours | 1 |"


def test_a_section_is_replaced_and_the_rest_stays() -> None:
    text = "a\n<!-- generated: x -->\nold\n<!-- end of x -->\nb"
    assert with_section(text, "x", "new") == "a\n<!-- generated: x -->\n\nnew\n\n<!-- end of x -->\nb"
    assert with_section(with_section(text, "x", "old"), "x", "new") == with_section(text, "x", "new")


def test_a_section_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no section between <!-- generated: y -->"):
        with_section("a", "y", "new")
