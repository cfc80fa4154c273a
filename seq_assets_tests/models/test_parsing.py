"""Every mistake in a model file is told: where, what was found, what is allowed, and all of them at once."""

import datetime
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from seq_assets.errors import Mistake, ModelFileError
from seq_assets.models import ModelSpec, parse_model
from seq_assets.models.columns import PathPart, Validation
from seq_assets_tests.models.model_files import FILE, MODEL, REMOVED, mistakes_of, model, model_text
from seq_assets_tests.reference import examples

NAME = "a name: a to z first, then a to z, 0 to 9 and _, 63 at most"
COLUMNS = "active, birthday, correct, elapsed, pupilid, school, skillid, timestamp"
INT8 = "an integer from -128 to 127 (int8)"
INT32 = "an integer from -2147483648 to 2147483647 (int32)"
INT64 = "an integer from -9223372036854775808 to 9223372036854775807 (int64)"
FLOAT32 = "a finite number that float32 can hold"
TEXT = "text (quote it if YAML reads it as something else)"
TIMESTAMP = "a timestamp, YYYY-MM-DD HH:MM:SS, UTC unless it names its offset"
OF_THE_CONTRACT = f"a column of the contract ({COLUMNS})"
REQUIRED = "a value; this field is required"

Case = tuple[dict[str, Any], str, str, str]


def told(cases: list[Case]) -> pytest.MarkDecorator:
    """One mistake each: the change of the model file, then the field, what was found, and (part of) what is allowed."""
    return pytest.mark.parametrize("case", cases, ids=lambda case: str(case[0]))


def assert_told(change: dict[str, Any], field: str, found: str, allowed: str) -> None:
    (mistake,) = mistakes_of(model_text(change))
    assert (mistake.file, mistake.field, mistake.found) == (FILE, field, found)
    assert allowed in mistake.allowed


# What is right


def test_a_full_model_file_is_read() -> None:
    assert isinstance(model(), ModelSpec)


def test_the_example_of_a_complete_file_keeps_what_it_says() -> None:
    spec = model()
    assert spec.name == "pupils"
    assert spec.entity == "pupilid"
    assert spec.order_by == ("timestamp",)
    assert spec.columns["pupilid"].from_ == "Anon Student Id"
    assert list(spec.columns) == list(MODEL["columns"])
    assert list(spec.features) == list(MODEL["features"])
    assert spec.source.options.null_values == ("", "NA")
    assert spec.lengths == (50, 100)
    assert spec.checks.pad_ratio.warn == 0.5


def test_a_short_file_gets_the_documented_defaults() -> None:
    spec = parse_model("{name: m, source: {location: a.csv}, entity: e, columns: {e: {type: string}}}", FILE)
    assert spec.is_raw
    assert spec.lengths == ()
    assert spec.order_by == ()
    assert spec.source.format == "auto"
    assert spec.source.options.null_values == ("",)
    assert spec.source.options.encoding == "utf-8"
    assert spec.source.options.header is True
    assert spec.window.mode == "chunk"
    assert spec.padding.side == "right"
    assert spec.min_length == 1
    assert not spec.columns["e"].nullable
    assert spec.checks.rejected_ratio.max == 0
    assert set(dict(spec.checks.drift).values()) == {None}


def test_each_bound_of_drift_may_be_given_alone() -> None:
    assert dict(model({"checks.drift": {"rows": 12.5}}).checks.drift) == {
        "rows": 12.5,
        "pad_ratio": None,
        "label_share": None,
        "new_values": None,
    }
    every = {"rows": 0, "pad_ratio": 0.0, "label_share": 1, "new_values": 0.05}
    assert dict(model({"checks.drift": every}).checks.drift) == every


@pytest.mark.parametrize("change", [{"sequence_lengths": []}, {"features": {}}])
def test_a_model_without_lengths_or_features_is_raw(change: dict[str, Any]) -> None:
    assert model(change).is_raw
    assert model(change).lengths == ()


def test_lengths_are_in_ascending_order() -> None:
    assert model({"sequence_lengths": [100, 10_000, 1]}).lengths == (1, 100, 10_000)


def test_a_location_may_differ_by_environment() -> None:
    spec = model({"source.location": {"local": "a.csv", "prod": "s3://bucket/a/"}})
    assert spec.location("local") == "a.csv"
    assert spec.location("prod") == "s3://bucket/a/"
    assert spec.location("staging") is None
    assert model().location("prod") == "answers/*.csv"


def test_pad_and_fill_values_are_of_the_feature_type() -> None:
    spec = model({"features.timestamp": {"pad_value": -1}, "features.birthday": {"pad_value": 0}})
    assert {name: spec.feature_type(name).value for name in spec.features} == {
        "pupilid": "int64",
        "correct": "int8",
        "elapsed": "float32",
        "timestamp": "int64",
        "birthday": "int32",
    }
    assert spec.pad_value("timestamp") == -1
    assert spec.fill_value("elapsed") == 0.0
    assert spec.fill_value("correct") is None


def test_an_encoded_feature_has_ids_padded_by_zero_and_fills_null_with_a_value_of_its_column() -> None:
    spec = model(
        {
            "features.school": {"encode": "vocabulary"},
            "features.birthday": {"encode": "vocabulary", "pad_value": 0, "fill_null": "1970-01-02"},
            "columns.school.nullable": True,
        }
    )
    assert spec.encoded == ("school", "birthday")
    assert [spec.feature_type(name).value for name in spec.encoded] == ["int32", "int32"]
    assert [spec.pad_value(name) for name in spec.encoded] == [0, 0]
    assert [spec.fill_value(name) for name in spec.encoded] == [None, 1]


def test_a_lag_is_of_int64_and_counts_seconds_from_0_on() -> None:
    spec = model({"features.lag": {"derive": "time_since_previous", "pad_value": -1}})
    assert (spec.feature_type("lag").value, spec.pad_value("lag"), spec.fill_value("lag")) == ("int64", -1, None)
    assert (spec.features["lag"].unit, spec.features["lag"].first) == ("s", 0)


