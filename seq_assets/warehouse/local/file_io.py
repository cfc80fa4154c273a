"""The files that Iceberg itself reads and writes in a home: metadata, lists of manifests, manifests.

Belongs here: where they are after the home was moved or renamed, which is below the present home whatever the absolute paths in
them say; and that they are there to stay before the catalog names them. Not here: the files of rows (`storage`).
"""

import os
from errno import EISDIR
from pathlib import Path
from typing import Final, cast

from pyiceberg.io import InputFile, InputStream, OutputFile, OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from seq_assets.warehouse.storage.durable import DurableFile

_MARKER: Final = "/warehouse/"


class _HomeFile(PyArrowFile):
    """A file that is there to stay once it is written."""

    def open(self, seekable: bool = True) -> InputStream:
        """The file, open for reading.

        Raises:
            FileNotFoundError: It is not there.
            IsADirectoryError: It is a folder, of which Arrow says no more than that it failed.
        """
        if Path(self._path).is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR), self._path)
        return super().open(seekable)

    def create(self, overwrite: bool = False) -> OutputStream:
        """The file, open for writing; its folder is made.

        Raises:
            FileExistsError: It is there, and is not to be overwritten.
        """
        # The last that a commit writes, after its manifests and in the same folder, whose names are then all there.
        is_last = self._path.endswith(".metadata.json")
        return cast(OutputStream, DurableFile(Path(self._path), "wb" if overwrite else "xb", keeps_name=is_last))


class HomeFileIO(PyArrowFileIO):
    """Local files; a path below another home's `warehouse` folder is read below this one's."""

    def _here(self, location: str) -> str:
        root = self.properties["warehouse"]
        if location.startswith(f"{root}/") or _MARKER not in location:
            return location
        return f"{root}/{location.rsplit(_MARKER, maxsplit=1)[1]}"

    def new_input(self, location: str) -> PyArrowFile:
        """The file to read."""
        return self._file(location)

    def new_output(self, location: str) -> PyArrowFile:
        """The file to write."""
        return self._file(location)

    def _file(self, location: str) -> PyArrowFile:
        here = self._here(location)
        scheme, host, path = self.parse_location(here, self.properties)
        return _HomeFile(here, path, self.fs_by_scheme(scheme, host))

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Deletes the file."""
        super().delete(self._here(location) if isinstance(location, str) else location)
