"""The command line of the benchmarks."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import goals, growth, guard, loaders, texts, unchanged
from benchmarks.generating import HISTORIES, Observations
from benchmarks.report import keep, rows_of
from benchmarks.workbench import default_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    asked = _parser().parse_args(arguments)
    folder: Path = asked.folder
    if asked.what == "generate":
        print(Observations(asked.rows, asked.histories).file_in(folder / "observations"))
    elif asked.what == "goals":
        text, data = goals.run(folder, asked.rows, asked.times or goals.times_at(asked.rows))
        keep(folder / "results", f"goals at {rows_of(asked.rows)}", text, data, in_readme=asked.readme)
    elif asked.what == "growth":
        text, data = growth.run(folder, asked.rows)
        keep(folder / "results", "growth", text, data, in_readme=asked.readme)
    elif asked.what == "unchanged":
        text, data = unchanged.run(folder, asked.models, asked.times)
        keep(folder / "results", "unchanged", text, data, in_readme=False)
    elif asked.what == "texts":
        text, data = texts.run(folder, asked.rows, asked.files)
        keep(folder / "results", "texts", text, data, in_readme=False)
    elif asked.what == "loaders":
        text, data = loaders.run(folder, asked.rows)
        keep(folder / "results", "loaders", text, data, in_readme=asked.readme)
    else:
        return guard.run(folder, asked.rows)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmarks of the platform; see their README.")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="for data and results; default: %(default)s")
    commands = parser.add_subparsers(dest="what", required=True)
    generated = commands.add_parser("generate", help="only make observations; prints their file")
    generated.add_argument("--rows", type=int, default=17_000_000)
    generated.add_argument("--histories", choices=HISTORIES, default=HISTORIES[0])
    judged = commands.add_parser("goals", help="measure every goal; prints the table")
    judged.add_argument("--rows", type=int, default=17_000_000)
    judged.add_argument("--times", type=int, help="how often the main contenders run; default: 3, or 2 above 17 M rows")
    grown = commands.add_parser("growth", help="time and memory over rows, lengths, skew, and lengths in one backfill")
    grown.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 17_000_000], help="sizes; default: 1 and 17 M")
    loaded = commands.add_parser("loaders", help="rows/s into a training loop; needs torch and datasets: make bench-loaders")
    loaded.add_argument("--rows", type=int, default=loaders.ROWS)
    for command in (judged, grown, loaded):
        command.add_argument("--readme", action="store_true", help="put the result into the README too")
    idle = commands.add_parser("unchanged", help="what `seq-assets materialize` takes of many models, all unchanged")
    idle.add_argument("--models", type=int, default=unchanged.MODELS)
    idle.add_argument("--times", type=int, default=1)
    written = commands.add_parser("texts", help="what `seq-assets materialize` takes of CSV, JSON lines and many small files")
    written.add_argument("--rows", type=int, default=texts.ROWS)
    written.add_argument("--files", type=int, default=texts.SMALL_FILES)
    guarded = commands.add_parser("guard", help="quick: exit code 1 where the platform became slower beside DuckDB by a factor")
    guarded.add_argument("--rows", type=int, default=guard.ROWS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