LAG: dict[str, Any] = {"derive": "time_since_previous", "pad_value": 0}


@told(
    [
        (
            {"features.lag": {"derive": "time_since_first", "pad_value": 0}},
            "features.lag.derive",
            "'time_since_first' (str)",
            "one of time_since_previous",
        ),
        ({"features.lag": {"derive": "time_since_previous"}}, "features.lag.pad_value", "nothing", "this field is required"),
        ({"features.lag": LAG | {"pad_value": 0.5}}, "features.lag.pad_value", "0.5", INT64),
        ({"features.lag": LAG | {"first": 2**63}}, "features.lag.first", str(2**63), INT64),
        ({"features.lag": LAG | {"unit": "w"}}, "features.lag.unit", "'w' (str)", "one of us, ms, s, min, h, d"),
        ({"features.lag": LAG | {"encode": "vocabulary"}}, "features.lag.encode", "'vocabulary'", "nothing, with derive"),
        ({"features.lag": LAG | {"fill_null": 0}}, "features.lag.fill_null", "0", "nothing, with derive"),
        ({"features.correct": LAG}, "features.correct", "'correct'", "a name that no column has"),
        ({"features._lag": LAG}, "features._lag", "'_lag'", "a name that does not begin with _"),
        ({"features.correct.unit": "s"}, "features.correct.unit", "'s'", "with derive only"),
        ({"features.correct.first": 1}, "features.correct.first", "1", "with derive only"),
        ({"features.lag": LAG, "order_by": []}, "features.lag.derive", "time_since_previous with no order_by", "a model"),
        (
            {"features.lag": LAG, "order_by": ["correct"]},
            "features.lag.derive",
            "time_since_previous with order_by 'correct' of type int8",
            "a model",
        ),
    ]
)
def test_a_lag_is_derived_from_the_time_that_orders_histories(case: Case) -> None:
    assert_told(*case)


@pytest.mark.parametrize(
    "split",
    [
        {"strategy": "entity_hash"},
        {"strategy": "column", "column": "school", "train": ["a", "b"], "validation": ["c"]},
        {"strategy": "column", "column": "active", "train": [True], "validation": [False]},
        {"strategy": "time", "column": "timestamp", "cutoff": "2024-01-01 12:00:00"},
        {"strategy": "time", "column": "birthday", "cutoff": "2024-01-01"},
        {"strategy": "location"},
    ],
    ids=str,
)
def test_every_split_strategy_is_read(split: dict[str, Any]) -> None:
    assert model({"split": split}).split.strategy == split["strategy"]


@pytest.mark.parametrize(
    "cutoff", ["2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01 01:00:00+01:00", "2023-12-31 23:00:00-01:00"]
)
@pytest.mark.parametrize("quote", ["", "'"])
def test_a_cutoff_is_utc_unless_it_names_its_offset(cutoff: str, quote: str) -> None:
    split = f"{{strategy: time, column: timestamp, cutoff: {quote}{cutoff}{quote}}}"
    found = parse_model(model_text({"split": yaml.safe_load(split)}), FILE).split
    assert getattr(found, "cutoff_microseconds") == 1_704_067_200_000_000  # noqa: B009  # one of four kinds of split


# Fields


@told(
    [
        ({"nam": "x"}, "nam", "an unknown field", "did you mean 'name'?"),
        ({"feature": {}}, "feature", "an unknown field", "did you mean 'features'?"),
        ({"source.formt": "csv"}, "source.formt", "an unknown field", "did you mean 'format'?"),
        (
            {"source.options.delimeter": ","},
            "source.options.delimeter",
            "an unknown field",
            "quoted_nulls, quoting, skip_rows, thousands; did you mean 'delimiter'?",
        ),
        ({"columns.correct.is_inn": [1]}, "columns.correct.is_inn", "an unknown field", "did you mean 'is_in'?"),
        ({"columns.correct.fro": "x"}, "columns.correct.fro", "an unknown field", "did you mean 'from'?"),
        ({"columns.correct.from_": "x"}, "columns.correct.from_", "an unknown field", "did you mean 'from'?"),
        (
            {"features.correct.pad": 0},
            "features.correct.pad",
            "an unknown field",
            "min_count, pad_value",
        ),
        (
            {"split.sed": 0},
            "split.sed",
            "an unknown field",
            "seed, strategy, validation_fraction; did you mean 'seed'?",
        ),
        ({"window.strid": 3}, "window.strid", "an unknown field", "mode, stride; did you mean 'stride'?"),
        ({"padding.sides": "left"}, "padding.sides", "an unknown field", "side; did you mean 'side'?"),
        ({"checks.pad_ration": {}}, "checks.pad_ration", "an unknown field", "did you mean 'pad_ratio'?"),
        ({"checks.pad_ratio.wan": 1}, "checks.pad_ratio.wan", "an unknown field", "max, warn; did you mean 'warn'?"),
        ({"checks.rejected_ratio.warn": 1}, "checks.rejected_ratio.warn", "an unknown field", "max"),
        (
            {"checks.drift.row": 0.1},
            "checks.drift.row",
            "an unknown field",
            "label_share, new_values, pad_ratio, rows; did you mean 'rows'?",
        ),
        ({"checks.drifts": {}}, "checks.drifts", "an unknown field", "did you mean 'drift'?"),
        ({"zzz": 1}, "zzz", "an unknown field", "checks, columns, description"),
    ]
)
def test_a_typo_gets_the_nearest_allowed_word(case: Case) -> None:
    assert_told(*case)


@told(
    [
        ({"name": REMOVED}, "name", "nothing", REQUIRED),
        ({"source": REMOVED}, "source", "nothing", REQUIRED),
        ({"source.location": REMOVED}, "source.location", "nothing", REQUIRED),
        ({"entity": REMOVED}, "entity", "nothing", REQUIRED),
        ({"columns.skillid.type": REMOVED}, "columns.skillid.type", "nothing", REQUIRED),
        ({"features.correct.pad_value": REMOVED}, "features.correct.pad_value", "nothing", REQUIRED),
        ({"split.strategy": REMOVED}, "split.strategy", "nothing", "'entity_hash', 'column', 'time' or 'location'"),
        ({"split": {"strategy": "time", "column": "timestamp"}}, "split.cutoff", "nothing", REQUIRED),
        (
            {"split": {"strategy": "column", "column": "school", "train": ["a"]}},
            "split.validation",
            "nothing",
            REQUIRED,
        ),
    ]
)
def test_a_missing_field_is_told(case: Case) -> None:
    assert_told(*case)


