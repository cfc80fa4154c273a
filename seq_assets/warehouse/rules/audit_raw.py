"""The blocking conditions on raw observations that SQL verifies, from the finished files alone, the same in every warehouse.

Belongs here: what DuckDB and Athena both understand, with what they write differently as a dialect. Not here: whether files
are well formed, which each warehouse verifies in its own way and says in the words of `order_finding`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from seq_assets.models import SUBSETS, ColumnType, ModelSpec
from seq_assets.models.spec import EntityHashSplit, LocationSplit, TimeSplit
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.rules.contract_sql import REASONS, ContractSql, location_subset
from seq_assets.warehouse.rules.lookups import Lookups
from seq_assets.warehouse.rules.metrics import Queries, cells
from seq_assets.warehouse.rules.rejections import ROWS_SHOWN, Rejection, too_many_rejected


@dataclass(frozen=True)
class RawAudit:
    """An audit of raw and rejected observations.

    Attributes:
        queries: Runs the queries.
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
        return [self._contract(), self._nothing_lost(), self._no_leakage()]

    def _contract(self) -> Finding:
        """No accepted value breaks the contract, table-wide validations hold, and not too much was rejected."""
        accounting = self.accounting
        # As columns first, because an aggregate's filter may not look a value up.
        broken = ", ".join(["*", *(f"{condition} AS {name}" for name, condition in self._violations().items())])
        counts = ", ".join(["0 AS nothing", *(f"{_count(name)} AS {name}" for name in self._violations())])
        violations = self.queries.row(f"SELECT {counts} FROM (SELECT {broken} FROM {self.raw})")
        problems = [f"{count} accepted rows break {name}" for name, count in violations.items() if count]
        problems += list(self._table_problems())
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
        """By the path of a field, as an identifier: whether a row breaks it; null where it is not asked."""
        found = {}
        for name, column in self.spec.columns.items():
            value = self._quoted(name)
            if not column.nullable:
                found[self._quoted(f"columns.{name}.nullable")] = f"{value} IS NULL"
            for validation, values in column.validations():
                condition = self.contract.condition(value, column.type, validation, values, self.lookups.get(name))
                found[self._quoted(f"columns.{name}.{validation}")] = f"NOT ({condition})"
        return found

    def _table_problems(self) -> Iterator[str]:
        for name, column in self.spec.columns.items():
            value = self._quoted(name)
            if column.has_unique_values:
                found = self.queries.row(f"SELECT count({value}) - count(DISTINCT {value}) AS repeated FROM {self.raw}")
                if found["repeated"]:
                    first = ", ".join(map(repr, self._first_repeated(value)))
                    yield (
                        f"columns.{name}.has_unique_values: {found['repeated']} accepted rows repeat a value (the first: "
                        f"{first}); mend the rows, or remove it"
                    )
            most = column.has_acceptable_percentage_of_nulls
            if most is not None:
                share = f"coalesce(1 - CAST(count({value}) AS double) / nullif(count(*), 0), 0)"
                found = self.queries.row(f"SELECT {share} AS nulls FROM {self.raw}")
                if found["nulls"] > most:
                    yield (
                        f"columns.{name}.has_acceptable_percentage_of_nulls: found a share of {found['nulls']:.4g}; "
                        f"allowed: at most {most:g}; mend the rows, or raise it"
                    )

    def _first_repeated(self, value: str) -> Iterator[object]:
        rows = self.queries.rows(
            f"SELECT {value} FROM {self.raw} GROUP BY 1 HAVING count({value}) > 1 ORDER BY 1 LIMIT {ROWS_SHOWN}"
        )
        return (repeated for (repeated,) in map(cells, rows))

    def failed_columns(self) -> list[tuple[str | None, str, int]]:
        """Column, reason and count of rejections, whole records first, then in contract order."""
        found = self.queries.rows(f'SELECT "column", reason, count(*) AS rejections FROM {self.rejected} GROUP BY 1, 2')
        order = [None, *self.spec.columns]
        failed = [(column, reason, count) for column, reason, count in map(cells, found)]
        return sorted(failed, key=lambda row: (order.index(row[0]), REASONS.index(row[1])))

    def unreadable_values(self) -> dict[str, list[str]]:
        """Some values of each column that were not readable: the first, the last and the longest, which tell most."""
        rows = self.queries.rows(f"""
            SELECT "column", min(value), max(value), max_by(value, length(value)) FROM {self.rejected}
            WHERE reason = 'unreadable' GROUP BY 1""")
        return {name: [value for value in dict.fromkeys(values) if value is not None] for name, *values in map(cells, rows)}

    def first_rejected(self) -> list[Rejection]:
        """In the order of the source, each record's columns in that of the contract; tables have rows in no order."""
        names = [self.contract.dialect.literal(name, ColumnType.STRING) for name in self.spec.columns]
        rows = self.queries.rows(f"""
            SELECT file, "row", "column", value, detail, reason FROM {self.rejected}
            ORDER BY file, "row", array_position(ARRAY[{", ".join(names)}], "column"), value LIMIT {ROWS_SHOWN}""")
        return [Rejection(*cells(row)) for row in rows]

    def _nothing_lost(self) -> Finding:
        """The files hold what was counted, and each record once, as far as records can be told apart."""
        accounting = self.accounting
        counted = {"accepted": accounting.accepted, "train": accounting.train, "validation": accounting.validation}
        subsets = [f"""{_count(f"subset = '{subset}'")} AS {subset}""" for subset in SUBSETS]
        counts = f"count(*) AS accepted, {', '.join(subsets)}"
        if self.source_has_positions:
            records = "count(DISTINCT (_file, _row))" if self.records is None else str(self.records)
            found = dict(self.queries.row(f"SELECT {counts}, {records} AS records FROM {self.raw}"))
            found |= self.queries.row(f'SELECT count(DISTINCT (file, "row")) AS rejected FROM {self.rejected}')
            problems = _different(found, counted | {"records": accounting.accepted, "rejected": accounting.rejected})
        else:
            found = dict(self.queries.row(f"SELECT {counts} FROM {self.raw}"))
            found |= self.queries.row(f"SELECT count(*) AS rejected_rows FROM {self.rejected}")
            problems = _different(found, counted)
            rows = found["rejected_rows"]
            if rows < accounting.rejected or (rows and not accounting.rejected):
                problems.append(f"rejected: the files hold {rows} rows, the ingest counted {accounting.rejected} records")
        return Finding("nothing_lost", tuple(accounting.problems + problems), {"read": accounting.read, **found})

    def _no_leakage(self) -> Finding:
        """Every observation is in the subset that the declared rule says."""
        split = self.spec.split
        if isinstance(split, EntityHashSplit):
            return self._no_leakage_of_entities(split)
        expected = location_subset("_file")
        if not isinstance(split, LocationSplit):
            expected = self.contract.subset(self.spec, self._quoted(split.column))
        found = self.queries.row(f"SELECT {_count(f'subset <> {expected}')} AS misplaced FROM {self.raw}")
        problems = _misplaced(found["misplaced"])
        if isinstance(split, TimeSplit):
            problems += self._time_overlap(split)
        return Finding("no_leakage", tuple(problems), {"strategy": split.strategy, "misplaced": found["misplaced"]})

    def _no_leakage_of_entities(self, split: EntityHashSplit) -> Finding:
        """Counts per entity first, so that each is hashed once."""
        entity = self._quoted(self.spec.entity)
        counts = [f"""{_count(f"subset = '{subset}'")} AS _{subset}""" for subset in SUBSETS]
        right = f"CASE WHEN {self.contract.subset(self.spec, entity)} = 'train' THEN _train ELSE _validation END"
        found = self.queries.row(f"""
            SELECT count(*) AS entities, {_count("_train > 0 AND _validation > 0")} AS shared,
                coalesce(sum(_rows - {right}), 0) AS misplaced
            FROM (SELECT {entity}, count(*) AS _rows, {", ".join(counts)} FROM {self.raw} GROUP BY 1)""")
        problems = _misplaced(found["misplaced"])
        if found["shared"]:
            problems.append(f"{found['shared']} entities are in both subsets")
        numbers = {"entities": found["entities"], "entities_in_both": found["shared"], "misplaced": found["misplaced"]}
        return Finding("no_leakage", tuple(problems), {"strategy": split.strategy, **numbers})

    def _time_overlap(self, split: TimeSplit) -> list[str]:
        column, cutoff = self._quoted(split.column), self.contract.cutoff(self.spec, split)
        found = self.queries.row(f"""
            SELECT max({column}) FILTER (WHERE subset = 'train') >= {cutoff} AS late_train,
                min({column}) FILTER (WHERE subset = 'validation') < {cutoff} AS early_validation FROM {self.raw}""")
        problems = []
        if found["late_train"]:
            problems.append(f"train has observations at or after the cutoff {split.cutoff}")
        if found["early_validation"]:
            problems.append(f"validation has observations before the cutoff {split.cutoff}")
        return problems

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
