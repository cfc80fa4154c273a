"""The page of a version, which every materialization of it shows behind the glance: where observations went, plots, a preview.

A page is part of its version, not of the run that made it: it is made once, kept in the warehouse, and made again where it is
lost.

Belongs here: words and tables in Markdown, made from a version and what the warehouse says of it. Not here: which metadata keys
there are at a glance (`metadata`), and how pictures are drawn (`plots`).
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Any, Final

import pyarrow.parquet as pq
from pydantic import TypeAdapter

from seq_assets.io_managers.plots import history_lengths_plot, pad_ratio_plot
from seq_assets.models import SUBSETS, ColumnType, ModelSpec
from seq_assets.models.columns import EPOCH
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.advice import Advice, Histories, advise, advised_lengths
from seq_assets.sequencing.plans import Dataset, SequencePlan
from seq_assets.warehouse.interface import Version, Warehouse

PAGE_FORMAT: Final = 1
"""Raised whenever a page would be made differently; pages of another format are made again."""
PADDING: Final = "·"
"""Stands for a position of padding in a preview."""
_PREVIEWED: Final = 3
_LOOKED_AT: Final = 1_000
_POSITIONS: Final = 20
_LONGEST_ITEM: Final = 16
_MOST_COLUMNS: Final = 100
_MOST_FEATURES: Final = 30


@dataclass(frozen=True)
class Page:
    """What a version shows behind the glance.

    Attributes:
        changed: How it differs from the version before it, in a line.
        previous_version: That version's id; None where there was none.
        shown: Markdown by metadata key.
    """

    changed: str
    previous_version: int | None
    shown: Mapping[str, str]

    def to_json(self) -> str:
        """The page as JSON text, as the warehouse keeps it."""
        return json.dumps({"format": PAGE_FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> "Page | None":
        """The page that `to_json` wrote; None where the text is of another format.

        Raises:
            ValueError: The text is no page, or not a whole one.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("no page")
        return _PAGE.validate_python(values) if values.pop("format", None) == PAGE_FORMAT else None


_PAGE: Final = TypeAdapter(Page)


def page_of(warehouse: Warehouse, version: Version, log: logging.Logger) -> Page:
    """The page that is kept with a version; where there is none that can be read, a new one, which is kept from now on."""
    kept = _kept_page(warehouse, version, log)
    if kept is not None:
        return kept
    made = make_page(warehouse, version)
    try:
        warehouse.keep_page(version, made.to_json())
    except Exception as error:
        # It is shown all the same, and made again next time.
        log.warning(f"{version.dataset.table}: the page of version {version.id} could not be kept: {_named(error)}")
    return made


def _kept_page(warehouse: Warehouse, version: Version, log: logging.Logger) -> Page | None:
    try:
        text = warehouse.page(version)
        return None if text is None else Page.from_json(text)
    except Exception as error:
        log.warning(
            f"{version.dataset.table}: the page of version {version.id} cannot be read and is made again: {_named(error)}"
        )
        return None


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def make_page(warehouse: Warehouse, version: Version) -> Page:
    """A page, from the version's files and what the warehouse says of it."""
    previous = _version_before(warehouse, version)
    make = _raw_page if version.dataset.sequence_length is None else _sequence_page
    return Page(difference(version, previous), previous.id if previous else None, make(warehouse, version))


def _version_before(warehouse: Warehouse, version: Version) -> Version | None:
    newest_first = iter(warehouse.versions(version.dataset))
    for other in newest_first:
        if other.id == version.id:
            break
    return next(newest_first, None)


def difference(version: Version, previous: Version | None) -> str:
    """How a version differs from the one before, in a line."""
    if previous is None:
        return "the first version"
    words = f"{version.rows - previous.rows:+,} rows"
    if previous.rows:
        words += f" ({version.rows / previous.rows - 1:+.1%})"
    if version.dataset.sequence_length is not None:
        words += f", pad ratio {_pad_ratio(version) - _pad_ratio(previous):+.4f}"
    return words + version.why_rebuilt


def _pad_ratio(version: Version) -> float:
    return SequenceAccounting(**version.metadata["accounting"]).pad_ratio


def _raw_page(warehouse: Warehouse, version: Version) -> dict[str, str]:
    spec = ModelSpec.model_validate(version.metadata["model"])
    shown = {
        "flow": _ingest_flow(IngestAccounting(**version.metadata["accounting"])),
        "column_metrics": _metrics_table(version),
    }
    histories = warehouse.histories(version, "train")
    if histories.longest:
        shown["history_lengths"] = history_lengths_plot(histories, spec.lengths)
    if histories.longest and not spec.is_raw:
        plan = SequencePlan.of(spec, "train", spec.lengths[0], version.id)
        advice = [
            advise(replace(plan, sequence_length=length), histories)
            for length in advised_lengths(plan, histories, spec.lengths)
        ]
        shown["pad_ratios"] = _advice_table(advice, spec)
        shown["pad_ratio_curve"] = pad_ratio_plot(advice, spec.lengths, spec.checks.pad_ratio.warn)
    return shown