@told(
    [
        (
            {"source.format": "cvs"},
            "source.format",
            "'cvs' (str)",
            "auto, parquet, csv, json, dkt; did you mean 'csv'?",
        ),
        ({"columns.skillid.type": "int23"}, "columns.skillid.type", "'int23' (str)", "did you mean 'int32'?"),
        ({"columns.timestamp.unit": "h"}, "columns.timestamp.unit", "'h' (str)", "one of s, ms, us, ns"),
        ({"split.strategy": "entityhash"}, "split", "strategy 'entityhash'", "did you mean 'entity_hash'?"),
        ({"window.mode": "chunks"}, "window.mode", "'chunks' (str)", "did you mean 'chunk'?"),
        ({"padding.side": "rigth"}, "padding.side", "'rigth' (str)", "one of right, left; did you mean 'right'?"),
    ]
)
def test_a_word_that_is_not_allowed_gets_the_allowed_ones(case: Case) -> None:
    assert_told(*case)


@told(
    [
        ({"description": 5}, "description", "5 (int)", "text (quote it"),
        ({"columns.skillid.description": 5}, "columns.skillid.description", "5 (int)", "text (quote it"),
        ({"columns.skillid.description": ""}, "columns.skillid.description", "'' (str)", "at least 1 character"),
        ({"owner": "learning"}, "owner", "'learning' (str)", "team:<name> or an e-mail address"),
        ({"owner": "team:"}, "owner", "'team:' (str)", "team:<name> or an e-mail address"),
        ({"source.location": ""}, "source.location", "'' (str)", "not empty"),
        ({"source.location": 5}, "source.location", "5 (int)", "a path, glob or address"),
        ({"source.location": {}}, "source.location", "{} (dict)", "{local: …, staging: …, prod: …}"),
        (
            {"source.location": {"test": "a"}},
            "source.location",
            "{'test': 'a'} (dict)",
            "{local: …, staging: …, prod: …}",
        ),
        ({"source.location": {"prod": " "}}, "source.location", "{'prod': ' '} (dict)", "not empty"),
        ({"columns.timestamp.format": "%Y-%j"}, "columns.timestamp.format", "'%Y-%j' (str)", "%d and perhaps %H or %I"),
        (
            {"columns.timestamp.timezone": "Europe/Amstredam"},
            "columns.timestamp.timezone",
            "'Europe/Amstredam' (str)",
            "did you mean 'Europe/Amsterdam'?",
        ),
        ({"columns.timestamp.timezone": "CEST"}, "columns.timestamp.timezone", "'CEST' (str)", "IANA name of a time zone"),
        ({"columns.correct.timezone": "UTC"}, "columns.correct.timezone", "'UTC'", "of type timestamp only"),
        ({"columns.correct.format": "%Y%m%d"}, "columns.correct.format", "'%Y%m%d'", "of type timestamp or date only"),
        (
            {"columns.timestamp.format": "%Y%m%d", "columns.timestamp.unit": "s"},
            "columns.timestamp.format",
            "'%Y%m%d'",
            "no format beside the unit s, which reads numbers",
        ),
        ({"source.options.delimiter": ""}, "source.options.delimiter", "'' (str)", "at least 1 character"),
        ({"source.options.delimiter": '"'}, "source.options.delimiter", "'\"' (str)", "none is a quote or a line end"),
        (
            {"source.options.delimiter": "\n"},
            "source.options.delimiter",
            "'\\n' (str)",
            "none is a quote or a line end",
        ),
        ({"source.options.decimal": "1"}, "source.options.decimal", "'1' (str)", "no digit, no sign"),
        ({"source.options.decimal": "٣"}, "source.options.decimal", "'٣' (str)", "no digit, no sign"),
        ({"source.options.thousands": "e"}, "source.options.thousands", "'e' (str)", "neither e nor E"),
        ({"source.options.thousands": ""}, "source.options.thousands", "'' (str)", "at least 1"),
        ({"source.options.thousands": "."}, "source.options.thousands", "'.'", "another character than source.options.decimal"),
        (
            {"source.options.delimiter": ";", "source.options.decimal": ";"},
            "source.options.decimal",
            "';'",
            "another character than source.options.delimiter",
        ),
        (
            {"source.format": "json", "source.options.decimal": ","},
            "source.options.decimal",
            "','",
            "numbers of CSV only; source.format is json",
        ),
        ({"source.options.quoting": "all"}, "source.options.quoting", "'all' (str)", "one of standard, none"),
        ({"source.options.quoted_nulls": 1}, "source.options.quoted_nulls", "1 (int)", "true or false"),
        ({"source.options.skip_rows": -1}, "source.options.skip_rows", "-1 (int)", "0"),
        ({"source.options.encoding": "utf-9"}, "source.options.encoding", "'utf-9' (str)", "such as utf-8, latin-1"),
        ({"source.options.header": "yes"}, "source.options.header", "'yes' (str)", "true or false"),
        ({"order_by": "timestamp"}, "order_by", "'timestamp' (str)", "a list, such as [a, b]"),
        ({"columns.correct.nullable": "no"}, "columns.correct.nullable", "'no' (str)", "true or false"),
        ({"columns.correct.from": ""}, "columns.correct.from", "'' (str)", "at least 1 character"),
        ({"columns.correct.from": 5}, "columns.correct.from", "5 (int)", "or {path: a regular expression with one group}"),
        ({"columns.correct.from": {"path": "u[0-9]+"}}, "columns.correct.from", "{'path': 'u[0-9]+'} (dict)", "this has 0"),
        ({"columns.correct.from": {"path": "(u)(5)"}}, "columns.correct.from", "{'path': '(u)(5)'} (dict)", "this has 2"),
        ({"columns.correct.from": {"path": "(u"}}, "columns.correct.from", "{'path': '(u'} (dict)", "this is none: missing )"),
        ({"columns.correct.from": {"file": "(u)"}}, "columns.correct.from", "{'file': '(u)'} (dict)", "{path: "),
        ({"columns.correct.is_in": []}, "columns.correct.is_in", "[] (list)", "at least 1 value"),
        ({"columns.correct.is_in": 1}, "columns.correct.is_in", "1 (int)", "a list, such as [a, b]"),
        ({"columns.correct.has_unique_values": 1}, "columns.correct.has_unique_values", "1 (int)", "true or false"),
        (
            {"columns.elapsed.has_acceptable_percentage_of_nulls": 50},
            "columns.elapsed.has_acceptable_percentage_of_nulls",
            "50 (int)",
            "at most 1",
        ),
        ({"split.validation_fraction": 1.5}, "split.validation_fraction", "1.5 (float)", "at most 1"),
        (
            {"split.validation_fraction": -0.1},
            "split.validation_fraction",
            "-0.1 (float)",
            "at least 0",
        ),
        ({"split.seed": "x"}, "split.seed", "'x' (str)", "a whole number"),
        ({"window.stride": 0}, "window.stride", "0 (int)", "at least 1"),
        ({"min_length": 0}, "min_length", "0 (int)", "at least 1"),
        ({"min_length": True}, "min_length", "True (bool)", "a whole number"),
        ({"sequence_lengths": [0]}, "sequence_lengths.0", "0 (int)", "at least 1"),
        ({"sequence_lengths": [5, 10_001]}, "sequence_lengths.1", "10001 (int)", "at most 10000"),
        ({"sequence_lengths": ["50"]}, "sequence_lengths.0", "'50' (str)", "a whole number"),
        ({"sequence_lengths": 50}, "sequence_lengths", "50 (int)", "a list, such as [a, b]"),
        ({"checks.pad_ratio.max": 2}, "checks.pad_ratio.max", "2 (int)", "at most 1"),
        ({"checks.rejected_ratio.max": "none"}, "checks.rejected_ratio.max", "'none' (str)", "a number"),
        ({"checks.drift.rows": -0.1}, "checks.drift.rows", "-0.1 (float)", "at least 0"),
        ({"checks.drift.rows": "few"}, "checks.drift.rows", "'few' (str)", "a number"),
        *(
            ({f"checks.drift.{share}": found}, f"checks.drift.{share}", f"{found} (float)", allowed)
            for share in ("pad_ratio", "label_share", "new_values")
            for found, allowed in ((-0.1, "at least 0"), (1.1, "at most 1"))
        ),
    ]
)
def test_a_value_that_its_field_does_not_allow_is_told(case: Case) -> None:
    assert_told(*case)


