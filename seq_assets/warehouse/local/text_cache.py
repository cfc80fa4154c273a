"""What was read and judged of text files, kept from one ingest to the next: a Parquet file for each text file.

A kept file has the stage's rows of one text file: `_row`, the contract's columns in their stored types, and `_rejections` where
any record was rejected. Which subset an observation belongs to, and in which order it stands, is not in it. Its name has two
hashes: of all that decides its content, and of its bytes, by which a file that is torn, damaged or of somebody else is told.
Without it the text is read again, so that whoever removes a kept file loses time and nothing else.

Belongs here: which kept file is whose, whether it is whole, keeping one, and letting go of what is of no more use. Not here:
reading text (`sources`), and what is done with the stage (`ingest`).
"""

import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from seq_assets.models import ModelSpec
from seq_assets.sequencing.plans import SEMANTICS
from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.engine import BATCH_ROWS, Engine, parquet, quoted, text_literal
from seq_assets.warehouse.sources.location import SourceFiles
from seq_assets.warehouse.sources.records import FileFindings, SourceFindings
from seq_assets.warehouse.storage.durable import make_folder

logger = logging.getLogger(__name__)

SMALLEST_KEPT: Final = 1 << 20
"""Bytes of a text file; of a smaller one, what is kept would hardly be read more quickly than the text."""
_FORMAT: Final = 1
"""Raised whenever a kept file of before would be taken for something else."""
_FACTS: Final = "seq_assets"
_HASH_DIGITS: Final = 32
_SECONDS_UNUSED: Final = 24 * 60 * 60
_NO_REJECTIONS: Final = """NULL::STRUCT("column" VARCHAR, "value" VARCHAR, detail VARCHAR, reason VARCHAR)[]"""


@dataclass(frozen=True)
class KeptFile:
    """What is kept of one text file.

    Attributes:
        path: The Parquet file.
        records: How many records its reader has counted.
        findings: What else the text turned out to have.
        has_rejections: Whether any of the records was rejected.
    """

    path: Path
    records: int
    findings: FileFindings
    has_rejections: bool


@dataclass(frozen=True)
class TextCache:
    """Where the text files of one model are kept.

    Attributes:
        folder: The folder, for this model alone; it may be missing.
        smallest: The bytes of the smallest text file of which something is kept; None where nothing is.
    """

    folder: Path
    smallest: int | None

    @classmethod
    def of_home(cls, home: Path, model: str, smallest: int | None) -> "TextCache":
        """That of a model in a home."""
        return cls(home / "cache" / "text_files" / model, smallest)

    def open(self, spec: ModelSpec, source: SourceFiles, judged: str) -> "KeptTexts":
        """Looks up what is kept of a source, and whether it is whole.

        Args:
            spec: The model.
            source: The files. Of a single one nothing is kept: as soon as it has changed, all has to be read.
            judged: The query that judges records of text.
        """
        is_kept = self.smallest is not None and source.format != "parquet" and len(source.files) > 1
        keys = _keys(spec, source, judged, self.smallest or 0) if is_kept else {}
        by_key = {path.name.partition(".")[0]: path for path in self.folder.glob("*.parquet")} if keys else {}
        files = {}
        for index, key in keys.items():
            raise_if_canceled()
            if key in by_key and (found := _whole(by_key[key])):
                files[index] = found
        return KeptTexts(self.folder, spec, source, keys, files)