def _sequence_page(warehouse: Warehouse, version: Version) -> dict[str, str]:
    plan = SequencePlan.from_json(version.metadata["plan"])
    shown = {"flow": _sequence_flow(SequenceAccounting(**version.metadata["accounting"]))}
    if version.rows:
        shown["preview"] = _preview(warehouse, version, plan)
        shown["history_lengths"] = history_lengths_plot(_histories(warehouse, plan), [plan.sequence_length])
    return shown


def _histories(warehouse: Warehouse, plan: SequencePlan) -> Histories:
    return warehouse.histories(warehouse.find(Dataset.raw(plan.model), plan.raw_version), plan.subset)


def markdown_table(rows: Iterable[Sequence[Any]], header: Sequence[str]) -> str:
    """A table in Markdown; a bar in a cell is written as HTML does."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "&#124;") for cell in line) + " |" for line in lines)


def _ingest_flow(counted: IngestAccounting) -> str:
    rows = [
        ("read", f"{counted.read:,}"),
        ("accepted", f"{counted.accepted:,}"),
        *((f"rejected: {reason}", f"{count:,}") for reason, count in counted.rejected_by_reason.items()),
        *((f"accepted: {subset}", f"{getattr(counted, subset):,}") for subset in SUBSETS),
    ]
    return markdown_table(rows, ("records", "number"))


def _sequence_flow(counted: SequenceAccounting) -> str:
    rows = [
        ("observations", f"{counted.observations:,}"),
        ("sequenced", f"{counted.sequenced:,}"),
        ("dropped by min_length", f"{counted.dropped_min_length:,}"),
        ("dropped by truncation", f"{counted.dropped_truncation:,}"),
        ("positions", f"{counted.positions:,}"),
        ("padding", f"{counted.padding:,}"),
    ]
    return markdown_table(rows, ("items", "number"))


def _metrics_table(version: Version) -> str:
    names = ("count", "unique", "min", "max", "mean", "standard_deviation")
    times = {column.name for column in version.schema.columns if column.type is ColumnType.TIMESTAMP}
    rows = [
        (column, *(_metric(column in times, name, found.get(name)) for name in names))
        for column, found in version.metadata["metrics"].items()
    ]
    return markdown_table(rows[:_MOST_COLUMNS], ("column", *names))


def _metric(is_time: bool, name: str, value: Any) -> str:
    if value is None:
        return ""
    if is_time and name in ("min", "max"):
        return f"{EPOCH + timedelta(microseconds=value):%Y-%m-%d %H:%M:%S}"
    return f"{value:,.6g}" if isinstance(value, float) else _cut(str(value), 40)


def _advice_table(advice: Sequence[Advice], spec: ModelSpec) -> str:
    rows = [
        (
            f"**{each.sequence_length}**" if each.sequence_length in spec.lengths else each.sequence_length,
            f"{each.accounting.sequences:,}",
            f"{each.accounting.pad_ratio:.1%}",
            f"{each.mostly_padding_ratio:.1%}",
            f"{each.accounting.dropped_truncation:,}",
            f"{each.bytes:,}",
        )
        for each in advice
    ]
    header = ("sequence length", "train sequences", "pad ratio", "mostly padding", "lost to truncation", "bytes")
    return markdown_table(rows, header)


def _preview(warehouse: Warehouse, version: Version, plan: SequencePlan) -> str:
    """Three sequences, of which one has padding if any of the first thousand has."""
    if not version.files:
        return "There is none."
    with warehouse.open_input(version.files[0]) as opened, pq.ParquetFile(opened) as parquet:
        sizes = next(parquet.iter_batches(batch_size=_LOOKED_AT, columns=["sequence_size"])).column(0).to_pylist()
        padded = [row for row, size in enumerate(sizes) if size < plan.sequence_length]
        chosen = sorted({*padded[:1], *range(min(len(sizes), _PREVIEWED))})[-_PREVIEWED:]
        # One row at a time, because a row may be 10,000 positions of many features.
        rows = parquet.iter_batches(batch_size=1)
        shown = [row.to_pylist()[0] for number, row in enumerate(islice(rows, chosen[-1] + 1)) if number in chosen]
    return "\n\n".join(_previewed(row, plan) for row in shown)


def _previewed(row: Mapping[str, Any], plan: SequencePlan) -> str:
    entity = plan.entity[0]
    title = (
        f"{entity} `{_cut(str(row[entity]), 40)}`, sequence {row['sequence_index']}, {row['sequence_size']} items from "
        f"position {row['sequence_start']} on:"
    )
    lines = []
    for feature in plan.features[:_MOST_FEATURES]:
        items = zip(row[f"{feature.name}_sequence"], row["is_pad_sequence"], strict=True)
        cells = [PADDING if is_pad else _cut(str(item), _LONGEST_ITEM) for item, is_pad in items]
        lines.append(f"{feature.name}: {' '.join(_middle_cut(cells))}")
    more = len(plan.features) - _MOST_FEATURES
    if more > 0:
        lines.append(f"and {more} more features")
    return title + "\n```\n" + "\n".join(lines) + "\n```"


def _middle_cut(cells: list[str]) -> list[str]:
    half = _POSITIONS // 2
    return cells if len(cells) <= _POSITIONS else [*cells[:half], "…", *cells[-half:]]


def _cut(text: str, most: int) -> str:
    plain = " ".join(text.replace("`", "'").splitlines()) if text else "''"
    return plain if len(plain) <= most else f"{plain[:most]}…"