# Names


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Dkt",
        "1st",
        "_dkt",
        "a-b",
        "a b",
        "dkt;",
        'd"kt',
        "d'kt",
        "../dkt",
        "..",
        "a/b",
        "schüler",
        "dkt\n",
        "a" * 64,
    ],
)
def test_a_hostile_name_is_refused(name: str) -> None:
    (mistake,) = mistakes_of(model_text({"name": name}))
    assert (mistake.field, mistake.allowed) == ("name", NAME)


@pytest.mark.parametrize("name", ["", "Correct", "a-b", "x; drop", 'c"', "c'", "..", "a.b", "école", "c\n", "a" * 64])
def test_a_hostile_column_name_is_refused(name: str) -> None:
    columns = MODEL["columns"] | {name: {"type": "int8"}}
    assert NAME in [mistake.allowed for mistake in mistakes_of(model_text({"columns": columns}))]


@pytest.mark.parametrize("name", ["select", "table", "from", "order", "null", "true", "a", "a" * 63, "items", "type"])
def test_reserved_words_of_other_languages_are_fine_as_names(name: str) -> None:
    spec = model({"name": name, f"columns.{name}": {"type": "int8"}, f"features.{name}": {"pad_value": 0}})
    assert name in spec.columns
    assert name in spec.features


@pytest.mark.parametrize("source", ["First Attempt", 'a "quoted" one', "x; drop table y", "ответ", "..", "_file", "1"])
def test_the_source_may_name_its_columns_as_it_likes(source: str) -> None:
    assert model({"columns.correct.from": source}).columns["correct"].from_ == source


@pytest.mark.parametrize("name", ["subset", "sequence_index", "sequence_start", "sequence_size", "is_pad", "is_repeat"])
def test_names_that_the_platform_uses_are_reserved(name: str) -> None:
    assert_told({f"columns.{name}": {"type": "int8"}}, f"columns.{name}", repr(name), "does not begin with _")


def test_a_column_name_does_not_begin_with_an_underscore() -> None:
    found = mistakes_of(model_text({"columns._row": {"type": "int8"}}))
    assert {mistake.field for mistake in found} == {"columns._row"}
    assert "a name that does not begin with _" in " ".join(mistake.allowed for mistake in found)


# Fields that need one another


@told(
    [
        ({"entity": "pupil_id"}, "entity", "'pupil_id'", f"{OF_THE_CONTRACT}; did you mean 'pupilid'?"),
        ({"entity": "elapsd"}, "entity", "'elapsd'", f"{OF_THE_CONTRACT}; did you mean 'elapsed'?"),
        ({"order_by": ["time_stamp"]}, "order_by.0", "'time_stamp'", "did you mean 'timestamp'?"),
        ({"order_by": ["-timestamp"]}, "order_by.0", "'-timestamp'", "'timestamp'; histories are in ascending order"),
        ({"order_by": ["timestamp desc"]}, "order_by.0", "'timestamp desc'", "'timestamp'; histories are in ascending order"),
        ({"features.corect": {"pad_value": 0}}, "features.corect", "'corect'", "did you mean 'correct'?"),
        (
            {"split": {"strategy": "time", "column": "times", "cutoff": "2024-01-01"}},
            "split.column",
            "'times'",
            OF_THE_CONTRACT,
        ),
    ]
)
def test_a_column_that_is_not_in_the_contract_is_told_with_the_nearest(case: Case) -> None:
    assert_told(*case)


