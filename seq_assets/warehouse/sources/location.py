"""From a source's location to its files: which ones, in which order, in which format, and whether they have changed."""

import fnmatch
import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

import pyarrow as pa

from seq_assets.errors import SourceError
from seq_assets.models.cross_checks import nearest
from seq_assets.models.file_kinds import kind_of_file
from seq_assets.sample import SAMPLES

_SAMPLE: Final = "sample://"
_S3: Final = "s3://"
_GLUE: Final = "glue://"
_COMPRESSIONS: Final = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
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
        location: Where it is: a path, or an address on S3.
        name: Its path relative to the source's location, with `/`: what `_file` shows.
        size: Bytes.
        modified: What tells that it was written again: nanoseconds since the epoch, or the ETag on S3.
    """

    location: str
    name: str
    size: int
    modified: int | str

    @property
    def is_on_s3(self) -> bool:
        """Whether it is an object on S3."""
        return self.location.startswith(_S3)

    @property
    def extension(self) -> str:
        """The lower-case extension, without that of a compression."""
        suffixes = [suffix.lower() for suffix in PurePosixPath(self.name).suffixes]
        if suffixes and suffixes[-1] in _COMPRESSIONS:
            suffixes.pop()
        return suffixes[-1] if suffixes else ""

    @property
    def compression(self) -> str | None:
        """Arrow's name of the compression that the name tells."""
        return _COMPRESSIONS.get(PurePosixPath(self.name).suffix.lower())

    def open(self) -> BinaryIO:
        """Its bytes as they are, read as they are asked for, from any place.

        Raises:
            SourceError: It cannot be opened; reading from S3 raises the same.
        """
        if self.is_on_s3:
            from seq_assets.warehouse.storage.object_store import open_object

            return open_object(self.location)
        try:
            return cast(BinaryIO, pa.OSFile(self.location))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise SourceError(f"The source file {self.location} cannot be opened: {reason}; mend that.") from error


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

    def by_subset(self) -> tuple[list[int], list[int]]:
        """Of a split by location: the numbers of the files of train, and of validation.

        Raises:
            SourceError: A file is below neither `train/` nor `validation/`.
        """
        indexes: dict[str, list[int]] = {"train": [], "validation": []}
        for index, file in enumerate(self.files):
            folder = file.name.split("/", maxsplit=1)[0] if "/" in file.name else ""
            if folder not in indexes:
                raise SourceError(
                    f"split.strategy location: found {file.name!r} below {self.location!r}; "
                    "allowed: files below train/ and validation/ only."
                )
            indexes[folder].append(index)
        return indexes["train"], indexes["validation"]

    def without_rows(self) -> SourceError:
        """The error for files in which no record was found."""
        return SourceError(f"The source {self.location!r} has no rows in {len(self.files)} file(s); put some there.")

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def fingerprint(self) -> str:
        """A hash of all names, sizes and times of modification: another one means that the source may have changed."""
        listing = "\n".join(f"{file.name}\0{file.size}\0{file.modified}" for file in self.files)
        return hashlib.sha256(f"{self.format}\n{listing}".encode()).hexdigest()


def find_files(location: str, folder: str, source_format: str) -> SourceFiles:
    """The files at a location.

    Args:
        location: A path, folder or glob, the same on S3 (`s3://bucket/…`), or `sample://<name>`. Hidden files, and those whose
            name or folder begins with `_`, do not count.
        folder: Where a relative location starts.
        source_format: A format, or `auto`, which goes by the files' extensions.

    Raises:
        SourceError: Nothing is there, a file is empty, the store refuses, or the format cannot be told.
    """
    if location.startswith(_GLUE):
        raise SourceError(f"{location!r} is a table, which the environment prod alone can read; name files or objects here.")
    root, files = _objects(location) if location.startswith(_S3) else _local_files(location, folder)
    files.sort(key=lambda file: file.name.encode())
    if not files:
        raise SourceError(f"No source file at {location!r} (looked in {root}); put one there or mend source.location.")
    for file in files:
        if file.size == 0:
            raise SourceError(f"The source file {file.location} is empty (0 bytes); remove or mend it.")
    return SourceFiles(location, _format_of(files, source_format), tuple(files))


