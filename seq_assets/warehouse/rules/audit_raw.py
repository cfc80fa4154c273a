"""The blocking conditions on raw observations that SQL verifies, from the finished files alone, the same in every warehouse.

Belongs here: what DuckDB and Athena both understand, with what they write differently as a dialect. Not here: whether files
are well formed, which each warehouse verifies in its own way and says in the words of `order_finding`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seq_assets.models import SUBSETS, ColumnType, ModelSpec
from seq_assets.models.spec import EntityHashSplit, LocationSplit, TimeSplit
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.rules.contract_sql import REASONS, ContractSql, location_subset
from seq_assets.warehouse.rules.lookups import Lookups
from seq_assets.warehouse.rules.questions import Check, Queries, Question, Row, findings
from seq_assets.warehouse.rules.rejections import ROWS_SHOWN, Rejection, too_many_rejected


@dataclass(frozen=True)
class RawAudit:
    """An audit of raw and rejected observations.

    Attributes:
        queries: Answers the questions.
        contract: The contract in the SQL of their engine.
        spec: The model.
        raw: Accepted observations, as a table or subquery over the finished files.
        rejected: Rejected observations, likewise.
        accounting: What the ingest counted.
        source_has_positions: Whether each record has a file and a number there; the rows of a table have none.
        records: How many different records the accepted observations are; None where it is to be asked.
        lookups: The tables of accepted values, of the columns that have one.
    """

    queries: Queries
    contract: ContractSql
    spec: ModelSpec
    raw: str
    rejected: str
    accounting: IngestAccounting
    source_has_positions: bool
    records: int | None = None
    lookups: Lookups = field(default_factory=dict)

    def findings(self) -> list[Finding]:
        """What `contract`, `nothing_lost` and `no_leakage` say."""
        return findings(self.queries, self.checks())

    def checks(self) -> list[Check]:
        """How `contract`, `nothing_lost` and `no_leakage` are found."""
        return [self._contract(), self._nothing_lost(), self._no_leakage()]

    def _contract(self) -> Check:
        """No accepted value breaks the contract, table-wide validations hold, and not too much was rejected."""
        # As columns first, because an aggregate's filter may not look a value up.
        violations = {name: f"{condition} AS {self._quoted(name)}" for name, condition in self._violations().items()}
        counts = {name: _count(self._quoted(name)) for name in violations} | self._shares_of_nulls()
        values = Question.of("contract", counts, f"(SELECT {', '.join(['*', *violations.values()])} FROM {self.raw})")
        return Check([values, *self._repetitions().values()], self._judged_contract)

    def _judged_contract(self, rows: Sequence[Row]) -> Finding:
        accounting = self.accounting
        values, *repetitions = rows
        violations = {name: values[name] for name in self._violations()}
        problems = [f"{count} accepted rows break {name}" for name, count in violations.items() if count]
        problems += self._table_problems(values, dict(zip(self._repetitions(), repetitions, strict=True)))
        first = self.first_rejected() if accounting.rejected else []
        if accounting.rejected_ratio > self.spec.checks.rejected_ratio.max:
            problems.append(too_many_rejected(self.spec, accounting, self.failed_columns(), first, self.unreadable_values()))
        numbers: dict[str, int | float | str] = {
            "accepted": accounting.accepted,
            "rejected": accounting.rejected,
            "rejected_ratio": accounting.rejected_ratio,
        }
        if first:
            numbers["first_rejected"] = "\n".join(map(str, first))
        return Finding("contract", tuple(problems), numbers)

    def _violations(self) -> dict[str, str]:
        """By the path of a field: whether a row breaks it; null where it is not asked."""
        found = {}
        for name, column in self.spec.columns.items():
            value = self._quoted(name)
            if not column.nullable:
                found[f"columns.{name}.nullable"] = f"{value} IS NULL"
            for validation, values in column.validations():
                condition = self.contract.condition(value, column.type, validation, values, self.lookups.get(name))
                found[f"columns.{name}.{validation}"] = f"NOT ({condition})"
        return found

    def _shares_of_nulls(self) -> dict[str, str]:
        """By the path of a field that bounds it: a column's share of nulls."""
        return {
            _nulls_path(name): f"coalesce(1 - CAST(count({self._quoted(name)}) AS double) / nullif(count(*), 0), 0)"
            for name, column in self.spec.columns.items()
            if column.has_acceptable_percentage_of_nulls is not None
        }

    def _repetitions(self) -> dict[str, Question]:
        """By the name of a column whose values must be unique: how many rows repeat one."""
        found = {}
        for name, column in self.spec.columns.items():
            if column.has_unique_values:
                value = self._quoted(name)
                repeated = {"repeated": f"count({value}) - count(DISTINCT {value})"}
                found[name] = Question.of("contract", repeated, self.raw)
        return found

    def _table_problems(self, values: Row, repetitions: Mapping[str, Row]) -> Iterator[str]:
        for name, column in self.spec.columns.items():
            found = {"repeated": 0, **repetitions.get(name, {}), "nulls": values.get(_nulls_path(name))}
            if found["repeated"]:
                first = ", ".join(map(repr, self._first_repeated(self._quoted(name))))
                yield (
                    f"columns.{name}.has_unique_values: {found['repeated']} accepted rows repeat a value (the first: "
                    f"{first}); mend the rows, or remove it"
                )
            most = column.has_acceptable_percentage_of_nulls
            if most is not None and found["nulls"] > most:
                yield (
                    f"{_nulls_path(name)}: found a share of {found['nulls']:.4g}; "
                    f"allowed: at most {most:g}; mend the rows, or raise it"
                )

    def _first_repeated(self, value: str) -> list[Any]:
        rows = self._rows(
            "repeated values",
            {"repeated": value},
            f"{self.raw} GROUP BY 1 HAVING count({value}) > 1 ORDER BY 1 LIMIT {ROWS_SHOWN}",
        )
        return [row["repeated"] for row in rows]

    def _rows(self, purpose: str, columns: Mapping[str, str], source: str) -> Sequence[Row]:
        """The rows of one question that is asked alone, so that they come in its order."""
        [rows] = self.queries.answers([Question.of(purpose, columns, source)])
        return rows

    def failed_columns(self) -> list[tuple[str | None, str, int]]:
        """Column, reason and count of rejections, whole records first, then in contract order."""
        columns = {"column": '"column"', "reason": "reason", "rejections": "count(*)"}
        found = self._rows("failed columns", columns, f"{self.rejected} GROUP BY 1, 2")
        order = [None, *self.spec.columns]
        failed = [(row["column"], row["reason"], row["rejections"]) for row in found]
        return sorted(failed, key=lambda row: (order.index(row[0]), REASONS.index(row[1])))

    def unreadable_values(self) -> dict[str, list[str]]:
        """Some values of each column that were not readable: the first, the last and the longest, which tell most."""
        columns = {"column": '"column"', "first": "min(value)", "last": "max(value)", "longest": "max_by(value, length(value))"}
        rows = self._rows("unreadable values", columns, f"{self.rejected} WHERE reason = 'unreadable' GROUP BY 1")
        told = {row["column"]: (row["first"], row["last"], row["longest"]) for row in rows}
        return {name: [value for value in dict.fromkeys(values) if value is not None] for name, values in told.items()}

    def first_rejected(self) -> list[Rejection]:
        """In the order of the source, each record's columns in that of the contract; tables have rows in no order."""
        names = [self.contract.dialect.literal(name, ColumnType.STRING) for name in self.spec.columns]
        order = f"""file, "row", array_position(ARRAY[{", ".join(names)}], "column"), value"""
        columns = {name: self._quoted(name) for name in ("file", "row", "column", "value", "detail", "reason")}
        rows = self._rows("first rejected", columns, f"{self.rejected} ORDER BY {order} LIMIT {ROWS_SHOWN}")
        return [Rejection(**row) for row in rows]

    def _nothing_lost(self) -> Check:
        """The files hold what was counted, and each record once, as far as records can be told apart."""
        counts = {"accepted": "count(*)"} | {subset: _count(f"subset = '{subset}'") for subset in SUBSETS}
        if self.source_has_positions:
            counts["records"] = "count(DISTINCT (_file, _row))" if self.records is None else str(self.records)
            rejected = {"rejected": 'count(DISTINCT (file, "row"))'}
        else:
            rejected = {"rejected_rows": "count(*)"}
        questions = [
            Question.of("nothing_lost", counts, self.raw),
            Question.of("nothing_lost", rejected, self.rejected),
        ]
        return Check(questions, self._judged_nothing_lost)

    def _judged_nothing_lost(self, rows: Sequence[Row]) -> Finding:
        accounting = self.accounting
        found = {name: count for row in rows for name, count in row.items()}
        counted = {"accepted": accounting.accepted, "train": accounting.train, "validation": accounting.validation}
        if self.source_has_positions:
            problems = _different(found, counted | {"records": accounting.accepted, "rejected": accounting.rejected})
        else:
            problems = _different(found, counted)
            rejected = found["rejected_rows"]
            if rejected < accounting.rejected or (rejected and not accounting.rejected):
                problems.append(f"rejected: the files hold {rejected} rows, the ingest counted {accounting.rejected} records")
        return Finding("nothing_lost", tuple(accounting.problems + problems), {"read": accounting.read, **found})

    def _no_leakage(self) -> Check:
        """Every observation is in the subset that the declared rule says."""
        split = self.spec.split
        if isinstance(split, EntityHashSplit):
            return self._no_leakage_of_entities(split)
        expected = location_subset("_file")
        if not isinstance(split, LocationSplit):
            expected = self.contract.subset(self.spec, self._quoted(split.column))
        counts = {"misplaced": _count(f"subset <> {expected}")}
        if isinstance(split, TimeSplit):
            column, cutoff = self._quoted(split.column), self.contract.cutoff(self.spec, split)
            counts["late_train"] = f"max({column}) FILTER (WHERE subset = 'train') >= {cutoff}"
            counts["early_validation"] = f"min({column}) FILTER (WHERE subset = 'validation') < {cutoff}"

        def judged(rows: Sequence[Row]) -> Finding:
            [found] = rows
            problems = _misplaced(found["misplaced"])
            if isinstance(split, TimeSplit):
                problems += _time_overlap(found, split)
            return Finding("no_leakage", tuple(problems), {"strategy": split.strategy, "misplaced": found["misplaced"]})

        return Check([Question.of("no_leakage", counts, self.raw)], judged)

    def _no_leakage_of_entities(self, split: EntityHashSplit) -> Check:
        """Counts per entity first, so that each is hashed once."""
        entity = self._quoted(self.spec.entity)
        counts = [f"""{_count(f"subset = '{subset}'")} AS _{subset}""" for subset in SUBSETS]
        right = f"CASE WHEN {self.contract.subset(self.spec, entity)} = 'train' THEN _train ELSE _validation END"
        columns = {
            "entities": "count(*)",
            "shared": _count("_train > 0 AND _validation > 0"),
            "misplaced": f"coalesce(sum(_rows - {right}), 0)",
        }
        entities = f"(SELECT {entity}, count(*) AS _rows, {', '.join(counts)} FROM {self.raw} GROUP BY 1)"

        def judged(rows: Sequence[Row]) -> Finding:
            [found] = rows
            problems = _misplaced(found["misplaced"])
            if found["shared"]:
                problems.append(f"{found['shared']} entities are in both subsets")
            numbers = {"entities": found["entities"], "entities_in_both": found["shared"], "misplaced": found["misplaced"]}
            return Finding("no_leakage", tuple(problems), {"strategy": split.strategy, **numbers})

        return Check([Question.of("no_leakage", columns, entities)], judged)

    def _quoted(self, name: str) -> str:
        return self.contract.dialect.quoted(name)


