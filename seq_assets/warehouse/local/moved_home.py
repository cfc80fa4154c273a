"""Reading Iceberg metadata after its home was moved or renamed: the absolute paths in it are taken below the present home."""

from typing import Final

from pyiceberg.io import InputFile, OutputFile
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

_MARKER: Final = "/warehouse/"


class MovedHomeFileIO(PyArrowFileIO):
    """Local files; a path below another home's `warehouse` folder is read below this one's."""

    def _here(self, location: str) -> str:
        root = self.properties["warehouse"]
        if location.startswith(f"{root}/") or _MARKER not in location:
            return location
        return f"{root}/{location.rsplit(_MARKER, maxsplit=1)[1]}"

    def new_input(self, location: str) -> PyArrowFile:
        """The file to read."""
        return super().new_input(self._here(location))

    def new_output(self, location: str) -> PyArrowFile:
        """The file to write."""
        return super().new_output(self._here(location))

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Deletes the file."""
        super().delete(self._here(location) if isinstance(location, str) else location)