class KeptTexts:
    """What is kept of the text files of one source, for one ingest.

    Attributes:
        files: By the index of a text file: what was found of it.
    """

    def __init__(
        self, folder: Path, spec: ModelSpec, source: SourceFiles, keys: Mapping[int, str], files: Mapping[int, KeptFile]
    ) -> None:
        """What `TextCache.open` has found.

        Args:
            folder: Where kept files are.
            spec: The model.
            source: The files.
            keys: By the index of each text file of which something is to be kept: a hash of all that decides it.
            files: By the same index: what was found.
        """
        self.files = dict(files)
        self._folder = folder
        self._spec = spec
        self._source = source
        self._keys = keys

    def query(self, engine: Engine) -> str:
        """The query that makes stage rows of what was found; the engine gets the indexes of the files."""
        paths = pa.array(str(file.path) for file in self.files.values())
        engine.register("kept_files", pa.table({"path": paths, "file": pa.array(self.files, pa.int32())}))
        # Not all together, because what one of them lacks, all would have to be looked at for.
        groups = [[file.path for file in self.files.values() if file.has_rejections is has] for has in (False, True)]
        rejections = [_NO_REJECTIONS, "_rejections"]
        return " UNION ALL ".join(
            f"""SELECT file AS _file, _row, {rejected} AS _rejections, {self._columns}
            FROM {parquet(paths, "filename = '_path'")} JOIN kept_files ON path = _path"""
            for paths, rejected in zip(groups, rejections, strict=True)
            if paths
        )

    def let_go(self, error: Exception) -> None:
        """Takes nothing of what was found, because it cannot be read."""
        logger.warning("What is kept in %s cannot be read, so that the text is: %s", self._folder, _first_line(error))
        self.files.clear()

    def keep(
        self,
        engine: Engine,
        stage: str,
        records: Mapping[int, int],
        findings: SourceFindings,
        look_again: Callable[[], SourceFiles],
        scratch: Path,
        rows_at_once: int,
    ) -> None:
        """Keeps what the stage has of the files that were read, as far as the machine lets it.

        Args:
            engine: Has the stage.
            stage: The stage table.
            records: By the index of a file that was read: how many records its reader has counted.
            findings: What the files turned out to have.
            look_again: Finds the files as they are now; of one that is another one, nothing is kept.
            scratch: A folder of this process on the same disk.
            rows_at_once: The rows that fit into memory, however long they are.
        """
        read = [index for index in self._keys if index not in self.files]
        if not read:
            return
        unchanged = set(look_again().files)
        staged = engine.rows(f"SELECT _file, count(*), count(_rejections) FROM {stage} GROUP BY _file")
        counts = {index: (rows, rejected) for index, rows, rejected in staged}
        made: dict[int, KeptFile] = {}
        with self._removed_where_refused(made):
            make_folder(self._folder)
            for index in read:
                rows, rejected = counts.get(index, (0, 0))
                # Others are for the audit, which says what was lost.
                if self._source.files[index] in unchanged and rows == records.get(index, 0):
                    file = KeptFile(scratch / f"{self._keys[index]}.parquet", rows, findings.of(index), rejected > 0)
                    engine.execute(self._statement(stage, index, file, rows_at_once))
                    made[index] = self._placed(file)
        self.files |= made

    def tidy(self) -> None:
        """Removes what neither this ingest nor another one has used for a day."""
        used, oldest = {file.path for file in self.files.values()}, time.time() - _SECONDS_UNUSED
        for path in self._folder.glob("*.parquet"):
            with suppress(OSError):
                if path not in used and path.stat().st_mtime < oldest:
                    path.unlink()

    @property
    def _columns(self) -> str:
        return ", ".join(quoted(name) for name in self._spec.columns)

    def _statement(self, stage: str, index: int, file: KeptFile, rows_at_once: int) -> str:
        """Writes a kept file. Uncompressed, it is half as large as the text, and written and read more quickly."""
        rejections = "_rejections, " if file.has_rejections else ""
        size = f", ROW_GROUP_SIZE {rows_at_once}" if rows_at_once < BATCH_ROWS else ""
        return f"""
            COPY (SELECT _row, {rejections}{self._columns} FROM {stage} WHERE _file = {index})
            TO {text_literal(str(file.path))}
            (FORMAT parquet, COMPRESSION uncompressed, KV_METADATA {{{_FACTS}: {text_literal(_facts(file))}}}{size})"""

    def _placed(self, file: KeptFile) -> KeptFile:
        """Gives a file that is whole its name, at once; a cut of the power may tear it, which its hash tells."""
        path = self._folder / f"{file.path.stem}.{_hash_of(file.path)}.parquet"
        file.path.replace(path)
        return KeptFile(path, file.records, file.findings, file.has_rejections)

    @contextmanager
    def _removed_where_refused(self, made: Mapping[int, KeptFile]) -> Iterator[None]:
        """Has what the machine refuses be no failure; the room that was taken until then may be needed by what is to come."""
        import duckdb

        try:
            yield
        except (OSError, duckdb.Error) as error:
            logger.warning(
                "What was read of %r cannot be kept in %s, so that the next ingest reads it again: %s",
                self._source.location,
                self._folder,
                _first_line(error),
            )
            for file in made.values():
                file.path.unlink(missing_ok=True)


def _keys(spec: ModelSpec, source: SourceFiles, judged: str, smallest: int) -> dict[int, str]:
    """Of each file that is large enough: a hash of all that decides what is kept of it."""
    import duckdb

    programs = [version("seq-assets"), platform.python_version(), duckdb.__version__, pa.__version__]
    options = spec.source.options.model_dump(mode="json")
    # The query does not have the accepted values that are looked up.
    common = [_FORMAT, SEMANTICS, programs, source.format, options, spec.digest("columns"), judged]
    start = hashlib.sha256(json.dumps(common).encode())
    keys = {}
    for index, file in enumerate(source.files):
        if file.size >= smallest:
            key = start.copy()
            key.update(json.dumps([file.location, file.name, file.size, file.modified]).encode())
            keys[index] = key.hexdigest()[:_HASH_DIGITS]
    return keys


def _whole(path: Path) -> KeptFile | None:
    """What is kept in a file, which counts as used; None where that is not what was written, which then goes."""
    try:
        if _hash_of(path) == path.name.split(".")[1]:
            found = _of_footer(path)
            with suppress(OSError):  # of a home that may only be read
                os.utime(path)
            return found
        logger.warning("%s is damaged, so that the text is read that it was made of", path)
        path.unlink()
    except (OSError, pa.ArrowInvalid) as error:
        logger.warning("%s cannot be read, so that the text is that it was made of: %s", path, _first_line(error))
    return None


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_HASH_DIGITS]


def _facts(file: KeptFile) -> str:
    """What the footer of a kept file says of it."""
    found = file.findings
    facts = {"columns": found.columns, "over_lines": found.records_over_lines, "has_rejections": file.has_rejections}
    return json.dumps({"records": file.records, **facts})


def _of_footer(path: Path) -> KeptFile:
    facts: dict[str, Any] = json.loads(pq.read_metadata(path).metadata[_FACTS.encode()])
    findings = FileFindings(tuple(facts["columns"]), facts["over_lines"])
    return KeptFile(path, facts["records"], findings, facts["has_rejections"])


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
