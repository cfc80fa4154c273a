"""Published versions as people and scripts read them: each a row of words and numbers, and all of them a table.

Belongs here: what is said of a version at a glance. Not here: which versions there are (`datasets`), and how the command line
draws tables (`cli.shown`).
"""

from typing import TYPE_CHECKING, Any

# A list at run time, of which only checkers know what is in it: the warehouse is loaded where it is used.
if TYPE_CHECKING:
    from seq_assets.warehouse.interface import Version

    _Versions = list[Version]
else:
    _Versions = list


class Versions(_Versions):
    """A list of versions, which shows itself as a table."""

    def __repr__(self) -> str:
        """The table, and a row of column names."""
        if not self:
            return "no versions"
        rows = [describe_version(version) for version in self]
        lines = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        is_number = [isinstance(value, int | float) for value in rows[0].values()]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(line, widths, is_number, strict=True)
            ).rstrip()
            for line in lines
        )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def describe_version(version: "Version") -> dict[str, Any]:
    """A version as a row: its table, id, time, rows, pad ratio and what it was made from.

    Ids are texts: they have more digits than numbers of JSON hold in most programs.
    """
    from seq_assets.sequencing.accounting import SequenceAccounting

    sequenced = version.dataset.sequence_length is not None
    ratio = round(SequenceAccounting(**version.metadata["accounting"]).pad_ratio, 4) if sequenced else None
    return {
        "table": version.dataset.table,
        "version": str(version.id),
        "committed_at": version.committed_at.isoformat(timespec="seconds"),
        "rows": version.rows,
        "pad_ratio": ratio,
        "raw_version": None if version.raw_version is None else str(version.raw_version),
        "source_fingerprint": version.metadata["source_fingerprint"][:12],
    }
