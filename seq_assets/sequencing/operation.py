"""The bare operation: sequences of a table in memory, without a model file, a warehouse or Dagster."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.errors import InputError
from seq_assets.models import ColumnType, Scalar
from seq_assets.models.columns import describe_type, literal
from seq_assets.models.cross_checks import ONLY_ASCENDING, RESERVED_NAMES, descending_column, nearest
from seq_assets.models.spec import LONGEST_SEQUENCE
from seq_assets.sequencing.frames import as_arrow, category_places, has_order
from seq_assets.sequencing.kernel import Kernel
from seq_assets.sequencing.plans import MICROSECONDS, FeaturePlan, SequencePlan, TimeSincePrevious
from seq_assets.sequencing.schemas import stored_type
from seq_assets.sequencing.windows import WINDOW_KINDS, Sliding, Window

WINDOWS: Final = tuple(kind.lower() for kind in WINDOW_KINDS)
_TYPES: Final = {stored_type(type_): type_ for type_ in ColumnType if type_ is not ColumnType.TIMESTAMP}


def sequence(
    table: Any,
    *,
    entity: str,
    features: Mapping[str, Scalar | Mapping[str, Any]],
    sequence_length: int,
    order_by: Sequence[str] = (),
    window: Literal["chunk", "sliding", "last", "first", "prefix"] = "chunk",
    stride: int | None = None,
    padding_side: Literal["right", "left"] = "right",
    min_length: int = 1,
) -> pa.Table:
    """Cuts the histories in a table into sequences of one length.

    Args:
        table: Observations, one row each: an Arrow table or a DataFrame (pandas, Polars, or any with the Arrow C interface).
        entity: The column whose observations form one history; any integer type or string.
        features: The columns that become `<name>_sequence`, each with its pad value. What is derived has a name of its own and
            what a model file says of it: `{"derive": "time_since_previous", "unit": "s", "first": 0, "pad_value": 0}` is the
            time since the item before, by the first of `order_by`, a timestamp, in whole units (us, ms, s, min, h, d).
        sequence_length: Positions per sequence, 1 to 10,000.
        order_by: Columns to sort each history by, ascending; ties keep the order of the rows. Ordered categories (of pandas,
            Polars' `Enum`, ENUM in a relation of DuckDB) sort by their order, others by their text.
        window: Which stretches of a history become sequences.
        stride: Of sliding windows: items from one start to the next, 1 to `sequence_length`.
        padding_side: Where the padding stands.
        min_length: Windows with fewer items are dropped, 1 to `sequence_length`.

    Returns:
        One row per sequence, ordered by entity and `sequence_index`: the entity, `sequence_index` int32, `sequence_start`
        int64, `sequence_size` int32, one fixed-size list of `sequence_length` items per feature, `is_pad_sequence` int8 (1 on
        padding) and, for sliding and prefix windows, `is_repeat_sequence` int8 (1 where an earlier sequence has the item).
        Timestamps become int64 milliseconds since the epoch, dates int32 days.

    Raises:
        InputError: An argument does not fit the table; the message says which.

    Example:
        >>> import pyarrow as pa
        >>> answers = pa.table({"pupilid": [7, 7, 7], "correct": [1, 0, 1]})
        >>> sequence(answers, entity="pupilid", features={"correct": -1}, sequence_length=2)["correct_sequence"].to_pylist()
        [[1, 0], [1, -1]]
    """
    observations = _as_arrow(table)
    _require(not isinstance(order_by, str), f"order_by: found {order_by!r}; allowed: a list of columns, [{order_by!r}]")
    plan = _plan(observations, entity, features, sequence_length, order_by, window, stride, padding_side, min_length)
    kernel = Kernel(plan)
    order = [_order(observations, name) for name in order_by]
    clean = pa.table({name: _items(observations, name) for name in kernel.input_columns})
    keys = [clean.column(entity), *order, np.arange(clean.num_rows)]
    sortable = pa.table(keys, names=[str(number) for number in range(len(keys))])
    ordered = clean.take(pc.sort_indices(sortable, [(name, "ascending") for name in sortable.column_names]))
    batches = kernel.batches(ordered.to_batches(max_chunksize=1 << 17))
    return pa.Table.from_batches(batches, plan.schema.stored())


def _plan(
    table: pa.Table,
    entity: str,
    features: Mapping[str, Scalar | Mapping[str, Any]],
    sequence_length: int,
    order_by: Sequence[str],
    window: str,
    stride: int | None,
    padding_side: Literal["right", "left"],
    min_length: int,
) -> SequencePlan:
    _require(
        type(sequence_length) is int and 1 <= sequence_length <= LONGEST_SEQUENCE,
        f"sequence_length: found {sequence_length!r}; allowed: an integer from 1 to {LONGEST_SEQUENCE}",
    )
    _require(
        type(min_length) is int and 1 <= min_length <= sequence_length,
        f"min_length: found {min_length!r}; allowed: an integer from 1 to sequence_length, {sequence_length}",
    )
    _require(padding_side in ("right", "left"), f"padding_side: found {padding_side!r}; allowed: 'right' or 'left'")
    _require(
        isinstance(features, Mapping),
        f"features: found {type(features).__name__}; allowed: a mapping of columns to their pad values",
    )
    _require(bool(features), "features: found none; allowed: at least one column with its pad value")
    entity_type = _column_type(_column(table, entity, "entity"), entity)
    _require(
        entity_type.is_integer or entity_type is ColumnType.STRING,
        f"entity: found {entity!r} of type {entity_type}; allowed: a column of an integer type or string",
    )
    plans = tuple(
        _derived(table, name, said, order_by) if isinstance(said, Mapping) else _feature(table, name, said)
        for name, said in features.items()
    )
    for name in features:
        reserved = name in RESERVED_NAMES or f"{name}_sequence" == entity
        _require(not reserved, f"features: found {name!r}; allowed: a name that the result does not use itself")
    plan = SequencePlan(
        model="",
        subset="train",
        raw_version=0,
        entity=(entity, entity_type),
        features=plans,
        window=_window(window, stride, sequence_length),
        sequence_length=sequence_length,
        padding_side=padding_side,
        min_length=min_length,
    )
    allowed = "a name that the result does not use itself"
    _require(plan.schema.names.count(entity) == 1, f"entity: found {entity!r}; allowed: {allowed}")
    return plan


def _window(window: str, stride: int | None, sequence_length: int) -> Window:
    _require(window in WINDOWS, f"window: found {window!r}; allowed: {', '.join(WINDOWS)}{nearest(str(window), WINDOWS)}")
    if window == "sliding":
        fits = type(stride) is int and 1 <= stride <= sequence_length
        allowed = f"an integer from 1 to sequence_length, {sequence_length}, because window is sliding"
        _require(fits, f"stride: found {stride!r}; allowed: {allowed}")
        return Sliding(int(stride or 0))
    _require(stride is None, f"stride: found {stride!r}; allowed: None, because window is {window}")
    return WINDOW_KINDS[window.capitalize()]()


def _feature(table: pa.Table, name: str, pad_value: Scalar) -> FeaturePlan:
    type_ = _column_type(_column(table, name, "features"), name)
    try:
        return FeaturePlan(name, type_, literal(pad_value, type_.as_feature))
    except ValueError as error:
        raise InputError(f"features: the pad value of {name!r}: found {pad_value!r}; allowed: {error}") from error


def _derived(table: pa.Table, name: str, said: Mapping[str, Any], order_by: Sequence[str]) -> FeaturePlan:
    what = f"features: {name!r}"
    fields = {"derive": None, "unit": "s", "first": 0, "pad_value": None}
    for field in said:
        _require(field in fields, f"{what}: found {field!r}; allowed: {', '.join(fields)}{nearest(str(field), fields)}")
    values = fields | dict(said)
    for field, allowed in (("derive", ("time_since_previous",)), ("unit", tuple(MICROSECONDS))):
        _require(values[field] in allowed, f"{what}: {field}: found {values[field]!r}; allowed: {', '.join(allowed)}")
    for field in ("first", "pad_value"):
        fits = type(values[field]) is int and values[field] in range(-(2**63), 2**63)
        _require(fits, f"{what}: {field}: found {values[field]!r}; allowed: {describe_type(ColumnType.INT64)}")
    _require(name not in table.column_names, f"{what}: found a column of that name; allowed: a name that no column has")
    _require(bool(order_by), f"{what}: found no order_by; allowed: order_by that begins with a timestamp")
    found = _column_type(_column(table, order_by[0], "order_by"), order_by[0])
    is_time = found is ColumnType.TIMESTAMP
    _require(is_time, f"{what}: found order_by {order_by[0]!r} of type {found}; allowed: order_by that begins with a timestamp")
    derivation = TimeSincePrevious(order_by[0], MICROSECONDS[values["unit"]], values["first"])
    return FeaturePlan(name, ColumnType.INT64, values["pad_value"], derivation=derivation)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


def _as_arrow(table: Any) -> pa.Table:
    found = as_arrow(table)
    duplicates = {name for name in found.column_names if found.column_names.count(name) > 1}
    _require(not duplicates, f"table: found several columns named {sorted(duplicates)}; allowed: each name once")
    return found


def _column(table: pa.Table, name: str, argument: str) -> pa.ChunkedArray:
    names = table.column_names
    _require(
        name in names,
        f"{argument}: found {name!r}; allowed: a column of the table ({', '.join(names)}){nearest(name, names)}",
    )
    return _stored(table.column(name), name)


def _stored(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The values in the type in which the kernel takes them, where there is one; timestamps as they are."""
    if pa.types.is_dictionary(values.type):
        chunks = [_stored(pa.chunked_array([chunk.dictionary]), name).take(chunk.indices) for chunk in values.chunks]
        return pa.chunked_array([part for chunk in chunks for part in chunk.chunks], _stored_type(values.type.value_type))
    type_ = _stored_type(values.type)
    try:
        return values if type_ == values.type else values.cast(type_)
    except pa.ArrowInvalid as error:
        raise InputError(f"{name!r}: found {error}; allowed: dates of whole days; cast it to timestamps first") from error


def _stored_type(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return pa.string()
    return pa.date32() if pa.types.is_date64(type_) else type_


def _column_type(values: pa.ChunkedArray, name: str) -> ColumnType:
    if pa.types.is_timestamp(values.type):
        return ColumnType.TIMESTAMP
    _require(
        values.type in _TYPES,
        f"{name!r}: found type {values.type}; allowed: {', '.join(ColumnType)}; cast it first",
    )
    return _TYPES[values.type]


def _items(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column as the kernel takes it: without nulls, timestamps as int64 microseconds (floored)."""
    values = _without_nulls(_stored(table.column(name), name), name)
    if not pa.types.is_timestamp(values.type):
        return values
    naive = values.cast(pa.int64()).cast(pa.timestamp(values.type.unit))
    if naive.type.unit == "ns":
        naive = pc.floor_temporal(naive, unit="microsecond")
    try:
        return naive.cast(pa.timestamp("us")).cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise InputError(f"{name!r}: found {error}; allowed: timestamps that int64 microseconds can hold") from error


def _order(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column to sort by, in its own precision; ordered categories by their order."""
    ascending = descending_column(name)
    _require(
        name in table.column_names or ascending not in table.column_names,
        f"order_by: found {name!r}; allowed: {ascending!r}; {ONLY_ASCENDING}",
    )
    values = _without_nulls(_column(table, name, "order_by"), name)
    stored = table.column(name)
    if has_order(stored.type):
        return category_places(stored, name)
    is_single = not (pa.types.is_nested(values.type) or isinstance(values.type, pa.BaseExtensionType))
    _require(is_single, f"order_by: found {name!r} of type {values.type}; allowed: single values")
    # Arrow does not sort halves; as wider floats they are the same.
    return values.cast(pa.float32()) if pa.types.is_float16(values.type) else values


def _without_nulls(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    nulls = values.null_count
    if pa.types.is_floating(values.type):
        nulls += pc.sum(pc.is_nan(values)).as_py() or 0
    _require(not nulls, f"{name!r}: found {nulls} nulls (or NaN); allowed: none; fill or drop them first")
    return values
