"""Whatever a name or a value holds, it stays a name or a value in the SQL."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq_assets.models import ColumnType
from seq_assets.warehouse.athena.sql import literal_sql, quoted, text_literal


def meaning(literal: str) -> str:
    """What a literal means, as the grammar of SQL has it."""
    if literal.startswith("U&"):
        body = literal[3:-1].replace("''", "'")
        assert "'" not in literal[3:-1].replace("''", "")
        return re.sub(r"\\(\\|[0-9a-f]{4})", lambda found: "\\" if found[1] == "\\" else chr(int(found[1], 16)), body)
    assert "'" not in literal[1:-1].replace("''", "")
    return literal[1:-1].replace("''", "'")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_one_literal_without_control_characters(text: str) -> None:
    literal = text_literal(text)
    assert meaning(literal) == text
    assert not re.search(r"[\x00-\x1f\x7f]", literal)


@pytest.mark.parametrize("text", ["it's", "'; DROP TABLE a; --", "\\0027", "a\tb\\", "''", "\0"])
def test_hostile_texts_stay_texts(text: str) -> None:
    assert meaning(text_literal(text)) == text


def test_a_quote_in_a_name_does_not_end_it() -> None:
    assert quoted('a" FROM b --') == '"a"" FROM b --"'


@pytest.mark.parametrize(
    ("value", "type_", "literal"),
    [
        (-128, ColumnType.INT8, "tinyint '-128'"),
        (-(2**63), ColumnType.INT64, "bigint '-9223372036854775808'"),
        (0.1, ColumnType.FLOAT64, "double '0.1'"),
        (1e-7, ColumnType.FLOAT32, "CAST(DOUBLE '1e-07' AS real)"),
        (True, ColumnType.BOOL, "true"),
        (-719_162, ColumnType.DATE, "DATE '0001-01-01'"),
        (19_782, ColumnType.DATE, "DATE '2024-02-29'"),
        (-1, ColumnType.TIMESTAMP, "bigint '-1'"),
        ("it's", ColumnType.STRING, "'it''s'"),
    ],
)
def test_a_literal_has_the_stored_type(value: int | float | bool | str, type_: ColumnType, literal: str) -> None:
    assert literal_sql(value, type_) == literal