def would_read(location: str, folder: Path, place: str) -> bool:
    """Whether files directly in a folder would be among those at a location, or would replace the location itself.

    Args:
        location: As of `find_files`.
        folder: Where a relative location, or a relative place, starts.
        place: The folder: a path or an address on S3; it may be missing.
    """
    if location.startswith((_SAMPLE, _GLUE)) or location.startswith(_S3) != place.startswith(_S3):
        return False
    found, written = (_parts(address, folder) for address in (location, place))
    if found[: len(written)] == written:
        return True
    inside = (*written, "any.parquet")
    if written[: len(found)] == found:
        return not _is_hidden(inside[len(found) :])
    wild = next((number for number, part in enumerate(found) if glob.has_magic(part)), len(found))
    return inside[:wild] == found[:wild] and not _is_hidden(inside[wild:]) and _is_match(inside[wild:], found[wild:])


def _parts(address: str, folder: Path) -> tuple[str, ...]:
    """The names that an address or a path consists of; links are followed."""
    if address.startswith(_S3):
        return tuple(part for part in address.removeprefix(_S3).split("/") if part)
    return (folder / _at_home(address)).resolve().parts


def _local_files(location: str, folder: str) -> tuple[str, list[SourceFile]]:
    try:
        root, paths = _matches(location, folder)
        return str(root), [_source_file(path, root) for path in paths]
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        reason = error.strerror or type(error).__name__
        raise SourceError(f"The source {location!r} cannot be looked at{place}: {reason}; mend that.") from error


def _matches(location: str, folder: str) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files."""
    if location.startswith(_SAMPLE):
        name = location.removeprefix(_SAMPLE)
        if name not in SAMPLES:
            raise SourceError(f"No sample {name!r}; allowed: {', '.join(SAMPLES)}{nearest(name, SAMPLES)}")
        return SAMPLES[name].parent, [SAMPLES[name]]
    path = Path(folder) / _at_home(location)
    if path.is_dir():
        return path, list(_files_below(path))
    if path.is_file():
        return path.parent, [path]
    if path.exists():
        kind = kind_of_file(path.stat().st_mode)
        raise SourceError(f"The source {location!r} is {kind}; allowed: a file, or a folder of files. Save what it has as one.")
    pattern = _at_home(location)
    root = Path(folder) / _literal_folder(pattern)
    if "**" in pattern.parts:
        wild = pattern.parts[len(_literal_folder(pattern).parts) :]
        below = _files_below(root) if root.is_dir() else ()
        return root, [found for found in below if _is_match(found.relative_to(root).parts, wild)]
    # Not Path.glob, which takes no absolute pattern.
    found = sorted(Path(folder) / match for match in glob.glob(str(pattern), root_dir=folder))  # noqa: PTH207
    seen = (match for match in found if not _is_hidden(match.relative_to(root).parts))
    return root, [match for match in seen if _is_file_within(match, root)]


def _at_home(location: str) -> Path:
    """The path that a location is, with the home of a user in place of `~`."""
    try:
        return Path(location).expanduser()
    except RuntimeError as error:
        raise SourceError(f"The source {location!r} is below the home of a user whom this machine does not know.") from error


def _files_below(location: Path) -> Iterator[Path]:
    """All files below a folder but hidden ones.

    Links to folders are not followed: what they lead to is there by its own name.
    """
    root = location.resolve()
    folders = [location]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            # In order, so that of several links it is always the same one that is refused.
            found = sorted((entry for entry in entries if not _is_hidden([entry.name])), key=lambda entry: entry.name)
        for entry in found:
            path = folder / entry.name
            if entry.is_symlink():
                _refuse_link_out(path, root)
                if entry.is_dir() and _is_hidden(path.resolve().relative_to(root).parts):
                    raise _refused_link(path, "leads to a folder that is not read because of its name")
            elif entry.is_dir():
                folders.append(path)
            if not entry.is_dir():
                _refuse_other_kinds(path, is_file=entry.is_file())
                yield path


def _is_file_within(match: Path, root: Path) -> bool:
    """Whether what a pattern found is a file; refuses it where a link below `root` leads out of it."""
    parts = match.relative_to(root).parts
    below = (root.joinpath(*parts[:number]) for number in range(1, len(parts) + 1))
    for path in below:
        if path.is_symlink():
            _refuse_link_out(path, root.resolve())
    if match.is_dir():
        return False
    _refuse_other_kinds(match, is_file=match.is_file())
    return True


def _refuse_link_out(link: Path, root: Path) -> None:
    """Refuses a link that leads out of the location, to nothing, or to a folder that it is in itself."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # the latter of links that lead to each other
        raise _refused_link(link, "leads nowhere") from error
    if not target.is_relative_to(root):
        raise _refused_link(link, f"leads out of it, to {target}")
    if target in (parent.resolve() for parent in link.parents):
        raise _refused_link(link, f"leads to a folder that it is in, {target}")