@told(
    [
        ({"entity": "timestamp"}, "entity", "'timestamp' of type timestamp", "an integer type or string"),
        ({"entity": "birthday"}, "entity", "'birthday' of type date", "an integer type or string"),
        ({"entity": "active"}, "entity", "'active' of type bool", "an integer type or string"),
        ({"columns.pupilid.type": "float64", "features": {}}, "entity", "'pupilid' of type float64", "an integer type"),
        (
            {"columns.is_pad_sequence": {"type": "string"}, "entity": "is_pad_sequence"},
            "entity",
            "'is_pad_sequence'",
            "none of is_pad_sequence, is_repeat_sequence",
        ),
        (
            {"columns.correct_sequence": {"type": "string"}, "entity": "correct_sequence"},
            "features.correct",
            "'correct'",
            "a feature whose sequence is not named like 'correct_sequence'",
        ),
        (
            {"columns.pupilid.nullable": True, "features": {}},
            "columns.pupilid.nullable",
            "true",
            "the entity cannot be null",
        ),
        ({"columns.timestamp.nullable": True}, "columns.timestamp.nullable", "true", "order_by cannot be null"),
        ({"order_by": ["timestamp", "timestamp"]}, "order_by.1", "'timestamp'", "each column once"),
    ]
)
def test_the_entity_and_the_order_are_fit_for_it(case: Case) -> None:
    assert_told(*case)


@pytest.mark.parametrize(
    "location", ["glue://school/answers", {"local": "answers.csv", "prod": "glue://school/answers"}], ids=["table", "mapping"]
)
def test_ties_may_be_in_any_order_where_the_source_is_a_table(location: Any) -> None:
    assert model({"ties": "any", "source.location": location}).ties == "any"


@told(
    [
        ({"ties": "any"}, "ties", "'any'", "nothing, because the rows of files have an order, which ties keep"),
        ({"ties": "any", "source.location": {"prod": "s3://b/x/"}}, "ties", "'any'", "nothing"),
        ({"ties": "all", "source.location": "glue://school/answers"}, "ties", "'all' (str)", "any"),
    ]
)
def test_ties_of_files_keep_the_order_of_the_source(case: Case) -> None:
    assert_told(*case)


@told(
    [
        ({"columns.skillid.from": "correct"}, "columns.correct.from", "'correct'", "that 'skillid' does not read"),
        ({"columns.skillid.unit": "ms"}, "columns.skillid.unit", "'ms'", "columns of type timestamp only"),
        (
            {"columns.elapsed.has_no_null_values": True},
            "columns.elapsed.has_no_null_values",
            "true",
            "opposite of nullable",
        ),
        (
            {"columns.skillid.has_no_null_values": False},
            "columns.skillid.has_no_null_values",
            "false",
            "opposite of nullable",
        ),
        (
            {"columns.skillid.has_acceptable_percentage_of_nulls": 0.1},
            "columns.skillid.has_acceptable_percentage_of_nulls",
            "0.1",
            "nullable: true only",
        ),
    ]
)
def test_the_columns_agree_with_themselves_and_each_other(case: Case) -> None:
    assert_told(*case)


def test_a_contract_has_at_least_one_column() -> None:
    found = {mistake.field: mistake for mistake in mistakes_of(model_text({"columns": {}}))}
    assert "at least 1 value" in found["columns"].allowed


def test_without_a_header_every_column_needs_its_number() -> None:
    numbers = {f"columns.{name}.from": str(number) for number, name in enumerate(MODEL["columns"], start=1)}
    no_header = {"source.options.header": False}
    assert model(no_header | numbers).columns["timestamp"].from_ == "2"
    of_path = numbers | {"columns.pupilid.from": {"path": "u([0-9]+)"}}
    assert model(no_header | of_path).columns["pupilid"].from_ == PathPart(path="u([0-9]+)")
    for wrong in ("0", "-1", "time", "1.0"):
        assert_told(
            no_header | numbers | {"columns.timestamp.from": wrong},
            "columns.timestamp.from",
            repr(wrong),
            "from '1' on",
        )
    del numbers["columns.timestamp.from"]
    assert_told(no_header | numbers, "columns.timestamp.from", "nothing", "from '1' on")


def test_a_table_has_no_paths() -> None:
    change = {"source.location": {"local": "x", "prod": "glue://school/answers"}, "columns.pupilid.from": {"path": "u([0-9]+)"}}
    assert_told(
        change,
        "columns.pupilid.from",
        "a path, with the source 'glue://school/answers'",
        "a column of the table, because the rows of a table stand in no file",
    )


# Validations


SINGLE = [validation.value for validation in Validation if validation not in (Validation.IS_IN, Validation.IS_BETWEEN)]


@pytest.mark.parametrize("validation", SINGLE)
@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("skillid", "1", INT32),
        ("skillid", 1.5, INT32),
        ("skillid", True, INT32),
        ("skillid", 2**31, INT32),
        ("elapsed", "x", FLOAT32),
        ("elapsed", 1e39, FLOAT32),
        ("elapsed", float("inf"), FLOAT32),
        ("elapsed", float("nan"), FLOAT32),
        ("elapsed", 10**400, FLOAT32),
        ("school", 5, TEXT),
        ("birthday", "2024-02-30", "a date, YYYY-MM-DD"),
        ("birthday", datetime.datetime(2024, 1, 1), "a date, YYYY-MM-DD"),
        ("timestamp", "noon", TIMESTAMP),
        ("timestamp", 5, TIMESTAMP),
    ],
)
def test_a_validation_compares_with_a_value_of_the_columns_type(
    validation: str,
    column: str,
    value: Any,
    allowed: str,
) -> None:
    assert_told({f"columns.{column}.{validation}": value}, f"columns.{column}.{validation}", repr(value), allowed)


