"""What commands share in showing results: versions as rows, rows as tables, and JSON for scripts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from seq_assets.warehouse.interface import Version

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def describe_version(version: "Version") -> dict[str, Any]:
    """A version as a row: its table, id, time, rows, pad ratio and what it was made from."""
    from seq_assets.sequencing.accounting import SequenceAccounting

    sequenced = version.dataset.sequence_length is not None
    ratio = round(SequenceAccounting(**version.metadata["accounting"]).pad_ratio, 4) if sequenced else None
    return {
        "table": version.dataset.table,
        "version": version.id,
        "committed_at": version.committed_at.isoformat(timespec="seconds"),
        "rows": version.rows,
        "pad_ratio": ratio,
        "raw_version": version.raw_version,
        "source_fingerprint": version.metadata["source_fingerprint"][:12],
    }


def echo_table(rows: Sequence[Mapping[str, Any]], indent: str = "") -> None:
    """Rows under their column names, aligned."""
    if not rows:
        return
    cells = [list(rows[0]), *([("" if value is None else str(value)) for value in row.values()] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        click.echo(indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
