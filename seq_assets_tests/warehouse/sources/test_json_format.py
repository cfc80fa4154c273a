"""JSON lines: which values become text for the contract, and which lines are no records."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.errors import SourceError
from seq_assets.models import ColumnType
from seq_assets.models.spec import SourceOptions
from seq_assets.warehouse.sources.location import find_files
from seq_assets.warehouse.sources.reading import read_records
from seq_assets.warehouse.sources.records import SourceFindings, WantedColumn
from seq_assets_tests.reference import examples
from seq_assets_tests.reference.reading import UNREADABLE, JsonNumber, nearest_float, read_text, read_value
from seq_assets_tests.warehouse.sources.reading import details, malformed, read, values, wanted


def write_lines(folder: Path, *lines_: str) -> Path:
    path = folder / "x.jsonl"
    path.write_bytes("\n".join(lines_).encode())
    return path


def test_keys_are_found_by_name_and_others_are_ignored(tmp_path: Path) -> None:
    write_lines(tmp_path, '{"b": "2", "c": [1], "a": "1"}')
    assert read(tmp_path, wanted("a", "b")) == [{"_row": 1, "a": "1", "b": "2"}]


def test_null_and_a_missing_key_are_null_and_an_empty_text_is_not(tmp_path: Path) -> None:
    write_lines(tmp_path, '{"a": null}', "{}", '{"a": ""}', '{"a": "null"}')
    assert values(read(tmp_path, wanted("a")), "a") == [None, None, "", "null"]


def test_null_values_do_not_apply(tmp_path: Path) -> None:
    write_lines(tmp_path, '{"a": "NA"}')
    assert values(read(tmp_path, wanted("a"), null_values=["NA"]), "a") == ["NA"]


@pytest.mark.parametrize("line", ["no json", "[1, 2]", "7", '"text"', "null", '{"a": 1', '{"a": 1} {"a": 2}', "{'a': 1}"])
def test_a_line_that_is_no_object_is_malformed_and_the_file_goes_on(tmp_path: Path, line: str) -> None:
    write_lines(tmp_path, '{"a": "1"}', line, '{"a": "2"}')
    records = read(tmp_path, wanted("a"))
    assert (malformed(records), details(records)) == ({2: line}, {2: "no JSON object"})
    assert values(records, "a") == ["1", "2"]


def test_a_line_with_a_key_twice_is_malformed(tmp_path: Path) -> None:
    repeated = [
        '{"a": "1", "b": 2, "a": "3"}',
        '{"é\\"": 1, "\\u00e9\\"": 1}',
        '{"": 1, "": 1}',
        '{"b": 1, "b": 1, "a": 1, "a": 1}',
    ]
    write_lines(tmp_path, '{"a": "1", "b": {"a": 1, "a": 2}}', *repeated, '{"b": 1, "a": "2"}')
    records = read(tmp_path, wanted("a"))
    assert malformed(records) == dict(enumerate(repeated, 2))
    assert list(details(records).values()) == [f"the key {key} twice" for key in ('"a"', '"é\\""', '""', '"b"')]
    assert values(records, "a") == ["1", "2"]


def test_objects_may_have_any_keys_in_any_order(tmp_path: Path) -> None:
    objects = [{"a": str(number)} | {f"k{other}": 1 for other in range(number)} for number in range(20)]
    write_lines(tmp_path, *(json.dumps(item) for item in objects), '{"a": "x", "k1": 1, "k1": 1}')
    records = read(tmp_path, wanted("a"))
    assert values(records, "a") == [str(number) for number in range(20)]
    assert details(records) == {21: 'the key "k1" twice'}


def test_a_json_array_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('\n [ \n{"a": 1},\n{"a": 2}]\n')
    with pytest.raises(SourceError, match=r"x\.json is a JSON array; JSON lines are read: one object per line\. Write it so\."):
        read(tmp_path, wanted("a"))


def test_a_key_whose_name_differs_in_case_is_refused_with_the_field_that_mends_it(tmp_path: Path) -> None:
    write_lines(tmp_path, '{"A": "1", "b": "1"}', '{"b": "2"}')
    with pytest.raises(
        SourceError, match=r"x\.jsonl, .* no column 'a' \(columns\.a\), but 'A'; set columns\.a\.from: \"A\"\.$"
    ):
        read(tmp_path, wanted("a", "b"))
    assert values(read(tmp_path, wanted("A", "b")), "A") == ["1", None]


def test_bytes_that_are_no_text_make_the_line_malformed(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'{"a": "1"}\n{"a": "\xff"}\n{"a": "2"}\n')
    records = read(tmp_path, wanted("a"))
    assert malformed(records) == {2: '{"a": "\ufffd"}'}
    assert details(records) == {2: "not UTF-8 at byte 8"}
    assert values(records, "a") == ["1", "2"]


def test_no_line_is_lost_where_all_are_malformed(tmp_path: Path) -> None:
    write_lines(tmp_path, "x", "y")
    assert malformed(read(tmp_path, wanted("a"))) == {1: "x", 2: "y"}


def test_blank_lines_do_not_count_and_line_ends_may_differ(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'\n{"a": "1"}\r\n\r\n\n{"a": "2"}')
    assert read(tmp_path, wanted("a")) == [{"_row": 1, "a": "1"}, {"_row": 2, "a": "2"}]


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": "1"}\n')
    assert values(read(tmp_path, wanted("a")), "a") == ["1"]


def test_a_file_may_be_one_line_without_an_end(tmp_path: Path) -> None:
    write_lines(tmp_path, '{"a": "1"}')
    assert values(read(tmp_path, wanted("a")), "a") == ["1"]


def test_quotes_and_escapes_are_those_of_json(tmp_path: Path) -> None:
    text = 'say "hi", C:\\x\n\té\u2028😀'
    write_lines(tmp_path, json.dumps({"a": text}), json.dumps({"a": text}, ensure_ascii=False))
    assert values(read(tmp_path, wanted("a")), "a") == [text, text]


@pytest.mark.parametrize("value", [{"b": 1}, [1], {}, []])
@pytest.mark.parametrize("type_", [ColumnType.STRING, ColumnType.INT64])
def test_a_nested_value_is_of_no_type(tmp_path: Path, value: object, type_: ColumnType) -> None:
    write_lines(tmp_path, json.dumps({"a": value}))
    (record,) = read(tmp_path, wanted("a", type_=type_))
    assert record["_unreadable"] == "a"


@pytest.mark.parametrize("number", ["1.5", "1.0", "1e3", "1E400", "-0.0"])
def test_a_float_is_no_text(tmp_path: Path, number: str) -> None:
    write_lines(tmp_path, f'{{"a": {number}}}')
    (record,) = read(tmp_path, wanted("a"))
    assert record["_unreadable"] == "a" or "_malformed" in record


def test_every_column_that_is_not_of_its_type_is_named(tmp_path: Path) -> None:
    write_lines(tmp_path, '{"a": 1.5, "b": "x", "c": [1]}')
    (record,) = read(tmp_path, wanted("a", "b", "c"))
    assert record["_unreadable"] == "a,c"


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1])
def test_integers_keep_all_their_digits(tmp_path: Path, number: int) -> None:
    write_lines(tmp_path, f'{{"a": {number}, "b": {number}}}')
    columns = (*wanted("a"), *wanted("b", type_=ColumnType.INT64))
    assert read(tmp_path, columns) == [{"_row": 1, "a": str(number), "b": str(number)}]


@pytest.mark.parametrize("number", ["12345678901234567890123", "-9223372036854775809", "18446744073709551616", f"1{'0' * 400}"])
def test_an_integer_beyond_64_bits_keeps_its_digits_too(tmp_path: Path, number: str) -> None:
    write_lines(tmp_path, f'{{"a": {number}, "b": {number}}}')
    columns = (*wanted("a"), *wanted("b", type_=ColumnType.INT64))
    assert read(tmp_path, columns) == [{"_row": 1, "a": number, "b": number}]


@pytest.mark.parametrize(
    "number",
    ["123456789012345678.0", "9007199254740993.0", "1e3", "-1E2", "5.00000000000000000001", "1.0", "0.1", "-7.00", "1e-400"],
)
@pytest.mark.parametrize("type_", [ColumnType.INT64, ColumnType.TIMESTAMP])
def test_a_number_for_an_integer_is_the_digits_that_stand_there(tmp_path: Path, number: str, type_: ColumnType) -> None:
    write_lines(tmp_path, f'{{"a": {number}, "b": "x"}}', '{"a": 2.0}', '{"a": null}')
    records = read(tmp_path, (*wanted("a", type_=type_), *wanted("b")))
    assert [record["a"] for record in records] in ([number, "2.0", None], [f"{number[:-3]}.0", "2.0", None])
    assert records[0]["b"] == "x"


@pytest.mark.parametrize(
    "number",
    # Between two floats, by less than a double can hold; the largest one and what is rounded to it or over it; the smallest.
    [
        "16777217.00000000000001",
        "1.00000005960464477539063",
        "3.4028235677973366e38",
        "3.5e38",
        "7.006492321624086e-46",
        "1e-46",
    ],
)
def test_a_number_for_a_float32_is_rounded_once(tmp_path: Path, number: str) -> None:
    write_lines(tmp_path, f'{{"a": {number}}}', '{"a": 0.1}')
    first, second = values(read(tmp_path, wanted("a", type_=ColumnType.FLOAT32)), "a")
    nearest = nearest_float(Fraction(number), "float32", negative=False)
    assert nearest_float(Fraction(first), "float32", negative=False) == nearest
    assert (first == number or abs(float(number)) in (3.5e38, 1e-46), second) == (True, "0.1")


@pytest.mark.parametrize("type_", [ColumnType.STRING, ColumnType.FLOAT32, ColumnType.FLOAT64])
def test_zero_keeps_its_sign(tmp_path: Path, type_: ColumnType) -> None:
    write_lines(tmp_path, '{"a": -0}', '{"a": 0, "b": "-0"}')
    assert values(read(tmp_path, wanted("a", type_=type_)), "a") == ["-0", "0"]


def test_a_nested_value_beside_a_number_of_many_digits_is_still_of_no_type(tmp_path: Path) -> None:
    write_lines(tmp_path, '{"a": [1], "b": 12345678901234567890123, "c": 1.5, "d": NaN, "e": true}')
    (record,) = read(tmp_path, wanted("a", "b", "c", "d", "e"))
    assert (record["_unreadable"], record["b"], record["c"], record["e"]) == ("a,c,d", "12345678901234567890123", "1.5", "true")


@pytest.mark.parametrize("rest", ["1,}", '"c": nan}', '"c": -Inf, "d": [{"a": 2}],}', f'"c": {"[" * 100_000}{"]" * 100_000}}}'])
def test_a_number_of_many_digits_is_exact_in_a_line_that_only_duckdb_reads(tmp_path: Path, rest: str) -> None:
    number = "9007199254740993.0"
    rest = rest if rest.startswith('"') else f'"c": {rest}'
    write_lines(tmp_path, f'{{"a": {number}, "b": {{"a": "}}:1"}}, "\\u0065": "say \\"a\\": 3", {rest}', '{"a": 2.0}')
    first, second = read(tmp_path, (*wanted("a", type_=ColumnType.INT64), *wanted("b", "e", "c")))
    assert (first["a"], first["e"], second["a"]) == (number, 'say "a": 3', "2.0")
    assert first["_unreadable"] == ("b" if rest == '"c": 1,}' else "b,c")


def test_what_python_writes_for_floats_that_json_lacks_is_text_and_a_comma_too_many_loses_nothing(tmp_path: Path) -> None:
    write_lines(tmp_path, '{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', '{"a": 1.5,}')
    assert values(read(tmp_path, wanted("a", type_=ColumnType.FLOAT64)), "a") == ["NaN", "Infinity", "-Infinity", "1.5"]


def test_booleans_are_texts(tmp_path: Path) -> None:
    write_lines(tmp_path, '{"a": true}', '{"a": false}')
    assert values(read(tmp_path, wanted("a")), "a") == ["true", "false"]


@pytest.mark.parametrize("key", ["a/b", "a~b", "~1", "a.b", "$", "a'b", 'a"b', "", "0", "*", "é", "object", "number"])
def test_any_key_can_be_read(tmp_path: Path, key: str) -> None:
    write_lines(tmp_path, json.dumps({"other": "x", key: "1"}))
    columns = (WantedColumn("column", key, ColumnType.STRING, False),)
    assert read(tmp_path, columns) == [{"_row": 1, "column": "1"}]


@pytest.mark.parametrize("name", ["number", "line", "object", "malformed", "is_object", "lines", "objects", "parsed"])
def test_any_name_can_be_a_column(tmp_path: Path, name: str) -> None:
    write_lines(tmp_path, json.dumps({"a": "1", name: "2", "b": "3"}))
    assert read(tmp_path, wanted("a", name, "b")) == [{"_row": 1, "a": "1", name: "2", "b": "3"}]


def test_numbers_count_on_where_the_reader_goes_from_block_to_block(tmp_path: Path) -> None:
    lines = [f'{{"a": "{number}", "b": "{"x" * 100}"}}' if number % 4 else "bad" for number in range(1, 100_001)]
    write_lines(tmp_path, *lines)
    records = read(tmp_path, wanted("a"))
    assert [record["_row"] for record in records] == list(range(1, 100_001))
    assert list(malformed(records)) == list(range(4, 100_001, 4))
    assert values(records, "a") == [str(number) for number in range(1, 100_001) if number % 4]


def test_the_first_records_need_no_file_that_stands_far_behind(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03}.json").write_text(json.dumps({"a": "x" * 1_000}))
    (tmp_path / "999.json.gz").write_text("not compressed")
    source = find_files(str(tmp_path), "", "json")
    batches = read_records(source, wanted("a"), SourceOptions(), SourceFindings(), rows_at_once=1)
    assert next(batches).num_rows < 100
    with pytest.raises(SourceError, match=r"999\.json\.gz"):
        list(batches)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufdd0\ufdd1"), max_size=8)


@settings(deadline=None, max_examples=examples(20))
@given(
    objects=st.lists(st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(-(2**63), 2**64 - 1) | TEXT), min_size=1)
)
def test_what_pythons_writer_writes_comes_back_as_text(
    tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("json")
    write_lines(folder, *(json.dumps(item, ensure_ascii=number % 2 == 0) for number, item in enumerate(objects)))
    records = read(folder, wanted("a", "b"))
    for name in "ab":
        expected = [None if item.get(name) is None else str(item[name]) for item in objects]
        assert values(records, name) == expected


NUMBERS = st.builds(
    lambda sign, digits, fraction, exponent: f"{sign}{digits}{fraction}{exponent}",
    st.sampled_from(["", "-"]),
    st.integers(0, 10**25).map(str) | st.sampled_from(["0", "1", "16777217", "9007199254740993", "9223372036854775808"]),
    st.just("")
    | st.text("0123456789", min_size=1, max_size=25).map(lambda digits: f".{digits}")
    | st.sampled_from([".0", ".00"]),
    st.just("") | st.integers(-30, 30).map(lambda exponent: f"e{exponent}"),
)


@settings(deadline=None, max_examples=examples(100))
@given(numbers=st.lists(NUMBERS, min_size=1, max_size=20))
@pytest.mark.parametrize("type_", ["int64", "int8", "float32", "float64", "string"])
def test_any_number_is_what_its_digits_say(tmp_path_factory: pytest.TempPathFactory, type_: str, numbers: list[str]) -> None:
    folder = tmp_path_factory.mktemp("json")
    write_lines(folder, *(f'{{"a": {number}}}' for number in numbers))
    records = read(folder, wanted("a", type_=ColumnType(type_)))
    found = [UNREADABLE if "_unreadable" in record else read_text(record["a"], type_) for record in records]
    assert repr(found) == repr([read_value(JsonNumber(number), type_) for number in numbers])
