"""Tables of results, as Markdown, and their place in the README."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import Measurement

README: Final = Path(__file__).with_name("README.md")


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows under their column names; a column whose first value is a number, or a text of one, is set right."""
    names = list(rows[0])
    cells = [[str(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[column]) for line in cells)) for column, name in enumerate(names)]
    lines = [names, ["-" * width for width in widths], *cells]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def seconds(value: float) -> str:
    """A time for people."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def cores(measurement: Measurement) -> str:
    """How many cores worked, on average, for people."""
    return f"{measurement.cpu_seconds / measurement.seconds:.2f}"


def memory(value: float) -> str:
    """A number of bytes for people."""
    return f"{value / 2**30:.2f} GiB"


def rows_of(count: int) -> str:
    """A number of rows for people."""
    return f"{count / 1e6:g} M rows"


def with_section(text: str, name: str, content: str) -> str:
    """A text with the generated section of a name replaced.

    Raises:
        ValueError: It has no such section.
    """
    begin, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"The text has no section between {begin} and {end}; put both lines where it belongs.")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def keep(folder: Path, name: str, content: str, data: Any, *, in_readme: bool) -> Path:
    """Prints a result, writes it as JSON, and, if asked, as a section of the README; returns the JSON file."""
    print(content)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name.replace(' ', '_')}.json"
    file.write_text(json.dumps(data, indent=2), encoding="utf-8")
    if in_readme:
        README.write_text(with_section(README.read_text(encoding="utf-8"), name, content), encoding="utf-8")
    return file
