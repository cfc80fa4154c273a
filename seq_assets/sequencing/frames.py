"""Tables of other libraries as Arrow, where a plain conversion would lose something or say too little.

Belongs here: pandas, Polars and DuckDB on their way to Arrow, and the order that categories have. Not here: which columns an
operation needs and what their types mean (`operation`).
"""

from datetime import datetime
from numbers import Number
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.errors import InputError


def as_arrow(table: Any) -> pa.Table:
    """An Arrow table or a DataFrame as an Arrow table.

    Raises:
        InputError: It is neither, or holds what Arrow has no type for, or mixes types in one column.
    """
    if isinstance(table, pa.Table):
        return table
    library = type(table).__module__.split(".")[0].lstrip("_")
    try:
        if library == "pandas":
            return _from_pandas(table)
        if hasattr(table, "__arrow_c_stream__"):
            found = pa.table(table)
            return _with_orders_of_duckdb(found, table) if library == "duckdb" else found
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise InputError(f"table: found what Arrow cannot hold: {error}; allowed: columns of one type each") from error
    raise InputError(f"table: found {type(table).__name__}; allowed: an Arrow table or a DataFrame")


def _from_pandas(frame: Any) -> pa.Table:
    for name, values in frame.items():
        if values.dtype == object:
            _refuse_mixed(name, values.dropna())
    return pa.Table.from_pandas(frame, preserve_index=False)


def _refuse_mixed(name: Any, values: Any) -> None:
    """Arrow would cut a datetime to the date that stands before it, and take a time without a zone for one of UTC."""
    types = set(map(type, values))
    if len(types) == 1 and not issubclass(next(iter(types)), datetime):
        return
    kinds = sorted({_kind(value) for value in values})
    if len(kinds) > 1:
        raise InputError(f"table: found {' and '.join(kinds)} in the column {name!r}; allowed: columns of one type each")


def _kind(value: Any) -> str:
    if isinstance(value, datetime):
        return "times without a zone" if value.utcoffset() is None else "times with a zone"
    is_number = isinstance(value, Number) and not isinstance(value, bool)
    return "numbers" if is_number else f"values of type {type(value).__name__}"


def _with_orders_of_duckdb(table: pa.Table, relation: Any) -> pa.Table:
    """DuckDB orders the values of an ENUM as its definition does, which it does not tell Arrow."""
    for number, name in enumerate(table.column_names):
        if str(relation.types[number].id) == "enum":
            values = table.column(number)
            chunks = [pa.DictionaryArray.from_arrays(part.indices, part.dictionary, ordered=True) for part in values.chunks]
            ordered = pa.dictionary(values.type.index_type, values.type.value_type, ordered=True)
            table = table.set_column(number, name, pa.chunked_array(chunks, ordered))
    return table


def has_order(type_: pa.DataType) -> bool:
    """Whether values of the type are categories with an order of their own."""
    return bool(pa.types.is_dictionary(type_) and type_.ordered)


def category_places(categories: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The place of each value in the order of its categories, from 0; null of a null.

    Args:
        categories: Of a type that `has_order`.
        name: The column, for the message.

    Raises:
        InputError: The pieces of the column have different orders.
    """
    orders = [_comparable(chunk.dictionary) for chunk in categories.chunks]
    order = max(orders, key=len, default=pa.array([]))
    if not all(other.equals(order.slice(0, len(other))) for other in orders):
        raise InputError(
            f"{name!r}: found ordered categories whose order differs from piece to piece of the table; allowed: one order. "
            "Give all pieces the same categories, or order by a number."
        )
    places = [pc.index_in(own, order).take(chunk.indices) for own, chunk in zip(orders, categories.chunks, strict=True)]
    return pa.chunked_array(places, pa.int32())


def _comparable(values: pa.Array) -> pa.Array:
    """Values in a type that Arrow can look up."""
    return values.cast(pa.large_string()) if pa.types.is_string_view(values.type) else values
