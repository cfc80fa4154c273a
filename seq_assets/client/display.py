"""How handles look to people: a few lines of text, and HTML for a notebook.

Belongs here: the words, and how tables are drawn. Not here: what is published (`datasets`, `catalog`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from seq_assets.errors import SeqAssetsError

if TYPE_CHECKING:
    import numpy as np

    from seq_assets.client.datasets import _PublishedRows

_MOST_COLUMNS: Final = 12
"""That are named; of more, it is said how many there are."""
_MOST_ITEMS: Final = 8
"""Of a sequence that are shown in a cell."""
_FIRST_ROWS: Final = 3
_WAYS: Final = "arrays: to_numpy(), to_torch(), batches(256), ds[0]; tables: to_pandas(), to_polars(), to_arrow(), head()"
_NOTHING: Final = "-"


def text_of(handle: "_PublishedRows") -> str:
    """What a handle is, in four lines: whose, how much of what, its columns, and how to get at it."""
    return "\n  ".join([f"{type(handle).__name__}: {_title(handle)}", *handle._facts, _WAYS])


def html_of(handle: "_PublishedRows") -> str:
    """The same, and a small table of the first rows; where they cannot be read, why."""
    facts = "<br>".join(escape(line) for line in handle._facts)
    try:
        rows = _as_table(handle)
    except SeqAssetsError as error:
        table = f"<p>{escape(str(error))}</p>"
    else:
        table = html_table(rows)
    return f"<div><strong>{type(handle).__name__}</strong>: {escape(_title(handle))}<br>{facts}{table}</div>"


def when(moment: datetime) -> str:
    """A time of publication, to the minute."""
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def named(columns: "Mapping[str, np.dtype[Any]]") -> str:
    """Columns with their types, in a line that is never long."""
    shown = ", ".join(f"{name} ({dtype})" for name, dtype in islice(columns.items(), _MOST_COLUMNS))
    more = len(columns) - _MOST_COLUMNS
    return f"{shown} and {more} more" if more > 0 else shown


def text_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows under the names of their columns, numbers to the right."""
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(isinstance(row[name], int | float | None) for row in rows) for name in rows[0]]
    aligned = (
        (
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, numeric, strict=True)
        )
        for line in cells
    )
    return "\n".join("  ".join(line).rstrip() for line in aligned)


def html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The same as HTML; nothing without rows."""
    if not rows:
        return ""
    names = "".join(f"<th>{escape(str(name))}</th>" for name in rows[0])
    lines = ("".join(f"<td>{escape(_cell(value))}</td>" for value in row.values()) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return _NOTHING
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _title(handle: "_PublishedRows") -> str:
    length = getattr(handle, "sequence_length", None)
    parts = [handle.model, handle.subset or "all subsets", *([f"length {length}"] if length else [])]
    return ", ".join([*parts, f"version {handle.version}"])


def _as_table(handle: "_PublishedRows") -> list[dict[str, str]]:
    """The first rows, a cell for each column, sequences cut short."""
    first = handle.head(_FIRST_ROWS)
    return [
        {name: _shown(value) for name, value in islice(row.items(), _MOST_COLUMNS)} for row in first.to_dict(orient="records")
    ]


def _shown(value: Any) -> str:
    if not getattr(value, "shape", ()):
        return str(value)
    items = ", ".join(str(item) for item in value[:_MOST_ITEMS])
    return f"[{items}{', …' if len(value) > _MOST_ITEMS else ''}]"
