"""How files come to be damaged: by disks, by people, by programs that know nothing of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final


def _as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _overwrite(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _cut_short(file: Path) -> None:
    _overwrite(file, file.read_bytes()[: file.stat().st_size // 2])


DAMAGES: Final[Mapping[str, Callable[[Path], None]]] = {
    "missing": Path.unlink,
    "empty": lambda file: _overwrite(file, b""),
    "cut short": _cut_short,
    "zeros": lambda file: _overwrite(file, bytes(file.stat().st_size)),
    "garbage": lambda file: _overwrite(file, b"\xff\x00garbage" * 2_000),
    "a folder": _as_folder,
}
"""What may have happened to a file, by name."""


def content(place: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
