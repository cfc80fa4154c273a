"""What people are told about rejected records."""

from typing import Any

import pytest

from seq_assets.models import ModelSpec
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.warehouse.rules.rejections import Rejection, too_many_rejected

SPEC = ModelSpec.model_validate(
    {
        "name": "plain",
        "source": {"location": "x.csv"},
        "entity": "pupil",
        "columns": {
            "pupil": {"type": "int64"},
            "correct": {"type": "int8", "is_in": [0, 1], "is_lower_than": 5},
            "side": {"type": "string"},
        },
        "split": {"strategy": "column", "column": "side", "train": ["t"], "validation": ["v"]},
        "checks": {"rejected_ratio": {"max": 0.25}},
    }
)

OPTIONS = "  1 malformed: source.format, source.options (delimiter, quoting, encoding)"


@pytest.mark.parametrize(
    ("rejection", "line"),
    [
        (("a.csv", 3, "correct", "x", None, "unreadable"), "a.csv, row 3, column 'correct', value 'x': unreadable"),
        (("a.csv", 3, "correct", None, None, "null"), "a.csv, row 3, column 'correct', value None: null"),
        (
            ("a.csv", 4, None, "1,2", "3 fields expected, 2 found", "malformed"),
            "a.csv, row 4, '1,2': malformed (3 fields expected, 2 found)",
        ),
        (("a.csv", 5, "side", "x" * 81, None, "split_value"), f"a.csv, row 5, column 'side', value '{'x' * 80}…': split_value"),
    ],
)
def test_a_rejection_is_told_in_a_line(rejection: tuple[Any, ...], line: str) -> None:
    assert str(Rejection(*rejection)) == line


def test_the_message_has_the_counts_the_remedies_and_the_first_rows() -> None:
    counted = IngestAccounting(8, 3, 5, 3, 0, {"malformed": 1, "unreadable": 1, "is_in": 2, "split_value": 1})
    columns = [
        (None, "malformed", 1),
        ("pupil", "unreadable", 1),
        ("pupil", "null", 2),
        ("correct", "is_in", 2),
        ("correct", "is_lower_than", 1),
        ("side", "split_value", 1),
    ]
    first = [Rejection("a.csv", 1, "pupil", "x", None, "unreadable")]
    assert too_many_rejected(SPEC, counted, columns, first, {"pupil": ["x", str(2**63)]}).splitlines() == [
        "5 of 8 records were rejected (malformed 1, unreadable 1, is_in 2, split_value 1), a ratio of 0.625; allowed: "
        "checks.rejected_ratio.max, 0.25.",
        "Mend the rows, change the fields of the model file that refuse them, or raise the maximum:",
        "  1 malformed: source.format, source.options (delimiter, quoting, encoding)",
        "  1 unreadable: columns.pupil.type, now int64",
        "    '9223372036854775808' does not fit int64, -9223372036854775808 to 9223372036854775807: columns.pupil.type: string",
        "  2 null: columns.pupil.nullable, now false",
        "  2 is_in: columns.correct.is_in, now [0, 1]",
        "  1 is_lower_than: columns.correct.is_lower_than, now 5",
        "  1 split_value: split.train, split.validation (the values of side)",
        "The first rejected:",
        "  a.csv, row 1, column 'pupil', value 'x': unreadable",
    ]


@pytest.mark.parametrize(
    ("location", "detail", "remedies"),
    [
        (
            "x.csv",
            "3 fields expected, 2 found",
            [OPTIONS],
        ),
        (
            "x.csv",
            "text after a closing quote",
            [
                OPTIONS,
                "    where a quote is a character like others: source.options.quoting: none",
            ],
        ),
        ("x.jsonl", "no JSON object", ["  1 malformed: source.format, source.options.encoding"]),
    ],
)
def test_what_makes_no_record_is_told_with_the_fields_of_its_format(location: str, detail: str, remedies: list[str]) -> None:
    spec = SPEC.model_copy(update={"source": SPEC.source.model_copy(update={"location": location})})
    first = [Rejection("x", 1, None, "text", detail, "malformed")]
    told = too_many_rejected(spec, IngestAccounting(1, 0, 1, 0, 0, {"malformed": 1}), [(None, "malformed", 1)], first)
    assert told.splitlines()[2:-2] == remedies
