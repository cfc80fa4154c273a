"""How results look: values as texts, pages, the file."""

from typing import Any

import pytest

from seq_assets_tests.athena.errors import RequestRefusedError
from seq_assets_tests.athena.results import Column, Result, floating_text


def signature(raw: str, *arguments: Any) -> dict[str, Any]:
    """A type as Trino describes it; types and numbers are its arguments."""
    kinds = {int: "LONG", dict: "TYPE"}
    return {"rawType": raw, "arguments": [{"kind": kinds[type(argument)], "value": argument} for argument in arguments]}


def named(name: str | None, inner: dict[str, Any]) -> dict[str, Any]:
    """A field of a row."""
    return {"fieldName": {"name": name} if name else None, "typeSignature": inner}


INTEGER, TEXT = signature("integer"), signature("varchar", 2147483647)
ROW = {
    "rawType": "row",
    "arguments": [{"kind": "NAMED_TYPE", "value": named("x", INTEGER)}, {"kind": "NAMED_TYPE", "value": named(None, TEXT)}],
}


@pytest.mark.parametrize(
    ("type_of", "value", "text"),
    [
        (signature("boolean"), True, "true"),
        (signature("boolean"), False, "false"),
        (signature("tinyint"), -1, "-1"),
        (signature("bigint"), 9223372036854775807, "9223372036854775807"),
        (signature("real"), 1.1, "1.1"),
        (signature("double"), 100, "100.0"),
        (signature("decimal", 10, 2), "1.50", "1.50"),
        (TEXT, "", ""),
        (TEXT, 'a "b", c', 'a "b", c'),
        (signature("date"), "2024-02-29", "2024-02-29"),
        (signature("timestamp", 6), "2024-02-29 01:02:03.123456", "2024-02-29 01:02:03.123456"),
        (signature("varbinary"), "AP8=", "00 ff"),
        (signature("array", INTEGER), [1, None, 3], "[1, null, 3]"),
        (signature("array", signature("array", signature("real"))), [[0.5], []], "[[0.5], []]"),
        (signature("map", TEXT, signature("boolean")), {"a": True, "b": None}, "{a=true, b=null}"),
        (ROW, [1, "y"], "{x=1, field1=y}"),
        (INTEGER, None, None),
        (signature("array", INTEGER), None, None),
    ],
)
def test_values_look_as_athenas(type_of: dict[str, Any], value: Any, text: str | None) -> None:
    assert Column.of("c", type_of).text(value) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1, "1.0"),
        (-1.5, "-1.5"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (1234567890.5, "1.2345678905E9"),
        (-1e-10, "-1.0E-10"),
        (1e300, "1.0E300"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
    ],
)
def test_numbers_look_as_in_java(number: float | str, text: str) -> None:
    assert floating_text(number) == text


def test_columns_say_what_athena_says() -> None:
    columns = [
        Column.of("a", one)
        for one in (signature("real"), signature("decimal", 10, 2), signature("varchar", 5), signature("array", INTEGER))
    ]
    assert [(column.type, column.precision, column.scale) for column in columns] == [
        ("float", 17, 0),
        ("decimal", 10, 2),
        ("varchar", 5, 0),
        ("array", 0, 0),
    ]
    assert columns[2].info() == {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": "a",
        "Label": "a",
        "Type": "varchar",
        "Precision": 5,
        "Scale": 0,
        "Nullable": "UNKNOWN",
        "CaseSensitive": True,
    }


def result(rows: int) -> Result:
    """A result of so many rows of one number."""
    return Result.of_query([Column.of("n", INTEGER)], [[number] for number in range(rows)])


def test_the_file_tells_null_from_empty() -> None:
    columns = [Column.of("a", INTEGER), Column.of("b", TEXT)]
    assert (
        Result.of_query(columns, [[1, 'say "x"'], [None, ""], [2, "é\n"]]).csv().decode()
        == '"a","b"\n"1","say ""x"""\n,""\n"2","é\n"\n'
    )


def test_the_first_row_is_the_header() -> None:
    page = result(0).page(None, 1000)
    assert page["ResultSet"]["Rows"] == [{"Data": [{"VarCharValue": "n"}]}]
    assert "NextToken" not in page


@pytest.mark.parametrize(("rows", "limit", "pages"), [(3, 4, [4]), (3, 3, [3, 1]), (4, 2, [2, 2, 1]), (1000, 1000, [1000, 1])])
def test_pages_hold_each_row_once(rows: int, limit: int, pages: list[int]) -> None:
    whole, token, seen, sizes = result(rows), None, [], []
    while True:
        page = whole.page(token, limit)
        found = [row["Data"][0]["VarCharValue"] for row in page["ResultSet"]["Rows"]]
        seen += found
        sizes.append(len(found))
        token = page.get("NextToken")
        if token is None:
            break
    assert seen == ["n", *map(str, range(rows))]
    assert sizes == pages


@pytest.mark.parametrize(("token", "limit"), [("row-4", 10), ("row--1", 10), ("4", 10), ("", 10), (None, 0), (None, 1001)])
def test_pages_that_do_not_exist_are_refused(token: str | None, limit: int) -> None:
    with pytest.raises(RequestRefusedError):
        result(3).page(token, limit)


def test_a_null_is_a_cell_without_a_value() -> None:
    page = Result.of_query([Column.of("a", INTEGER)], [[None]]).page(None, 10)
    assert page["ResultSet"]["Rows"][1] == {"Data": [{}]}


def test_what_wrote_rows_shows_their_number() -> None:
    page = Result.of_change(5).page(None, 10)
    assert page["UpdateCount"] == 5
    assert page["ResultSet"]["Rows"] == []