def _refused_link(link: Path, found: str) -> SourceError:
    return SourceError(
        f"The source has a link that {found}: {link}; allowed: links to what is within the source's location. Put what it "
        "leads to in its place, remove it, or let its name begin with _, which is not read."
    )


def _refuse_other_kinds(path: Path, *, is_file: bool) -> None:
    """Refuses what is no file, and may never end."""
    if not is_file:
        raise SourceError(
            f"The source has {kind_of_file(path.stat().st_mode)} where files are allowed: {path}; remove it, or let its name "
            "begin with _, which is not read."
        )


def _literal_folder(pattern: Path) -> Path:
    """The longest part of a pattern's path without wildcards."""
    parts = pattern.parts
    wild = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:wild])


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith((".", "_")) for part in parts)


def _source_file(path: Path, root: Path) -> SourceFile:
    status = path.stat()
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"The source file {os.fsencode(path)!r} has a name that is not UTF-8; rename it.") from error
    return SourceFile(str(path), name, status.st_size, status.st_mtime_ns)


def _objects(location: str) -> tuple[str, list[SourceFile]]:
    """The address that names are relative to, and the objects: one, else all below a folder, else those that match a glob."""
    from seq_assets.warehouse.storage.object_store import find_object, split_address

    bucket, key = split_address(location)
    if key and not key.endswith("/") and (found := find_object(location)):
        name = key.rsplit("/", maxsplit=1)[-1]
        return location.removesuffix(name), [SourceFile(location, name, found.size, found.etag)]
    key = key.rstrip("/")
    root = f"{_S3}{bucket}/{key}/" if key else f"{_S3}{bucket}/"
    files = list(_objects_below(root))
    if files or not glob.has_magic(key):
        return root, files
    parts = key.split("/")
    wild = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    root = "/".join([f"{_S3}{bucket}", *parts[:wild], ""])
    return root, [file for file in _objects_below(root) if _is_match(file.name.split("/"), parts[wild:])]


def _objects_below(root: str) -> Iterator[SourceFile]:
    from seq_assets.warehouse.storage.object_store import list_objects, split_address

    for found in list_objects(root):
        name = found.address.removeprefix(root)
        is_folder = found.size == 0 and found.address.endswith("/")
        if not is_folder and not _is_hidden(name.split("/")):
            split_address(found.address)
            yield SourceFile(found.address, name, found.size, found.etag)


def _is_match(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a name matches, part by part; `**` is any number of parts."""
    if not pattern:
        return not parts
    if pattern[0] != "**":
        return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _is_match(parts[1:], pattern[1:])
    return any(_is_match(parts[number:], pattern[1:]) for number in range(len(parts) + 1))


def format_by_name(files: Sequence[SourceFile]) -> str | None:
    """The format that the extensions of all files tell; None where they tell none, or several."""
    formats = {_FORMATS.get(file.extension) for file in files}
    return formats.pop() if len(formats) == 1 else None


def _format_of(files: list[SourceFile], wanted: str) -> str:
    if wanted != "auto":
        return wanted
    if told := format_by_name(files):
        return told
    formats = Counter(_FORMATS.get(file.extension, "") for file in files)
    unknown = next((file.name for file in files if file.extension not in _FORMATS), None)
    found = f"the file {unknown!r}" if unknown else f"files of several formats ({', '.join(sorted(formats))})"
    raise SourceError(f"source.format auto: found {found}; allowed: one of {', '.join(_FORMATS)}, or set source.format.")