@pytest.mark.parametrize("validation", ["is_in", "is_between"])
def test_every_value_of_a_validation_that_its_column_cannot_hold_is_told(validation: str) -> None:
    found = mistakes_of(model_text({f"columns.skillid.{validation}": ["a", None]}))
    assert [mistake.found for mistake in found] == ["'a'", "None"]
    assert {(mistake.field, mistake.allowed) for mistake in found} == {(f"columns.skillid.{validation}", INT32)}


@pytest.mark.parametrize("validation", [*SINGLE, "is_between"])
def test_booleans_have_no_order(validation: str) -> None:
    value = [False, True] if validation == "is_between" else True
    (mistake,) = mistakes_of(model_text({f"columns.active.{validation}": value}))
    assert (mistake.field, mistake.allowed) == (f"columns.active.{validation}", "is_in only, because bool has no order")


@told(
    [
        ({"columns.skillid.is_between": [2, 1]}, "columns.skillid.is_between", "[2, 1]", "the lower end first"),
        ({"columns.school.is_between": ["b", "a"]}, "columns.school.is_between", "['b', 'a']", "the lower end first"),
        (
            {"columns.birthday.is_between": ["2024-01-02", "2024-01-01"]},
            "columns.birthday.is_between",
            "['2024-01-02', '2024-01-01']",
            "the lower end first",
        ),
        ({"columns.skillid.is_between": [1]}, "columns.skillid.is_between", "[1] (list)", "a list of two values"),
        (
            {"columns.skillid.is_between": [1, 2, 3]},
            "columns.skillid.is_between",
            "[1, 2, 3] (list)",
            "a list of two values",
        ),
    ]
)
def test_between_needs_a_lower_and_an_upper_end(case: Case) -> None:
    assert_told(*case)


def test_between_may_hold_a_single_value() -> None:
    assert model({"columns.skillid.is_between": [1, 1]}).columns["skillid"].is_between == (1, 1)


# Features


@told(
    [
        ({"features.correct.pad_value": 128}, "features.correct.pad_value", "128", INT8),
        ({"features.correct.pad_value": 0.0}, "features.correct.pad_value", "0.0", INT8),
        ({"features.correct.pad_value": "0"}, "features.correct.pad_value", "'0'", INT8),
        ({"features.correct.pad_value": None}, "features.correct.pad_value", "None", INT8),
        ({"features.correct.pad_value": [0]}, "features.correct.pad_value", "[0]", INT8),
        ({"features.elapsed.pad_value": 1e39}, "features.elapsed.pad_value", "1e+39", FLOAT32),
        ({"features.elapsed.pad_value": float("nan")}, "features.elapsed.pad_value", "nan", FLOAT32),
        ({"features.school": {"pad_value": 0}}, "features.school.pad_value", "0", TEXT),
        ({"features.active": {"pad_value": 0}}, "features.active.pad_value", "0", "true or false"),
        ({"features.timestamp": {"pad_value": "2024-01-01"}}, "features.timestamp.pad_value", "'2024-01-01'", INT64),
        ({"features.birthday": {"pad_value": 2**31}}, "features.birthday.pad_value", str(2**31), INT32),
        ({"features.elapsed.fill_null": "x"}, "features.elapsed.fill_null", "'x'", FLOAT32),
        ({"features.correct.fill_null": 1.5}, "features.correct.fill_null", "1.5", INT8),
        ({"features.elapsed.fill_null": REMOVED}, "features.elapsed.fill_null", "nothing", "the column is nullable"),
        ({"features.correct": {"encode": "words"}}, "features.correct.encode", "'words' (str)", "one of vocabulary"),
        (
            {"features.elapsed": {"encode": "vocabulary"}},
            "features.elapsed.encode",
            "vocabulary for a column of type float32",
            "a column of an integer type, bool, string or date",
        ),
        (
            {"features.timestamp": {"encode": "vocabulary"}},
            "features.timestamp.encode",
            "vocabulary for a column of type timestamp",
            "a column of an integer type, bool, string or date",
        ),
        ({"features.school": {"encode": "vocabulary", "pad_value": ""}}, "features.school.pad_value", "''", "0, the id of"),
        ({"features.correct": {"encode": "vocabulary", "pad_value": 1}}, "features.correct.pad_value", "1", "0, the id of"),
        ({"features.active": {"encode": "vocabulary", "pad_value": False}}, "features.active.pad_value", "False", "0, the id"),
        ({"features.school": {"encode": "vocabulary", "fill_null": 0}}, "features.school.fill_null", "0", TEXT),
        ({"features.birthday": {"encode": "vocabulary", "fill_null": 0}}, "features.birthday.fill_null", "0", "a date"),
        ({"features.school": {"encode": "vocabulary", "min_count": 0}}, "features.school.min_count", "0 (int)", "at least 1"),
        ({"features.correct.min_count": 2}, "features.correct.min_count", "2", "with encode only"),
    ]
)
def test_pad_and_fill_values_are_ones_that_the_type_can_hold(case: Case) -> None:
    assert_told(*case)


# Split


@told(
    [
        (
            {"split": {"strategy": "column", "column": "skillid", "train": ["a"], "validation": [2]}},
            "split.train",
            "'a'",
            INT32,
        ),
        (
            {"split": {"strategy": "column", "column": "skillid", "train": [1], "validation": [2.5]}},
            "split.validation",
            "2.5",
            INT32,
        ),
        (
            {"split": {"strategy": "column", "column": "skillid", "train": [1, 2], "validation": [2, 3]}},
            "split.validation",
            "2",
            "values that split.train does not have",
        ),
        (
            {"split": {"strategy": "column", "column": "skillid", "train": [], "validation": [2]}},
            "split.train",
            "[] (list)",
            "at least 1 value",
        ),
        (
            {"split": {"strategy": "time", "column": "skillid", "cutoff": "2024-01-01"}},
            "split.column",
            "'skillid' of type int32",
            "a timestamp or date column",
        ),
        (
            {"split": {"strategy": "time", "column": "timestamp", "cutoff": "2024-13-01"}},
            "split.cutoff",
            "'2024-13-01' (str)",
            TIMESTAMP,
        ),
        (
            {
                "split": {"strategy": "time", "column": "birthday", "cutoff": "2024-01-01"},
                "columns.birthday.nullable": True,
            },
            "columns.birthday.nullable",
            "true",
            "split.column cannot be null",
        ),
    ]
)
def test_a_split_fits_its_column(case: Case) -> None:
    assert_told(*case)


