"""Mistakes of a model file that need more than one of its fields to be seen.

Every check works on whatever fields could be read, so that one broken field does not hide the mistakes of the others.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from seq_assets.models.columns import ColumnSpec, ColumnType, PathPart, Validation, describe_type, literal
from seq_assets.models.spec import (
    ChecksSpec,
    ColumnSplit,
    EntityHashSplit,
    FeatureSpec,
    LocationSplit,
    SourceSpec,
    TimeSplit,
    WindowSpec,
)

ONLY_ASCENDING: Final = "histories are in ascending order, because windows read them forwards in time"
RESERVED_NAMES: Final = frozenset({"subset", "sequence_index", "sequence_start", "sequence_size", "is_pad", "is_repeat"})
_RESULT_NAMES: Final = ("is_pad_sequence", "is_repeat_sequence")


@dataclass(frozen=True)
class Finding:
    """A mistake without its file: field path, what was found, what is allowed."""

    field: str
    found: str
    allowed: str


@dataclass(frozen=True)
class ReadableParts:
    """The fields of a model file that could be read; None where one could not.

    Attributes:
        column_names: All names below `columns`, those of unreadable entries included.
        columns: The readable entries of `columns`.
        features: The readable entries of `features`.
    """

    column_names: frozenset[str] | None = None
    columns: Mapping[str, ColumnSpec] = field(default_factory=dict)
    features: Mapping[str, FeatureSpec] = field(default_factory=dict)
    source: SourceSpec | None = None
    entity: str | None = None
    order_by: tuple[str, ...] | None = None
    ties: Literal["any"] | None = None
    split: EntityHashSplit | ColumnSplit | TimeSplit | LocationSplit | None = None
    window: WindowSpec | None = None
    min_length: int | None = None
    sequence_lengths: tuple[int, ...] | None = None
    checks: ChecksSpec | None = None


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the allowed word nearest to a typo, or nothing."""
    close = difflib.get_close_matches(word, list(allowed), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def descending_column(name: str) -> str:
    """The column that is meant where somebody asks for a descending order: `-time`, `time desc`."""
    return name.removeprefix("-").removesuffix(" desc").removesuffix(" DESC").strip()


def cross_field_findings(parts: ReadableParts) -> list[Finding]:
    """All mistakes between fields, in the order of the model file."""
    return [finding for check in _CHECKS for finding in check(parts)]


def _numbers(parts: ReadableParts) -> Iterator[Finding]:
    if parts.source is None:
        return
    options = parts.source.options
    marks = {"decimal": options.decimal, "thousands": options.thousands}
    for name, mark in marks.items():
        path = f"source.options.{name}"
        is_said = name in options.model_fields_set and mark is not None
        if is_said and parts.source.format not in ("auto", "csv"):
            yield Finding(path, repr(mark), f"numbers of CSV only; source.format is {parts.source.format}")
        if mark is not None and mark == options.delimiter:
            yield Finding(path, repr(mark), "another character than source.options.delimiter")
    if options.decimal == options.thousands:
        yield Finding("source.options.thousands", repr(options.thousands), "another character than source.options.decimal")


def _source(parts: ReadableParts) -> Iterator[Finding]:
    if parts.source is None or parts.source.options.header:
        return
    for name, column in parts.columns.items():
        source = column.from_
        if not isinstance(source, PathPart) and not ((source or "").isdecimal() and int(source or 0) >= 1):
            yield Finding(
                f"columns.{name}.from",
                repr(source) if source else "nothing",
                "the column's number in the file, from '1' on, because source.options.header is false",
            )


def _unknown_column(parts: ReadableParts, path: str, name: str) -> Iterator[Finding]:
    if parts.column_names is not None and name not in parts.column_names:
        names = ", ".join(sorted(parts.column_names))
        yield Finding(path, repr(name), f"a column of the contract ({names}){nearest(name, parts.column_names)}")


def _entity(parts: ReadableParts) -> Iterator[Finding]:
    if parts.entity is None:
        return
    yield from _unknown_column(parts, "entity", parts.entity)
    if parts.entity in _RESULT_NAMES:
        yield Finding("entity", repr(parts.entity), f"a column that is named none of {', '.join(_RESULT_NAMES)}")
    column = parts.columns.get(parts.entity)
    if column and not (column.type.is_integer or column.type is ColumnType.STRING):
        yield Finding("entity", f"{parts.entity!r} of type {column.type}", "a column of an integer type or string")
    if column and column.nullable:
        yield Finding(f"columns.{parts.entity}.nullable", "true", "false, because the entity cannot be null")


def _order_by(parts: ReadableParts) -> Iterator[Finding]:
    for index, name in enumerate(parts.order_by or ()):
        if parts.column_names is not None and descending_column(name) in parts.column_names - {name}:
            yield Finding(f"order_by.{index}", repr(name), f"{descending_column(name)!r}; {ONLY_ASCENDING}")
            continue
        yield from _unknown_column(parts, f"order_by.{index}", name)
        column = parts.columns.get(name)
        if column and column.nullable:
            yield Finding(f"columns.{name}.nullable", "true", "false, because order_by cannot be null")
        if name in (parts.order_by or ())[:index]:
            yield Finding(f"order_by.{index}", repr(name), "each column once")


def _tables(source: SourceSpec) -> list[str]:
    """The locations that are tables of the Glue catalog."""
    locations = [source.location] if isinstance(source.location, str) else list(source.location.values())
    return [location for location in locations if location.startswith("glue://")]


def _paths(parts: ReadableParts) -> Iterator[Finding]:
    tables = _tables(parts.source) if parts.source else []
    for name, column in parts.columns.items():
        if isinstance(column.from_, PathPart) and tables:
            yield Finding(
                f"columns.{name}.from",
                f"a path, with the source {tables[0]!r}",
                "a column of the table, because the rows of a table stand in no file",
            )


def _ties(parts: ReadableParts) -> Iterator[Finding]:
    if parts.ties is not None and parts.source is not None and not _tables(parts.source):
        yield Finding("ties", repr(parts.ties), "nothing, because the rows of files have an order, which ties keep")


def _column_names(parts: ReadableParts) -> Iterator[Finding]:
    for name in sorted(parts.column_names or ()):
        yield from _own_name(f"columns.{name}", name)
    sources: dict[str, str] = {}
    for name, column in parts.columns.items():
        source = column.from_ or name
        if isinstance(source, PathPart):
            continue
        if source in sources:
            yield Finding(f"columns.{name}.from", repr(source), f"a source column that {sources[source]!r} does not read")
        sources.setdefault(source, name)


def _own_name(path: str, name: str) -> Iterator[Finding]:
    if name.startswith("_") or name in RESERVED_NAMES:
        reserved = ", ".join(sorted(RESERVED_NAMES))
        yield Finding(path, repr(name), f"a name that does not begin with _ and is none of {reserved}")


def _column_values(parts: ReadableParts) -> Iterator[Finding]:
    for name, column in parts.columns.items():
        path = f"columns.{name}"
        if column.unit and column.type is not ColumnType.TIMESTAMP:
            yield Finding(f"{path}.unit", repr(column.unit), "a unit on columns of type timestamp only")
        if column.timezone and column.type is not ColumnType.TIMESTAMP:
            yield Finding(f"{path}.timezone", repr(column.timezone), "a timezone on columns of type timestamp only")
        if column.format and column.type not in (ColumnType.TIMESTAMP, ColumnType.DATE):
            yield Finding(f"{path}.format", repr(column.format), "a format on columns of type timestamp or date only")
        elif column.format and column.unit:
            yield Finding(
                f"{path}.format", repr(column.format), f"no format beside the unit {column.unit}, which reads numbers"
            )
        if column.has_no_null_values is not None and column.has_no_null_values is column.nullable:
            yield Finding(f"{path}.has_no_null_values", str(column.has_no_null_values).lower(), "the opposite of nullable")
        if column.has_acceptable_percentage_of_nulls is not None and not column.nullable:
            yield Finding(
                f"{path}.has_acceptable_percentage_of_nulls",
                str(column.has_acceptable_percentage_of_nulls),
                "on a column with nullable: true only, because otherwise every null is rejected",
            )
        yield from _validation_values(path, column)


def _validation_values(path: str, column: ColumnSpec) -> Iterator[Finding]:
    for validation in Validation:
        value = getattr(column, validation.value)
        if value is None:
            continue
        if validation is not Validation.IS_IN and not column.type.is_ordered:
            yield Finding(f"{path}.{validation}", repr(value), f"is_in only, because {column.type} has no order")
            continue
        items = value if isinstance(value, tuple) else (value,)
        bad = [item for item in items if not _fits(item, column.type)]
        for item in bad:
            yield Finding(f"{path}.{validation}", repr(item), describe_type(column.type))
        if validation is Validation.IS_BETWEEN and not bad:
            low, high = (literal(item, column.type) for item in items)
            if low > high:  # type: ignore[operator]  # both have the column's one type
                yield Finding(f"{path}.{validation}", repr(list(items)), "the lower end first")


def _fits(value: Any, column_type: ColumnType) -> bool:
    try:
        literal(value, column_type)
    except ValueError:
        return False
    return True


def _features(parts: ReadableParts) -> Iterator[Finding]:
    for name, feature in parts.features.items():
        yield from _fields_without_effect(name, feature)
        if parts.entity == f"{name}_sequence":
            yield Finding(f"features.{name}", repr(name), f"a feature whose sequence is not named like {parts.entity!r}")
        if feature.derive:
            yield from _derived_feature(parts, name, feature)
            continue
        yield from _unknown_column(parts, f"features.{name}", name)
        column = parts.columns.get(name)
        if column is not None:
            yield from _encoded_feature(name, feature, column) if feature.encode else _plain_feature(name, feature, column)


def _fields_without_effect(name: str, feature: FeatureSpec) -> Iterator[Finding]:
    """What only features of another kind have."""
    of_kind = {"min_count": ("encode", feature.encode), "unit": ("derive", feature.derive), "first": ("derive", feature.derive)}
    for field_name, (kind, is_that) in of_kind.items():
        if field_name in feature.model_fields_set and not is_that:
            yield Finding(f"features.{name}.{field_name}", repr(getattr(feature, field_name)), f"with {kind} only")


def _derived_feature(parts: ReadableParts, name: str, feature: FeatureSpec) -> Iterator[Finding]:
    path = f"features.{name}"
    if parts.column_names is not None and name in parts.column_names:
        yield Finding(path, repr(name), "a name that no column has, because the feature is derived")
    yield from _own_name(path, name)
    for field_name in ("encode", "fill_null"):
        if getattr(feature, field_name) is not None:
            yield Finding(f"{path}.{field_name}", repr(getattr(feature, field_name)), f"nothing, with derive: {feature.derive}")
    yield from _required_pad_value(name, feature, ColumnType.INT64)
    if not _fits(feature.first, ColumnType.INT64):
        yield Finding(f"{path}.first", repr(feature.first), describe_type(ColumnType.INT64))
    if parts.order_by is None:
        return
    column = parts.columns.get(parts.order_by[0]) if parts.order_by else None
    found = "no order_by" if not parts.order_by else f"order_by {parts.order_by[0]!r} of type {column and column.type}"
    if not parts.order_by or (column is not None and column.type is not ColumnType.TIMESTAMP):
        yield Finding(f"{path}.derive", f"{feature.derive} with {found}", "a model whose order_by begins with a timestamp")


def _required_pad_value(name: str, feature: FeatureSpec, feature_type: ColumnType) -> Iterator[Finding]:
    if "pad_value" not in feature.model_fields_set:
        yield Finding(f"features.{name}.pad_value", "nothing", "a value; this field is required")
    elif not _fits(feature.pad_value, feature_type):
        yield Finding(f"features.{name}.pad_value", repr(feature.pad_value), describe_type(feature_type))


def _plain_feature(name: str, feature: FeatureSpec, column: ColumnSpec) -> Iterator[Finding]:
    feature_type = column.type.as_feature
    yield from _required_pad_value(name, feature, feature_type)
    if feature.fill_null is not None and not _fits(feature.fill_null, feature_type):
        yield Finding(f"features.{name}.fill_null", repr(feature.fill_null), describe_type(feature_type))
    if column.nullable and feature.fill_null is None:
        yield Finding(f"features.{name}.fill_null", "nothing", "a value, because the column is nullable")


def _encoded_feature(name: str, feature: FeatureSpec, column: ColumnSpec) -> Iterator[Finding]:
    if not column.type.is_label:
        yield Finding(
            f"features.{name}.encode",
            f"vocabulary for a column of type {column.type}",
            "a column of an integer type, bool, string or date",
        )
    elif feature.fill_null is not None and not _fits(feature.fill_null, column.type):
        yield Finding(f"features.{name}.fill_null", repr(feature.fill_null), describe_type(column.type))
    if "pad_value" in feature.model_fields_set and (type(feature.pad_value) is not int or feature.pad_value != 0):
        yield Finding(f"features.{name}.pad_value", repr(feature.pad_value), "0, the id of padding in every vocabulary")


def _split(parts: ReadableParts) -> Iterator[Finding]:
    split = parts.split
    if not isinstance(split, ColumnSplit | TimeSplit):
        return
    yield from _unknown_column(parts, "split.column", split.column)
    column = parts.columns.get(split.column)
    if column is None:
        return
    if isinstance(split, TimeSplit):
        if column.type not in (ColumnType.TIMESTAMP, ColumnType.DATE):
            yield Finding("split.column", f"{split.column!r} of type {column.type}", "a timestamp or date column")
        if column.nullable:
            yield Finding(f"columns.{split.column}.nullable", "true", "false, because split.column cannot be null")
        return
    for side, values in (("train", split.train), ("validation", split.validation)):
        for value in values:
            if not _fits(value, column.type):
                yield Finding(f"split.{side}", repr(value), describe_type(column.type))
    train = [literal(value, column.type) for value in split.train if _fits(value, column.type)]
    both = [value for value in split.validation if _fits(value, column.type) and literal(value, column.type) in train]
    if both:
        yield Finding("split.validation", repr(both[0]), "values that split.train does not have")


def _window(parts: ReadableParts) -> Iterator[Finding]:
    lengths = parts.sequence_lengths or ()
    smallest = min(lengths, default=None)
    if parts.min_length is not None and smallest is not None and parts.min_length > smallest:
        yield Finding("min_length", str(parts.min_length), f"at most the smallest sequence length, {smallest}")
    for index, length in enumerate(lengths):
        if length in lengths[:index]:
            yield Finding(f"sequence_lengths.{index}", str(length), "each length once")
    if parts.window is None:
        return
    stride = parts.window.stride
    if parts.window.mode == "sliding":
        if stride is None:
            yield Finding("window.stride", "nothing", "a stride, because window.mode is sliding")
        elif smallest is not None and stride > smallest:
            yield Finding("window.stride", str(stride), f"at most the smallest sequence length, {smallest}")
    elif stride is not None:
        yield Finding("window.stride", str(stride), "a stride with window.mode sliding only")


def _bounds(parts: ReadableParts) -> Iterator[Finding]:
    if parts.checks and parts.checks.pad_ratio.warn > parts.checks.pad_ratio.max:
        bounds = parts.checks.pad_ratio
        yield Finding("checks.pad_ratio.warn", str(bounds.warn), f"at most checks.pad_ratio.max, {bounds.max}")


_CHECKS: Final[tuple[Callable[[ReadableParts], Iterator[Finding]], ...]] = (
    _numbers,
    _source,
    _entity,
    _order_by,
    _paths,
    _ties,
    _column_names,
    _column_values,
    _features,
    _split,
    _window,
    _bounds,
)
