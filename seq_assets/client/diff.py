"""What changed between two versions of a table: schema, rows, entities, and what was measured of the columns.

Belongs here: which versions are compared, and the value that says what was found. Not here: how rows are compared
(`comparing`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from seq_assets.client.batches import StoredRows
from seq_assets.client.naming import what_is_wrong_with
from seq_assets.environments import current_environment
from seq_assets.errors import InputError, NotPublishedError
from seq_assets.models import SUBSETS, ColumnType, Subset
from seq_assets.models.columns import EPOCH

if TYPE_CHECKING:
    from seq_assets.sequencing.schemas import TableColumn, TableSchema
    from seq_assets.warehouse.interface import Version, Warehouse

_PROVENANCE: Final = ("_file", "_row")
"""Of an observation, where it was read: the same observation may stand elsewhere in another source."""
_METRICS: Final = ("nulls", "unique", "min", "max", "mean", "standard_deviation")

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class EntityDifference:
    """Entities of one subset.

    Attributes:
        subset: The subset.
        before: Entities of the one version.
        after: Entities of the other.
        added: Those of the other alone.
        removed: Those of the one alone.
        altered: Those of both whose rows differ, in the columns that both versions have.
        unchanged: Those of both whose rows are the same.
        first_added: The first few, in the order of the table; the two below likewise.
    """

    subset: Subset
    before: int
    after: int
    added: int
    removed: int
    altered: int
    unchanged: int
    first_added: tuple[Any, ...] = ()
    first_removed: tuple[Any, ...] = ()
    first_altered: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """The counts and the first few, in a line."""
        said = [f"{self.before:,} -> {self.after:,}"]
        for name in ("added", "removed", "altered"):
            count, first = getattr(self, name), getattr(self, f"first_{name}")
            more = ", …" if count > len(first) else ""
            said.append(f"{count:,} {name}" + (f" ({', '.join(map(str, first))}{more})" if count else ""))
        return f"entities of {self.subset}: {'; '.join([*said, f'{self.unchanged:,} unchanged'])}"


@dataclass(frozen=True, repr=False)
class Difference:
    """What changed from one version of a table to another. Pairs are (before, after).

    Attributes:
        table: The table.
        from_version: The one version.
        to_version: The other.
        committed_at: When each was published, UTC.
        rows: Rows of each.
        added_columns: Type by column of the other alone.
        removed_columns: Type by column of the one alone.
        retyped_columns: Types of columns whose type, or whether they may be null, differs.
        accounting: What was counted, where it differs; of sequences, with `pad_ratio`.
        entities: By subset; none where the entity's column differs, so that nobody can say which is which.
        altered_columns: Altered entities by column whose values differ.
        metrics: What was measured of the columns of the raw observations, of all subsets, by column and metric, where it
            differs: `nulls`, `unique`, `min`, `max`, `mean`, `standard_deviation`.
        label_shares: The share of each label, from 0 to 1, by column, where it differs; of columns with few labels.

    Example:
        >>> seq_assets.diff("dkt", sequence_length=100, from_version=ds.version, to_version=ds.version).is_empty
        True
    """

    table: str
    from_version: int
    to_version: int
    committed_at: tuple[datetime, datetime]
    rows: tuple[int, int]
    added_columns: Mapping[str, str] = field(default_factory=dict)
    removed_columns: Mapping[str, str] = field(default_factory=dict)
    retyped_columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    accounting: Mapping[str, Pair] = field(default_factory=dict)
    entities: tuple[EntityDifference, ...] = ()
    altered_columns: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Pair]] = field(default_factory=dict)
    label_shares: Mapping[str, Mapping[str, Pair]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether schema and rows are the same in both versions."""
        return not (
            self.added_columns
            or self.removed_columns
            or self.retyped_columns
            or any(each.added or each.removed or each.altered for each in self.entities)
            or self.rows[0] != self.rows[1]
        )

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON: pairs are lists; a version is a text, because it has more digits than most programs keep."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {"from_version": str(self.from_version), "to_version": str(self.to_version), "is_empty": self.is_empty}
        return cast(dict[str, Any], _plain(values))

    def __repr__(self) -> str:
        """A few lines for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        ids = zip((self.from_version, self.to_version), self.committed_at, strict=True)
        yield f"{self.table}: " + " -> ".join(f"{number} ({at:%Y-%m-%d %H:%M:%S} UTC)" for number, at in ids)
        if self.from_version == self.to_version:
            yield "nothing changed: it is the same version"
            return
        if self.is_empty:
            yield "nothing changed: schema and rows are the same"
        yield f"rows: {self.rows[0]:,} -> {self.rows[1]:,} ({self.rows[1] - self.rows[0]:+,})"
        yield from (f"column added: {name} ({type_})" for name, type_ in self.added_columns.items())
        yield from (f"column removed: {name} ({type_})" for name, type_ in self.removed_columns.items())
        yield from (f"column retyped: {name}: {_arrow(types)}" for name, types in self.retyped_columns.items())
        yield from (f"{name}: {_arrow(pair)}" for name, pair in self.accounting.items())
        yield from map(str, self.entities)
        if any(self.altered_columns.values()):
            counts = ", ".join(f"{name} {count:,}" for name, count in self.altered_columns.items() if count)
            yield f"entities with other values, by column: {counts}"
        for name in dict.fromkeys([*self.metrics, *self.label_shares]):
            said = [f"{metric} {_arrow(pair)}" for metric, pair in self.metrics.get(name, {}).items()]
            said += [f"share of {label} {_arrow(pair)}" for label, pair in self.label_shares.get(name, {}).items()]
            yield f"observations, {name}: {'; '.join(said)}"


def _arrow(pair: Pair) -> str:
    return " -> ".join("-" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value) for value in pair)


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, EntityDifference):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value.isoformat() if isinstance(value, datetime) else value


def diff(
    model: str,
    *,
    sequence_length: int | None = None,
    subset: Subset | None = None,
    from_version: int | None = None,
    to_version: int | None = None,
) -> Difference:
    """What changed between two versions of a table. Both are read once, in bounded memory; equal ones are not read.

    Args:
        model: The model's name.
        sequence_length: One of its lengths; None compares raw observations.
        subset: `train` or `validation`; None is train, of raw observations both.
        from_version: A version's id; None is the one before the other.
        to_version: A version's id; None is the newest.

    Raises:
        NotPublishedError: There is no such table or version, or none before it.
        LostFilesError: Files of one are gone.
        InputError: An argument is none of the allowed.

    Example:
        >>> diff("dkt", sequence_length=100)  # doctest: +SKIP
        dkt_sequenced_train_100: 3977103226376000461 (…) -> 5860798645831434258 (…)
        rows: 677 -> 690 (+13)
        …
    """
    from seq_assets.sequencing.plans import Dataset

    if subset is not None and subset not in SUBSETS:
        raise InputError(f"subset: found {subset!r}; allowed: {' or '.join(map(repr, SUBSETS))}")
    environment = current_environment()
    warehouse = environment.warehouse()
    is_raw = sequence_length is None
    dataset = Dataset.raw(model) if sequence_length is None else Dataset.sequenced(model, subset or "train", sequence_length)
    try:
        after = warehouse.find(dataset, to_version)
    except NotPublishedError as error:
        wrong = what_is_wrong_with(model, environment, warehouse, with_sequences=not is_raw)
        raise NotPublishedError(wrong or str(error)) from None
    before = _version_before(warehouse, after) if from_version is None else warehouse.find(dataset, from_version)
    subsets = (subset,) if subset and is_raw else SUBSETS if is_raw else (subset or "train",)
    return difference(warehouse, before, after, subsets)


def _version_before(warehouse: "Warehouse", after: "Version") -> "Version":
    newest_first = iter(warehouse.versions(after.dataset))
    older = next((other for version in newest_first if version.id == after.id for other in newest_first), None)
    if older is None:
        raise NotPublishedError(
            f"{after.dataset.table} has no version before {after.id}, so that there is nothing to compare it with; name "
            "another one with --from (in Python, from_version=…), or publish another one first."
        )
    return older


def difference(warehouse: "Warehouse", before: "Version", after: "Version", subsets: Iterable[Subset]) -> Difference:
    """What changed between two versions of one table.

    Args:
        warehouse: Where they are.
        before: The one.
        after: The other.
        subsets: Whose rows are compared: of a table of sequences, its own.

    Raises:
        LostFilesError: Files of one are gone.
    """
    times = before.committed_at, after.committed_at
    plain = Difference(after.dataset.table, before.id, after.id, times, (before.rows, after.rows))
    if before.id == after.id:
        return plain
    for version in (before, after):
        warehouse.require_whole(version)
    old, new = _by_name(before.schema), _by_name(after.schema)
    entities, columns = _compare_entities(warehouse, before, after, subsets)
    metrics, shares = _measured(warehouse, before, after)
    return Difference(
        plain.table,
        plain.from_version,
        plain.to_version,
        times,
        plain.rows,
        added_columns={name: _type(column) for name, column in new.items() if name not in old},
        removed_columns={name: _type(column) for name, column in old.items() if name not in new},
        retyped_columns={
            name: (_type(old[name]), _type(column))
            for name, column in new.items()
            if name in old and _type(old[name]) != _type(column)
        },
        accounting=_differing(_counted(before), _counted(after)),
        entities=entities,
        altered_columns=columns,
        metrics=metrics,
        label_shares=shares,
    )


def _by_name(schema: "TableSchema") -> "dict[str, TableColumn]":
    return {column.name: column for column in schema.columns}


def _type(column: "TableColumn") -> str:
    return f"{column.type}{'' if column.length is None else f'[{column.length}]'}{', nullable' if column.nullable else ''}"


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Pair]:
    """The values that differ, by name; what one of them lacks is None."""
    pairs = {name: (before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after])}
    return {name: pair for name, pair in pairs.items() if not _is_same(*pair)}


def _is_same(before: Any, after: Any) -> bool:
    """Whether values are equal, sums of floats but for the order in which an engine has added them."""
    if isinstance(before, float) and isinstance(after, float):
        return math.isclose(before, after, rel_tol=1e-9)
    return bool(before == after)


# Rows


def _compare_entities(
    warehouse: "Warehouse", before: "Version", after: "Version", subsets: Iterable[Subset]
) -> tuple[tuple[EntityDifference, ...], dict[str, int]]:
    old, new = _by_name(before.schema), _by_name(after.schema)
    entity = _entity(after)
    if entity != _entity(before) or old[entity].type is not new[entity].type:
        return (), {}
    from seq_assets.client.comparing import compare

    columns = [
        name
        for name, column in new.items()
        if name in old and (old[name].type, old[name].length) == (column.type, column.length) and name not in _PROVENANCE
    ]
    found = {
        subset: compare(_rows(warehouse, before, subset), _rows(warehouse, after, subset), entity, columns)
        for subset in subsets
    }
    entities = tuple(
        EntityDifference(
            subset,
            each.before,
            each.after,
            each.added,
            each.removed,
            each.altered,
            each.after - each.added - each.altered,
            tuple(each.first_added),
            tuple(each.first_removed),
            tuple(each.first_altered),
        )
        for subset, each in found.items()
    )
    return entities, {name: sum(each.columns[name] for each in found.values()) for name in columns if name != entity}


def _entity(version: "Version") -> str:
    is_sequenced = version.dataset.sequence_length is not None
    return version.schema.names[0] if is_sequenced else cast(str, version.metadata["model"]["entity"])


def _rows(warehouse: "Warehouse", version: "Version", subset: Subset) -> StoredRows:
    is_sequenced = version.dataset.sequence_length is not None
    return StoredRows(version, version.files if is_sequenced else warehouse.raw_files(version, subset), warehouse)


# What versions say of themselves


def _counted(version: "Version") -> dict[str, Any]:
    """The accounting as one mapping, with the pad ratio of sequences."""
    from seq_assets.sequencing.accounting import SequenceAccounting

    counted = dict(version.metadata["accounting"])
    if version.dataset.sequence_length is not None:
        return counted | {"pad_ratio": round(SequenceAccounting(**counted).pad_ratio, 6)}
    reasons = counted.pop("rejected_by_reason", {})
    return counted | {f"rejected: {reason}": count for reason, count in reasons.items()}


def _measured(
    warehouse: "Warehouse", before: "Version", after: "Version"
) -> tuple[dict[str, dict[str, Pair]], dict[str, dict[str, Pair]]]:
    """Metrics and shares of labels that differ, of the raw observations behind both versions."""
    old, new = _raw(warehouse, before), _raw(warehouse, after)
    if old is None or new is None or old.id == new.id:
        return {}, {}
    names = [name for name in new.metadata["metrics"] if name in old.metadata["metrics"]]
    metrics = {name: _differing(_metrics(old, name), _metrics(new, name)) for name in names}
    shares = {name: _differing(_shares(old, name), _shares(new, name)) for name in names}
    return _filled(metrics), _filled(shares)


def _filled(by_column: Mapping[str, dict[str, Pair]]) -> dict[str, dict[str, Pair]]:
    return {name: pairs for name, pairs in by_column.items() if pairs}


def _raw(warehouse: "Warehouse", version: "Version") -> "Version | None":
    """The raw observations that a version is, or was made from; None where they are gone."""
    from seq_assets.sequencing.plans import Dataset

    if version.raw_version is None:
        return version
    try:
        return warehouse.find(Dataset.raw(version.dataset.model), version.raw_version)
    except NotPublishedError:
        return None


def _metrics(raw: "Version", name: str) -> dict[str, Any]:
    found = raw.metadata["metrics"][name]
    is_time = _by_name(raw.schema)[name].type is ColumnType.TIMESTAMP
    measured = {"nulls": raw.rows - found["count"], **found}
    return {metric: _readable(measured.get(metric), is_time and metric in ("min", "max")) for metric in _METRICS}


def _readable(value: Any, is_time: bool) -> Any:
    return (EPOCH + timedelta(microseconds=value)).isoformat() if is_time and value is not None else value


def _shares(raw: "Version", name: str) -> dict[str, float]:
    found = raw.metadata["metrics"][name]
    return {str(label): round(count / found["count"], 6) for label, count in found.get("labels", {}).items() if found["count"]}
