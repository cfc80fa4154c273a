"""Whatever stands in a source: the process ends by itself, with a sentence where it fails, and in bounded memory.

Belongs here: sources that are made to break their reader, each read in a process of its own. Not here: what becomes of single
values (`contract.test_lossless`).
"""

import gzip
import random
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets.sequencing.plans import Dataset
from seq_assets_tests.tally import tally
from seq_assets_tests.warehouse import processes
from seq_assets_tests.warehouse.building import Workspace

MIB: Final = 1 << 20
MOST_MEMORY: Final = 4 << 10
"""MiB of a whole process."""
MOST_SECONDS: Final = 1_500
"""In which the largest source is read also by a machine that does much else."""
TOO_LONG: Final = {"too_long": 1}


@dataclass(frozen=True)
class Hostile:
    """A source of some size.

    Attributes:
        name: The name of its file.
        write: Writes a file whose hostile part has so many bytes.
        rejected: Why its records are rejected, where it can be read.
        error: What is said of it, where it cannot be.
        options: Of the source.
    """

    name: str
    write: Callable[[Path, int], None]
    rejected: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def pieces(size: int) -> Iterator[bytes]:
    piece = b"a" * MIB
    yield from (piece for _ in range(size // MIB))
    yield piece[: size % MIB]


def write_between(before: bytes, after: bytes) -> Callable[[Path, int], None]:
    """A file of one very long value."""

    def write(path: Path, size: int) -> None:
        with path.open("wb") as file:
            file.write(before)
            file.writelines(pieces(size))
            file.write(after)

    return write


def write_bomb(path: Path, size: int) -> None:
    """A few bytes that are many, without a line end."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(compressor.compress(b"pupil,time,item\n1,1,1\n"))
        for piece in pieces(size):
            file.write(compressor.compress(piece))
        file.write(compressor.flush())


def write_cut_off(path: Path, size: int) -> None:
    """A compressed file whose end is missing, so that reading it fails in its middle."""
    is_json = path.name.startswith("x.jsonl")
    line = '{"pupil": %d, "time": 1, "item": 1}\n' if is_json else "%d,1,1\n"
    generator = random.Random(0)
    # Longer than what gzip remembers, so that what is cut off is not small.
    lines = "".join(line % generator.randrange(2**31) for _ in range(MIB // len(line)))
    whole = gzip.compress((("" if is_json else "pupil,time,item\n") + lines * (size // MIB)).encode(), 1)
    path.write_bytes(whole[: len(whole) * 2 // 3])


def write_page(path: Path, size: int) -> None:
    """One page of a few very long texts."""
    texts = pa.array(["1", *["a" * (size // 100)] * 100], pa.large_string())
    table = pa.table({"pupil": [1] * 101, "time": [1] * 101, "item": texts})
    pq.write_table(table, path, use_dictionary=False, compression="zstd")


HOSTILE: Final = {
    "a gzip bomb": Hostile("x.csv.gz", write_bomb, TOO_LONG),
    "a gzip bomb of JSON": Hostile("x.jsonl.gz", write_bomb, {"too_long": 1, "malformed": 2}),
    "a field of CSV": Hostile("x.csv", write_between(b"pupil,time,item\n1,1,1\n1,2,", b"\n1,3,1\n"), TOO_LONG),
    "a quoted field of CSV": Hostile("x.csv", write_between(b'pupil,time,item\n1,1,1\n1,2,"', b'"\n1,3,1\n'), TOO_LONG),
    "a quoted field that is never closed": Hostile("x.csv", write_between(b'pupil,time,item\n1,1,1\n1,2,"', b""), TOO_LONG),
    "a value of JSON": Hostile("x.jsonl", write_between(b'{"pupil": 1, "time": 1, "item": 1}\n{"pupil": "', b'"}\n'), TOO_LONG),
    "a line of three-line text": Hostile(
        "x.txt",
        write_between(b"1\n1\n1\n2\n1,", b"\n1,1\n"),
        TOO_LONG,
        options={"format": "dkt", "columns": {"pupil": "entity", "time": "position", "item": "skill"}},
    ),
    "a header": Hostile(
        "x.csv", write_between(b"pupil,time,item", b"\n1,1,1\n"), error="header of .* is malformed .a line of more"
    ),
    "lines to leave out": Hostile(
        "x.csv", write_between(b"", b"\npupil,time,item\n1,1,1\n"), options={"options": {"skip_rows": 1}}
    ),
    "texts of one page": Hostile("x.parquet", write_page, {"too_long": 100}, options={"options": {"max_value_bytes": 100_000}}),
    "an error in the middle of CSV": Hostile("x.csv.gz", write_cut_off, error="cannot be read: Truncated"),
    "an error in the middle of JSON": Hostile("x.jsonl.gz", write_cut_off, error="cannot be read: Truncated"),
}


def read_in_a_process(workspace: Workspace, kind: str, size: int, patience: float = processes.PATIENCE) -> int:
    """Reads a source as it must be read; by how many MiB memory grew."""
    hostile = HOSTILE[kind]
    hostile.write(workspace.folder / hostile.name, size)
    names = hostile.options.get("columns", {"pupil": "pupil", "time": "time", "item": "item"})
    spec = workspace.model(
        source={
            "location": hostile.name,
            "format": hostile.options.get("format", "auto"),
            "options": hostile.options.get("options", {}),
        },
        columns={name: {"type": "string", "from": source} for name, source in names.items()},
        checks={"rejected_ratio": {"max": 1.0}},
    )
    told = processes.context().Queue()
    home = workspace.folder.parent / "home"
    code = processes.run(processes.execute_and_tell, home, workspace.ingest_plan(spec), told, patience=patience)
    told_by_it: tuple[str, int] = told.get(timeout=processes.PATIENCE)
    error, grown = told_by_it
    if hostile.error:
        assert code == 1
        assert re.search(f"^SourceError: .*{hostile.error}", error)
        return grown
    assert (code, error) == (0, "")
    metadata = workspace.warehouse.find(Dataset.raw(spec.name)).metadata
    assert metadata["accounting"]["rejected_by_reason"] == hostile.rejected
    return grown


QUICK: Final = ("a quoted field of CSV", "an error in the middle of JSON", "texts of one page")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind not in QUICK)) for kind in HOSTILE])
def test_what_is_too_much_ends_no_process(workspace: Workspace, kind: str) -> None:
    assert read_in_a_process(workspace, kind, 40 * MIB) < 500


@pytest.mark.faults
@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_far_too_much_ends_no_process(
    workspace: Workspace, kind: str, record_property: Callable[[str, object], None]
) -> None:
    size = 10_000 * MIB if "bomb" in kind else 1_000 * MIB if "error" not in kind else 100 * MIB
    grown = [read_in_a_process(workspace, kind, size, MOST_SECONDS) for _ in range(8 if "error" in kind else 1)]
    assert max(grown) < MOST_MEMORY
    record_property(*tally(f"{kind} of {size // MIB:,} MiB, {max(grown):,} MiB of memory", len(grown), {"raw exceptions": 0}))
