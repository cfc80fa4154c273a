"""What commands share in showing results: versions as rows, rows as tables, and JSON for scripts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from seq_assets.client.versions import describe_version

if TYPE_CHECKING:
    from seq_assets.warehouse.interface import Version

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
NOTHING: Final = "-"
"""Stands in a cell without a value, so that every line of a table has the same number of words."""
_WIDER_THAN_ANY_TABLE: Final = 100_000


def describe_versions(versions: Iterable["Version"]) -> list[dict[str, Any]]:
    """Versions as rows, table by table: by kind, then by length as a number."""
    by_table = sorted(versions, key=lambda version: (version.dataset.kind, version.dataset.sequence_length or 0))
    return [describe_version(version) for version in by_table]


def echo_table(rows: Sequence[Mapping[str, Any]], indent: str = "") -> None:
    """Rows under their column names, numbers to the right; nothing is wrapped or cut, however narrow the terminal is."""
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in rows[0]:
        table.add_column(Text(name), justify="right" if _is_numeric(rows, name) else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    console = Console(width=_WIDER_THAN_ANY_TABLE)
    with console.capture() as captured:
        console.print(table)
    click.echo("\n".join(indent + line.rstrip() for line in captured.get().splitlines()))


def _is_numeric(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether a column has numbers alone; ids and words are none."""
    values = [row[name] for row in rows if row[name] is not None]
    return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _cell(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