def order_finding(unordered: int, misnumbered: int, others: tuple[str, ...] = ()) -> Finding:
    """What `well_formed` says.

    Args:
        unordered: The rows that do not follow the row before them in their history.
        misnumbered: The rows whose `_position` does not count from 0.
        others: What else is wrong.
    """
    counts = {"are out of order": unordered, "have a wrong _position": misnumbered}
    problems = others + tuple(f"{count} rows {flaw}" for flaw, count in counts.items() if count)
    return Finding("well_formed", problems, {"unordered": unordered, "misnumbered": misnumbered})


def _time_overlap(found: Row, split: TimeSplit) -> list[str]:
    problems = []
    if found["late_train"]:
        problems.append(f"train has observations at or after the cutoff {split.cutoff}")
    if found["early_validation"]:
        problems.append(f"validation has observations before the cutoff {split.cutoff}")
    return problems


def _nulls_path(name: str) -> str:
    """The path of the field that bounds a column's share of nulls."""
    return f"columns.{name}.has_acceptable_percentage_of_nulls"


def _misplaced(observations: int) -> list[str]:
    return [f"{observations} observations are in the wrong subset"] if observations else []


def _count(condition: str) -> str:
    """Counts the rows that meet a condition: `count_if` of no rows is 0 for Athena and null for DuckDB."""
    return f"count(*) FILTER (WHERE {condition})"


def _different(found: Mapping[str, int], counted: Mapping[str, int]) -> list[str]:
    return [
        f"{name}: the files hold {found[name]}, the ingest counted {count}"
        for name, count in counted.items()
        if found[name] != count
    ]
