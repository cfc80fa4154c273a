"""The columns of every table: which, in what order, of what type."""

import pyarrow as pa
import pytest

from seq_assets.models import ColumnType
from seq_assets.sequencing.schemas import (
    REJECTED_SCHEMA,
    TableSchema,
    presented_type,
    raw_schema,
    sequence_schema,
    stored_type,
)

ALL_TYPES = [(f"c_{type_}", type_) for type_ in ColumnType]
STORED = {
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.int64(),
}
ENTITY = ("pupilid", ColumnType.INT64)


@pytest.fixture
def sequences() -> TableSchema:
    return sequence_schema(ENTITY, ALL_TYPES, 5, repeats=True)


def test_values_are_stored_in_their_own_type_and_timestamps_as_integers() -> None:
    assert {type_.value: stored_type(type_) for type_ in ColumnType} == STORED


def test_readers_get_what_is_stored_but_timestamps_as_timestamps() -> None:
    presented = {type_.value: presented_type(type_) for type_ in ColumnType}
    assert presented == STORED | {"timestamp": pa.timestamp("us", tz="UTC")}


def test_a_sequence_table_begins_with_the_entity_and_ends_with_the_masks(sequences: TableSchema) -> None:
    assert sequences.names == (
        "pupilid",
        "sequence_index",
        "sequence_start",
        "sequence_size",
        *(f"{name}_sequence" for name, _ in ALL_TYPES),
        "is_pad_sequence",
        "is_repeat_sequence",
    )


def test_the_repeat_mask_stands_only_where_windows_overlap() -> None:
    schema = sequence_schema(ENTITY, ALL_TYPES, 5, repeats=False)
    assert schema.names[-1] == "is_pad_sequence"
    assert "is_repeat_sequence" not in schema.names


def test_the_counters_of_a_sequence_table_have_the_documented_types(sequences: TableSchema) -> None:
    assert sequences.stored().types[:4] == [pa.int64(), pa.int32(), pa.int64(), pa.int32()]


def test_the_entity_keeps_its_type_in_a_sequence_table() -> None:
    schema = sequence_schema(("session", ColumnType.STRING), [], 5, repeats=False)
    assert schema.stored().field("session").type == pa.string()


def test_features_are_matrices_without_nulls(sequences: TableSchema) -> None:
    items = STORED | {"timestamp": pa.int64(), "date": pa.int32()}
    for schema in (sequences.stored(), sequences.presented()):
        lists = {field.name: field.type for field in schema if pa.types.is_fixed_size_list(field.type)}
        assert {name: type_.value_type for name, type_ in lists.items()} == {
            **{f"{name}_sequence": items[type_] for name, type_ in ALL_TYPES},
            "is_pad_sequence": pa.int8(),
            "is_repeat_sequence": pa.int8(),
        }
        assert {type_.list_size for type_ in lists.values()} == {5}
        assert not any(type_.value_field.nullable for type_ in lists.values())
        assert not any(field.nullable for field in schema)


def test_every_column_of_a_sequence_table_names_where_it_comes_from(sequences: TableSchema) -> None:
    origins = {column.name: column.origin for column in sequences.columns}
    assert origins.pop("pupilid") == "pupilid"
    found = {name: origin for name, origin in origins.items() if origin}
    assert found == {f"{name}_sequence": name for name, _ in ALL_TYPES}


def test_a_raw_table_has_the_contract_first_then_what_the_platform_adds() -> None:
    schema = raw_schema([("when", ColumnType.TIMESTAMP, False), ("elapsed", ColumnType.FLOAT32, True)])
    assert schema.names == ("when", "elapsed", "subset", "_file", "_row", "_position")
    assert schema.stored().types == [pa.int64(), pa.float32(), pa.string(), pa.string(), pa.int64(), pa.int64()]
    assert schema.presented().field("when").type == pa.timestamp("us", tz="UTC")


def test_only_nullable_columns_and_row_numbers_may_be_null_in_a_raw_table() -> None:
    schema = raw_schema([("when", ColumnType.TIMESTAMP, False), ("elapsed", ColumnType.FLOAT32, True)])
    assert [field.name for field in schema.stored() if field.nullable] == ["elapsed", "_row"]


def test_a_rejected_record_has_file_row_column_value_detail_and_reason() -> None:
    assert REJECTED_SCHEMA.names == ("file", "row", "column", "value", "detail", "reason")
    assert [field.name for field in REJECTED_SCHEMA.stored() if field.nullable] == ["row", "column", "value", "detail"]


def test_a_schema_survives_its_json(sequences: TableSchema) -> None:
    for schema in (sequences, REJECTED_SCHEMA, raw_schema([("elapsed", ColumnType.FLOAT32, True)])):
        assert TableSchema.from_json(schema.to_json()) == schema
