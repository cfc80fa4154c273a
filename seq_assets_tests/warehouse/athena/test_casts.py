"""Which carrier brings the values of a table's column, and that no expression grows beyond what a query can hold."""

import pytest

from seq_assets.models import ColumnSpec, ColumnType
from seq_assets.warehouse.athena.casts import Carrier, carrier_of, carrier_sql, readable_sql
from seq_assets.warehouse.athena.sql import ATHENA_TYPES

LONGEST_EXPRESSION = 1_500


@pytest.mark.parametrize(
    ("glue_type", "carrier"),
    [
        *((type_, Carrier.INTEGER) for type_ in ("tinyint", "smallint", "int", "integer", "bigint", " BIGINT ")),
        *((type_, Carrier.FLOAT) for type_ in ("float", "real")),
        *((type_, Carrier.TEXT) for type_ in ("string", "varchar", "varchar(20)", "char(3)")),
        *((type_, Carrier.DECIMAL_TEXT) for type_ in ("decimal", "decimal(10,2)", "decimal( 38 , 0 )")),
        *((f"timestamp{rest}", Carrier.MICROSECONDS) for rest in ("", "(3)", "(6) with time zone", " with time zone")),
        ("double", Carrier.DOUBLE),
        ("boolean", Carrier.BOOLEAN),
        ("date", Carrier.DAYS),
        *(
            (type_, Carrier.OTHER)
            for type_ in ("array<int>", "struct<date:date>", "map<string,int>", "binary", "uniontype<int>")
        ),
    ],
)
def test_every_type_of_the_catalog_has_a_carrier(glue_type: str, carrier: Carrier) -> None:
    assert carrier_of(glue_type) is carrier
    assert carrier_sql("v", glue_type)[1] is carrier


@pytest.mark.parametrize("type_", ColumnType)
def test_what_cannot_be_read_is_a_null_of_the_columns_type(type_: ColumnType) -> None:
    assert readable_sql("v", Carrier.OTHER, ColumnSpec(type=type_)) == f"CAST(NULL AS {ATHENA_TYPES[type_]})"


@pytest.mark.parametrize("carrier", Carrier)
@pytest.mark.parametrize("type_", ColumnType)
@pytest.mark.parametrize("unit", [None, "s"])
def test_an_expression_is_short_enough_for_a_hundred_columns(carrier: Carrier, type_: ColumnType, unit: str | None) -> None:
    if unit and type_ is not ColumnType.TIMESTAMP:
        return
    assert len(readable_sql("_w99", carrier, ColumnSpec(type=type_, unit=unit))) < LONGEST_EXPRESSION
