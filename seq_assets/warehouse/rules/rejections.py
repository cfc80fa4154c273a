"""What people are told about rejected records: how many for which reason, the first of them, and the remedy.

Pure functions from counts and rows to text, the same for every warehouse.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from seq_assets.models import ModelSpec
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.warehouse.rules.contract_sql import TOO_LONG_REASON
from seq_assets.warehouse.rules.remedies import has_text_options, value_remedies
from seq_assets.warehouse.sources.blocks import NOT_CLOSED, TEXT_AFTER

ROWS_SHOWN = 5
_NONE_KNOWN: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})
_LONGEST_TEXT = 80
_VALUES_SHOWN: Final = 50


@dataclass(frozen=True)
class Rejection:
    """One row of `rejected_observations`."""

    file: str
    row: int | None
    column: str | None
    value: str | None
    detail: str | None
    reason: str

    def __str__(self) -> str:
        """One line: where it stands, what stood there, why that was rejected, and the detail of it."""
        shown = self.value if self.value is None or len(self.value) <= _LONGEST_TEXT else f"{self.value[:_LONGEST_TEXT]}…"
        where = f"column {self.column!r}, value {shown!r}" if self.column else repr(shown)
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.file}, row {self.row}, {where}: {self.reason}{detail}"


def too_many_rejected(
    spec: ModelSpec,
    accounting: IngestAccounting,
    failed_columns: Iterable[tuple[str | None, str, int]],
    first: Iterable[Rejection],
    unreadable: Mapping[str, Sequence[str]] = _NONE_KNOWN,
) -> str:
    """The message for a rejected ratio above the model's maximum.

    Args:
        spec: The model.
        accounting: Where every record went.
        failed_columns: Column (None for a whole record), reason, and how often it stands in `rejected_observations`.
        first: The first rows of `rejected_observations`.
        unreadable: Some values of columns that were not readable, as they stood, where any are known.
    """
    reasons = ", ".join(f"{reason} {count}" for reason, count in accounting.rejected_by_reason.items())
    first = list(first)
    details = {rejection.detail for rejection in first}
    lines = [
        f"{accounting.rejected} of {accounting.read} records were rejected ({reasons}), a ratio of "
        f"{accounting.rejected_ratio:.4g}; allowed: checks.rejected_ratio.max, {spec.checks.rejected_ratio.max:g}.",
        "Mend the rows, change the fields of the model file that refuse them, or raise the maximum:",
        *_remedies(spec, failed_columns, unreadable, details),
        "The first rejected:",
        *(f"  {rejection}" for rejection in first),
    ]
    return "\n".join(lines)


def _remedies(
    spec: ModelSpec,
    failed_columns: Iterable[tuple[str | None, str, int]],
    unreadable: Mapping[str, Sequence[str]],
    details: Collection[str | None],
) -> Iterator[str]:
    for column, reason, count in failed_columns:
        if reason == TOO_LONG_REASON:
            yield f"  {count} {reason}: source.options.max_value_bytes, now {spec.source.options.max_value_bytes}"
        elif column is None:
            yield from _remedies_of_records(spec, f"  {count} {reason}: source.format", details)
        elif reason == "split_value":
            yield f"  {count} {reason}: split.train, split.validation (the values of {column})"
        else:
            field = {"unreadable": "type", "null": "nullable"}.get(reason, reason)
            said = getattr(spec.columns[column], field)
            yield f"  {count} {reason}: columns.{column}.{field}, now {_shown(said)}"
            if reason == "unreadable":
                yield from (f"    {remedy}" for remedy in value_remedies(spec, column, unreadable.get(column, ())))


def _shown(said: Any) -> str:
    """What a field of the model file says; of a long list, its beginning."""
    if not isinstance(said, tuple):
        return str(said).lower() if isinstance(said, bool) else str(said)
    if len(said) <= _VALUES_SHOWN:
        return str(list(said))
    return f"[{', '.join(map(repr, said[:_VALUES_SHOWN]))}, …], {len(said):,} values"


def _remedies_of_records(spec: ModelSpec, beginning: str, details: Collection[str | None]) -> Iterator[str]:
    """The fields by which records are what they are, and the one that reads quotes that were never meant as such."""
    if not has_text_options(spec.source):
        yield f"{beginning}, source.options.encoding"
        return
    yield f"{beginning}, source.options (delimiter, quoting, encoding)"
    if not {NOT_CLOSED, TEXT_AFTER}.isdisjoint(details):
        yield "    where a quote is a character like others: source.options.quoting: none"
