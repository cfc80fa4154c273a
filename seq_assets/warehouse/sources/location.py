"""From a source's location to its files: which ones, in which order, in which format, and whether they have changed."""

import glob
import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seq_assets.errors import SourceError
from seq_assets.models.cross_checks import nearest
from seq_assets.sample import SAMPLES

_SAMPLE: Final = "sample://"
_REMOTE: Final = ("s3://", "glue://")
_COMPRESSIONS: Final = (".gz", ".zst", ".zstd")
_FORMATS: Final = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".dkt": "dkt",
}


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        path: Where it is.
        name: Its path relative to the location, with `/`: what `_file` and error messages show.
        size: Bytes.
        modified: Nanoseconds since the epoch.
    """

    path: Path
    name: str
    size: int
    modified: int

    @property
    def extension(self) -> str:
        """The lower-case extension, without that of a compression."""
        suffixes = [suffix.lower() for suffix in self.path.suffixes]
        if suffixes and suffixes[-1] in _COMPRESSIONS:
            suffixes.pop()
        return suffixes[-1] if suffixes else ""


@dataclass(frozen=True)
class SourceFiles:
    """The files of a source, ordered by the UTF-8 bytes of their names.

    Attributes:
        location: The location as the model file gives it.
        format: parquet, csv, json or dkt.
        files: At least one.
    """

    location: str
    format: str
    files: tuple[SourceFile, ...]

    @property
    def fingerprint(self) -> str:
        """A hash of all names, sizes and times of modification: another one means that the source may have changed."""
        listing = "\n".join(f"{file.name}\0{file.size}\0{file.modified}" for file in self.files)
        return hashlib.sha256(f"{self.format}\n{listing}".encode()).hexdigest()


def find_files(location: str, folder: str, source_format: str) -> SourceFiles:
    """The files at a location.

    Args:
        location: A path, folder or glob, or `sample://<name>`. Hidden files, and those whose name or folder begins with `_`,
            do not count.
        folder: Where a relative location starts.
        source_format: A format, or `auto`, which goes by the files' extensions.

    Raises:
        SourceError: Nothing is there, a file is empty, or the format cannot be told.
    """
    root, paths = _matches(location, folder)
    files = [_source_file(path, root) for path in paths]
    files.sort(key=lambda file: file.name.encode())
    if not files:
        raise SourceError(f"No source file at {location!r} (looked in {root}); put one there or mend source.location.")
    for file in files:
        if file.size == 0:
            raise SourceError(f"The source file {file.path} is empty (0 bytes); remove or mend it.")
    return SourceFiles(location, _format_of(files, source_format), tuple(files))


def _matches(location: str, folder: str) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files."""
    if location.startswith(_SAMPLE):
        name = location.removeprefix(_SAMPLE)
        if name not in SAMPLES:
            raise SourceError(f"No sample {name!r}; allowed: {', '.join(SAMPLES)}{nearest(name, SAMPLES)}")
        return SAMPLES[name].parent, [SAMPLES[name]]
    if location.startswith(_REMOTE):
        raise SourceError(f"{location!r} cannot be read in the environment local; name a path, a folder or a glob there.")
    path = Path(folder) / Path(location).expanduser()
    if path.is_dir():
        return path, [found for found in path.rglob("*") if found.is_file() and not _is_hidden(found.relative_to(path))]
    if path.is_file():
        return path.parent, [path]
    pattern = Path(location).expanduser()
    root = Path(folder) / _literal_folder(pattern)
    # Not Path.glob, which takes no absolute pattern. A set, because `**/**` finds a file more than once.
    found = {Path(folder) / match for match in glob.glob(str(pattern), root_dir=folder, recursive=True)}  # noqa: PTH207
    return root, [match for match in found if match.is_file() and not _is_hidden(match.relative_to(root))]


def _literal_folder(pattern: Path) -> Path:
    """The longest part of a pattern's path without wildcards."""
    parts = pattern.parts
    wild = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:wild])


def _is_hidden(name: Path) -> bool:
    return any(part.startswith((".", "_")) for part in name.parts)


def _source_file(path: Path, root: Path) -> SourceFile:
    status = path.stat()
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"The source file {os.fsencode(path)!r} has a name that is not UTF-8; rename it.") from error
    return SourceFile(path, name, status.st_size, status.st_mtime_ns)


def _format_of(files: list[SourceFile], wanted: str) -> str:
    if wanted != "auto":
        return wanted
    formats = Counter(_FORMATS.get(file.extension, "") for file in files)
    if len(formats) == 1 and "" not in formats:
        return next(iter(formats))
    unknown = next((file.name for file in files if file.extension not in _FORMATS), None)
    found = f"the file {unknown!r}" if unknown else f"files of several formats ({', '.join(sorted(formats))})"
    raise SourceError(f"source.format auto: found {found}; allowed: one of {', '.join(_FORMATS)}, or set source.format.")