def test_one_day_on_both_sides_is_told_however_it_is_written() -> None:
    both = {
        "strategy": "column",
        "column": "birthday",
        "train": ["2024-01-01"],
        "validation": [datetime.date(2024, 1, 1)],
    }
    (mistake,) = mistakes_of(model_text({"split": both}))
    assert mistake.field == "split.validation"


def test_a_split_column_may_be_null_because_such_rows_are_rejected() -> None:
    split = {"strategy": "column", "column": "school", "train": ["a"], "validation": ["b"]}
    assert model({"split": split, "columns.school.nullable": True}).columns["school"].nullable


# Windows


@told(
    [
        ({"window.mode": "sliding"}, "window.stride", "nothing", "a stride, because window.mode is sliding"),
        ({"window": {"mode": "sliding", "stride": 51}}, "window.stride", "51", "the smallest sequence length, 50"),
        ({"window.stride": 5}, "window.stride", "5", "a stride with window.mode sliding only"),
        ({"window": {"mode": "last", "stride": 5}}, "window.stride", "5", "a stride with window.mode sliding only"),
        ({"min_length": 51}, "min_length", "51", "at most the smallest sequence length, 50"),
        ({"sequence_lengths": [50, 100, 50]}, "sequence_lengths.2", "50", "each length once"),
        ({"checks.pad_ratio.warn": 0.95}, "checks.pad_ratio.warn", "0.95", "at most checks.pad_ratio.max, 0.9"),
    ]
)
def test_windows_lengths_and_bounds_fit_each_other(case: Case) -> None:
    assert_told(*case)


@pytest.mark.parametrize(("field", "value"), [("window", {"mode": "sliding", "stride": 50}), ("min_length", 50)])
def test_stride_and_min_length_may_reach_the_smallest_length(field: str, value: Any) -> None:
    assert model({field: value}).lengths == (50, 100)


# All at once


def test_all_mistakes_are_told_at_once() -> None:
    found = mistakes_of(
        model_text(
            {
                "nme": "x",
                "name": "Pupils",
                "source.format": "cvs",
                "entity": "pupil",
                "order_by": ["when"],
                "columns.correct.is_in": ["a"],
                "columns.skillid.type": "int",
                "features.correct.pad_value": "x",
                "split.seed": "x",
                "window.mode": "sliding",
                "padding.side": "up",
                "min_length": 60,
                "checks.pad_ratio.max": 3,
            }
        )
    )
    assert {mistake.field for mistake in found} == {
        "nme",
        "name",
        "source.format",
        "entity",
        "order_by.0",
        "columns.correct.is_in",
        "columns.skillid.type",
        "features.correct.pad_value",
        "split.seed",
        "window.stride",
        "padding.side",
        "min_length",
        "checks.pad_ratio.max",
    }


def test_a_broken_column_is_not_also_called_unknown() -> None:
    assert_told({"columns.pupilid.type": "int65"}, "columns.pupilid.type", "'int65' (str)", "did you mean 'int64'?")


def test_a_mistake_is_a_line_with_file_field_found_and_allowed() -> None:
    with pytest.raises(ModelFileError) as error:
        parse_model(model_text({"window.stride": 5, "min_length": 51}), FILE)
    assert str(error.value).splitlines() == [
        "pupils.yaml: min_length: found 51; allowed: at most the smallest sequence length, 50",
        "pupils.yaml: window.stride: found 5; allowed: a stride with window.mode sliding only",
    ]


def test_what_was_found_is_shortened() -> None:
    (mistake,) = mistakes_of(model_text({"source.format": "x" * 1000}))
    assert len(mistake.found) < 100


# YAML


def test_an_empty_file_is_told_how_to_begin() -> None:
    assert mistakes_of("") == (Mistake(FILE, "", "nothing", "a mapping that begins with name:"),)


@pytest.mark.parametrize("text", ["- a", "just text", "5", "[name, pupils]"])
def test_a_file_that_is_no_mapping_is_told_how_to_begin(text: str) -> None:
    (mistake,) = mistakes_of(text)
    assert mistake.allowed == "a mapping that begins with name:"


@pytest.mark.parametrize(
    "text",
    ["name: [", "name: 'x", "a: b: c", "\tname: x", "name: !!python/object:x.y {}", "a: *b"],
)
def test_what_is_not_well_formed_is_told_with_its_line(text: str) -> None:
    (mistake,) = mistakes_of("# a comment\n" + text)
    assert mistake.field == ""
    assert mistake.allowed.startswith("well-formed YAML: ")
    assert " at line " in mistake.found


@pytest.mark.parametrize(
    "text",
    [
        "cutoff: 2024-02-30",
        "is_between: [2024-13-01, 2025-01-01]",
        "pad_value: !!int x",
        f"pad_value: {'1' * 5000}",
        "[" * 1_000,
        "name: 'a\0b'",
    ],
    ids=lambda text: text[:20],
)
def test_what_yaml_cannot_read_is_told(text: str) -> None:
    (mistake,) = mistakes_of(text)
    assert mistake.file == FILE
    assert "YAML" in mistake.allowed


def test_a_file_may_begin_with_a_byte_order_mark() -> None:
    assert parse_model("\ufeff" + model_text(), FILE) == model()


@pytest.mark.parametrize(
    ("before", "twice"),
    [
        ("name: pupils\n", "name"),
        ("  correct:\n", "correct"),
        ("  format: csv\n", "format"),
        ("  mode: chunk\n", "mode"),
    ],
)
def test_a_key_that_stands_twice_is_told_with_its_place(before: str, twice: str) -> None:
    lines = model_text().splitlines(keepends=True)
    second = lines.index(before) + 1
    indent = before[: len(before) - len(before.lstrip())]
    lines.insert(second - 1, f"{indent}{twice}: {{}}\n")
    (mistake,) = mistakes_of("".join(lines))
    assert mistake.found == f"the key {twice!r} twice at line {second + 1}, column {len(indent) + 1}"


