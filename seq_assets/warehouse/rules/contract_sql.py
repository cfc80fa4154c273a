"""The part of the contract that both engines write alike as SQL: conditions, rejection reasons, subsets, order, labels.

Belongs here: pure functions from a model to text, with what differs between the engines as a `Dialect`. Not here: reading
values (the casts of each engine), and queries whose form an engine decides.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from seq_assets.models import ColumnType, ModelSpec, Scalar
from seq_assets.models.columns import Validation, literal
from seq_assets.models.spec import ColumnSplit, EntityHashSplit, LocationSplit, TimeSplit
from seq_assets.warehouse.rules.lookups import NO_LOOKUPS, VALUE, Lookups

MALFORMED_REASON: Final = "malformed"
TOO_LONG_REASON: Final = "too_long"
REASONS: Final = (
    MALFORMED_REASON,
    TOO_LONG_REASON,
    "unreadable",
    "null",
    *(validation.value for validation in Validation),
    "split_value",
)
"""Why a record is rejected, in the order in which reasons apply."""

_COMPARISONS: Final = {
    Validation.IS_GREATER_THAN: ">",
    Validation.IS_GREATER_THAN_OR_EQUAL: ">=",
    Validation.IS_LOWER_THAN: "<",
    Validation.IS_LOWER_THAN_OR_EQUAL: "<=",
}


@dataclass(frozen=True)
class Dialect:
    """How an engine writes what SQL does not write alike everywhere.

    Attributes:
        quoted: A name as an identifier.
        literal: A value of a model file as a literal of the stored type.
        md5_start: The first 8 digits, in lower case, of the hexadecimal MD5 of an expression's text.
        contains: Whether the first text holds the second.
    """

    quoted: Callable[[str], str]
    literal: Callable[[Scalar, ColumnType], str]
    md5_start: Callable[[str], str]
    contains: Callable[[str, str], str]


class ContractSql:
    """The contract in the SQL of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        """For one engine."""
        self.dialect: Final = dialect

    def rejection_reason(self, spec: ModelSpec, name: str, value: str, is_null: str, lookups: Lookups = NO_LOOKUPS) -> str:
        """The first reason for which a column of a record is rejected, or null.

        Args:
            spec: The model.
            name: The column.
            value: The value of the contract's type; null where it is null or not readable.
            is_null: Whether the source's value is a null.
            lookups: The tables of accepted values, of the columns that have one.
        """
        column, known = spec.columns[name], self._known_values(spec, name)
        is_unreadable = f"({value} IS NULL OR {self._is_marked('_unreadable', name)})"
        cases = [
            f"WHEN {self._is_marked('_too_long', name)} THEN '{TOO_LONG_REASON}'",
            f"WHEN NOT {is_null} AND {is_unreadable} THEN 'unreadable'",
        ]
        if not column.nullable:
            cases.append(f"WHEN {value} IS NULL THEN 'null'")
        cases += [
            f"WHEN NOT ({self.condition(value, column.type, validation, values, lookups.get(name))}) THEN '{validation}'"
            for validation, values in column.validations()
        ]
        if known:
            cases.append(f"WHEN NOT coalesce({value} IN ({known}), false) THEN 'split_value'")
        return f"CASE {' '.join(cases)} END"

    def acceptance(self, spec: ModelSpec, name: str, value: str, is_missing: str) -> str:
        """A condition that no column of a record meets for which there is a reason; others may not meet it either.

        It is cheap to ask, and met by most columns of most records, if the record has no marks.

        Args:
            spec: The model.
            name: The column, of which no accepted values are looked up.
            value: The value of the contract's type; null where it is null or not readable.
            is_missing: Whether the source has nothing there.
        """
        column, known = spec.columns[name], self._known_values(spec, name)
        conditions = [self.condition(value, column.type, validation, values) for validation, values in column.validations()]
        conditions += [f"{value} IN ({known})"] if known else []
        accepted = " AND ".join([f"{value} IS NOT NULL", *conditions])
        return f"({is_missing} OR {accepted})" if column.nullable and not known else accepted

    def _known_values(self, spec: ModelSpec, name: str) -> str:
        """The values of a column that the split goes by, as literals; none of another column."""
        split, column_type = spec.split, spec.columns[name].type
        if isinstance(split, ColumnSplit) and split.column == name:
            return self._literals([literal(item, column_type) for item in (*split.train, *split.validation)], column_type)
        return ""

    def record_reason(self) -> str:
        """The reason of a whole record that is malformed: its length, where that is what is wrong with it."""
        return f"CASE WHEN _too_long IS NULL THEN '{MALFORMED_REASON}' ELSE '{TOO_LONG_REASON}' END"

    def _is_marked(self, marks: str, name: str) -> str:
        """Whether a column is among the comma-separated names of another one; of nothing it is not."""
        contained = self.dialect.contains(f"',' || {marks} || ','", f"',{name},'")
        return f"coalesce({contained}, false)"

    def rejection_detail(self, reason: str, unreadable: str | None) -> str:
        """What was found in a rejected column where the reason alone does not say, or null.

        Args:
            reason: The column's rejection reason.
            unreadable: What is said of each of its unreadable values; None where there is nothing to say.
        """
        if unreadable is None:
            return "CAST(NULL AS VARCHAR)"
        return f"CASE WHEN {reason} = 'unreadable' THEN {self.dialect.literal(unreadable, ColumnType.STRING)} END"

    def condition(
        self,
        value: str,
        column_type: ColumnType,
        validation: Validation,
        values: tuple[Scalar, ...],
        lookup: str | None = None,
    ) -> str:
        """The condition that an accepted, non-null value meets; null where the value is null.

        Args:
            value: The value.
            column_type: Its type.
            validation: What is asked of it.
            values: With which values.
            lookup: The table that has them, where they are many.
        """
        if validation is Validation.IS_IN and lookup is not None:
            return f"{value} IN (SELECT {VALUE} FROM {lookup})"
        literals = [self.dialect.literal(item, column_type) for item in values]
        if validation is Validation.IS_IN:
            return f"{value} IN ({', '.join(literals)})"
        if validation is Validation.IS_BETWEEN:
            return f"{value} BETWEEN {literals[0]} AND {literals[1]}"
        return f"{value} {_COMPARISONS[validation]} {literals[0]}"

    def subset(self, spec: ModelSpec, value: str) -> str:
        """The subset of an accepted observation, from the value that the split goes by (the entity, or the split's column)."""
        split = spec.split
        assert not isinstance(split, LocationSplit), "goes by the file, not by a value"
        if isinstance(split, EntityHashSplit):
            is_validation = self.entity_hash(value, split)
        elif isinstance(split, TimeSplit):
            is_validation = f"{value} >= {self.cutoff(spec, split)}"
        else:
            column_type = spec.columns[split.column].type
            known = [literal(item, column_type) for item in split.validation]
            is_validation = f"{value} IN ({self._literals(known, column_type)})"
        return f"CASE WHEN {is_validation} THEN 'validation' ELSE 'train' END"

    def cutoff(self, spec: ModelSpec, split: TimeSplit) -> str:
        """The first value of the split's column that is validation."""
        microseconds = split.cutoff_microseconds
        column_type = spec.columns[split.column].type
        days = -(-microseconds // 86_400_000_000)
        return self.dialect.literal(microseconds if column_type is ColumnType.TIMESTAMP else days, column_type)

    def entity_hash(self, entity: str, split: EntityHashSplit) -> str:
        """Whether an entity is validation: the first 8 hex digits of md5, as text, below the fraction of 2^32.

        Comparing text spares the conversion: hex digits order like the numbers that they write.
        """
        threshold = math.ceil(split.validation_fraction * 2**32)
        if threshold > 0xFFFFFFFF:
            return "true"
        start = self.dialect.md5_start(f"'{split.seed}:' || CAST({entity} AS VARCHAR)")
        return f"{start} < '{threshold:08x}'"

    def order_keys(self, spec: ModelSpec) -> list[str]:
        """What raw observations of one subset are ordered by."""
        return [*(self.dialect.quoted(name) for name in dict.fromkeys([spec.entity, *spec.order_by])), "_file", "_row"]

    def label_counts_query(self, spec: ModelSpec, feature: str, rows: str) -> str:
        """The query that counts the values of an encoded feature: `value` (its null filled, never null) and `count`."""
        value = self.label(self.dialect.quoted(feature), spec.columns[feature].type, spec.fill_value(feature))
        return f"SELECT {value} AS value, count(*) AS count FROM {rows} WHERE {value} IS NOT NULL GROUP BY 1"

    def label(self, value: str, column_type: ColumnType, fill_value: Scalar | None) -> str:
        """The value that an encoded feature looks up: its null filled, where it is."""
        return value if fill_value is None else f"coalesce({value}, {self.dialect.literal(fill_value, column_type)})"

    def _literals(self, values: Sequence[Scalar], column_type: ColumnType) -> str:
        return ", ".join(self.dialect.literal(value, column_type) for value in values)


def location_subset(file: str) -> str:
    """The subset of an observation, from the name of its file, in a split by location."""
    return f"CASE WHEN starts_with({file}, 'validation/') THEN 'validation' ELSE 'train' END"
