"""Iceberg's own files on S3, read as all other objects are: no byte that the store owes is taken for the end of a file.

Belongs here: what pyiceberg asks of a file system. Not here: reading itself (`object_store`), or the files of this machine.
"""

from pyarrow.fs import FileSystem
from pyiceberg.io import InputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from seq_assets.errors import SettingsError
from seq_assets.warehouse.storage.object_store import ObjectFile, s3_filesystem


class ObjectFileIO(PyArrowFileIO):
    """pyiceberg's access to S3, by the settings that hold for everything on S3."""

    def new_input(self, location: str) -> PyArrowFile:
        """A file to be read."""
        _, netloc, path = self.parse_location(location, self.properties)
        return _Input(location, path, self.fs_by_scheme("s3", netloc))

    def _initialize_fs(self, scheme: str, netloc: str | None = None) -> FileSystem:
        return s3_filesystem()


class _Input(PyArrowFile):
    def open(self, seekable: bool = True) -> InputStream:
        """As pyiceberg opens it, which tells a file that is missing from all else; read to its last byte."""
        return ObjectFile(self.location, SettingsError, super().open())