def test_anchors_and_merges_are_no_duplicates() -> None:
    columns = "{pupilid: &id {type: int64}, school: {<<: *id, type: string}, skillid: {<<: *id}}"
    text = f"{{name: m, source: {{location: a}}, entity: pupilid, columns: {columns}}}"
    assert {name: column.type for name, column in parse_model(text, FILE).columns.items()} == {
        "pupilid": "int64",
        "school": "string",
        "skillid": "int64",
    }


def in_yaml(path: str, value: str) -> str:
    """The model file with a value written as given, unquoted."""
    return model_text({path: "PLACEHOLDER"}).replace("PLACEHOLDER", value)


def test_an_unquoted_no_is_not_a_null_value() -> None:
    (mistake,) = mistakes_of(in_yaml("source.options.null_values", "[NA, no]"))
    assert (mistake.field, mistake.found) == ("source.options.null_values.1", "False (bool)")
    assert mistake.allowed == f"{TEXT}; 'no' at line 9, column 23 is false to YAML, and text in quotes"


def test_an_unquoted_tilde_is_not_a_null_value() -> None:
    (mistake,) = mistakes_of(in_yaml("source.options.null_values", "[~]"))
    assert (mistake.field, mistake.found) == ("source.options.null_values.0", "nothing")


def test_an_unquoted_na_is_a_null_value() -> None:
    assert parse_model(in_yaml("source.options.null_values", "[NA, 'no', '']"), FILE).source.options.null_values == (
        "NA",
        "no",
        "",
    )


def test_unquoted_yes_and_no_are_no_text_in_a_validation() -> None:
    found = mistakes_of(in_yaml("columns.school.is_in", "[yes, no]"))
    assert [(mistake.field, mistake.found, mistake.allowed) for mistake in found] == [
        ("columns.school.is_in", "True", f"{TEXT}; 'yes' at line 38, column 13 is true to YAML, and text in quotes"),
        ("columns.school.is_in", "False", f"{TEXT}; 'no' at line 38, column 18 is false to YAML, and text in quotes"),
    ]


@pytest.mark.parametrize("key", ["no", "5", "2024-01-01"])
def test_a_column_whose_name_yaml_does_not_read_as_text_is_told_to_be_quoted(key: str) -> None:
    text = model_text().replace("  skillid:", f"  {key}:")
    (mistake,) = mistakes_of(text)
    assert mistake.field == "columns"
    assert "quote" in mistake.allowed


@pytest.mark.parametrize("word", ["no", "Off", "on", "YES"])
def test_a_word_that_yaml_reads_as_true_or_false_is_told_as_it_stands(word: str) -> None:
    value = word.lower() in ("yes", "on")
    (mistake,) = mistakes_of(in_yaml("name", word))
    assert (mistake.field, mistake.found) == ("name", f"{value} (bool)")
    assert mistake.allowed.endswith(f"; {word!r} at line 1, column 7 is {str(value).lower()} to YAML, and text in quotes")
    (of_name,) = mistakes_of(model_text().replace("  skillid:", f"  {word}:"))
    assert f"{word!r} at line " in of_name.allowed


def test_of_several_such_words_the_one_in_the_field_is_told() -> None:
    text = in_yaml("columns.school.is_in", "['a', on]").replace("nullable: true", "nullable: yes")
    (mistake,) = mistakes_of(text)
    line = 1 + text[: text.index("'a'")].count("\n")
    assert f"; 'on' at line {line}, column 18 is true to YAML" in mistake.allowed


@pytest.mark.parametrize("quote", ["", "'"])
def test_dates_may_be_quoted_or_not(quote: str) -> None:
    ends = f"[{quote}1970-01-02{quote}, {quote}1971-01-01{quote}]"
    for column, expected in (("birthday", (1, 365)), ("timestamp", (86_400_000_000, 365 * 86_400_000_000))):
        spec = parse_model(in_yaml(f"columns.{column}.is_between", ends), FILE)
        assert spec.columns[column].validations() == [(Validation.IS_BETWEEN, expected)]


# Anything at all

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=5,
)
PATHS = [
    *MODEL,
    *(f"source.{name}" for name in MODEL["source"]),
    *(f"source.options.{name}" for name in MODEL["source"]["options"]),
    *(f"split.{name}" for name in MODEL["split"]),
    *(f"columns.elapsed.{name}" for name in ["type", "from", "unit", "nullable", *SINGLE, "is_in", "is_between"]),
    *("columns.elapsed", "features.elapsed", "features.elapsed.pad_value", "features.elapsed.fill_null"),
    *("window.mode", "window.stride", "padding.side", "checks.pad_ratio", "checks.pad_ratio.warn", "unknown"),
]


def read_or_told(text: str) -> ModelSpec | ModelFileError:
    try:
        return parse_model(text, FILE)
    except ModelFileError as error:
        return error


@settings(max_examples=examples(60), deadline=None)
@given(st.dictionaries(st.sampled_from(PATHS), JUNK, min_size=1, max_size=3))
def test_whatever_stands_in_a_field_is_read_or_told(changes: dict[str, Any]) -> None:
    text = model_text(dict(sorted(changes.items(), reverse=True)))  # parts before the whole that replaces them
    found = read_or_told(text)
    if isinstance(found, ModelSpec):
        assert found.digest()
    else:
        assert found.mistakes
        assert all(mistake.file == FILE and mistake.found and mistake.allowed for mistake in found.mistakes)


def test_how_many_versions_are_kept_is_a_number_from_one_on_and_says_nothing_of_what_is_in_them() -> None:
    assert model({}).keep is None
    assert model({"keep": 3}).keep == 3
    assert model({"keep": 3}).digest() == model({}).digest()
    assert model({"keep": 3}).digest("name", "keep") == model({}).digest("name")
    for wrong in (0, "3", 1.5):
        (mistake,) = mistakes_of(model_text({"keep": wrong}))
        assert mistake.field == "keep"
