"""The models of a folder: one YAML file is one model, and a broken file takes no other down."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seq_assets.errors import Mistake, ModelFileError, SettingsError
from seq_assets.models.cross_checks import nearest
from seq_assets.models.parsing import read_model_file
from seq_assets.models.spec import ModelSpec


def bundled_models_folder() -> Path:
    """The folder of the model files that ship with the package."""
    return Path(__file__).parent / "bundled"


def model_files(folder: Path) -> list[Path]:
    """The model files of a folder, by name.

    Raises:
        SettingsError: There is no such folder, or it cannot be listed.
    """
    try:
        if not folder.is_dir():
            raise SettingsError(f"No folder of model files at {folder}; set SEQ_ASSETS_MODELS to one that exists.")
        return sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(
            f"The folder of model files {folder} cannot be listed: {reason}; mend that, or set SEQ_ASSETS_MODELS."
        ) from error


@dataclass(frozen=True)
class ModelRegistry(Mapping[str, ModelSpec]):
    """The readable models by name, and the mistakes of the broken ones.

    Attributes:
        specs: The readable models by name.
        broken: The error of each broken file, by the model's name (the file's stem).
        files: The file of each model, readable or broken, by the model's name.
    """

    specs: Mapping[str, ModelSpec]
    broken: Mapping[str, ModelFileError]
    files: Mapping[str, Path]

    @classmethod
    def of_folder(cls, folder: Path) -> "ModelRegistry":
        """Reads all model files of a folder.

        Raises:
            SettingsError: There is no such folder.
        """
        return cls.of_files(model_files(folder))

    @classmethod
    def of_files(cls, paths: Iterable[Path]) -> "ModelRegistry":
        """Reads the given model files; a second file of the same name is a mistake of the second."""
        specs: dict[str, ModelSpec] = {}
        files: dict[str, Path] = {}
        errors: list[tuple[Path, ModelFileError]] = []
        for path in paths:
            try:
                spec = read_model_file(path)
                if spec.name in files:
                    allowed = f"a name of its own; {files[spec.name]} has this one"
                    raise ModelFileError([Mistake(str(path), "name", repr(spec.name), allowed)])
            except ModelFileError as error:
                errors.append((path, error))
            else:
                specs[spec.name] = spec
                files[spec.name] = path
        # Only now are the readable models' names known, of which a broken file must take none.
        broken: dict[str, ModelFileError] = {}
        for path, mistakes in errors:
            name = _free_name(path.stem, files)
            broken[name] = mistakes
            files[name] = path
        return cls(specs, broken, files)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names, those of broken files included, sorted."""
        return tuple(sorted(self.files))

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """The union of the models' sequence lengths, ascending."""
        return tuple(sorted({length for spec in self.specs.values() for length in spec.lengths}))

    def __getitem__(self, name: str) -> ModelSpec:
        """The model of that name.

        Raises:
            ModelFileError: Its file has mistakes.
            SettingsError: There is no such model.
        """
        if name in self.broken:
            raise self.broken[name]
        if name not in self.specs:
            allowed = ", ".join(self.names) or "none: the folder has no model files"
            raise SettingsError(f"No model {name!r}; allowed: {allowed}{nearest(name, self.names)}")
        return self.specs[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is a readable model of that name."""
        return name in self.specs

    def __iter__(self) -> Iterator[str]:
        """The names of the readable models."""
        return iter(self.specs)

    def __len__(self) -> int:
        """The number of readable models."""
        return len(self.specs)

    def folder_of(self, name: str) -> Path:
        """The folder that a relative location in the model's file starts from."""
        return self.files[name].parent


def _free_name(stem: str, taken: Mapping[str, Path]) -> str:
    """A name for a broken file: its stem, as far as partition keys may hold it, numbered where it is taken."""
    safe = "".join(character if character.isalnum() or character in "_-" else "_" for character in stem)
    name, number = safe, 2
    while name in taken:
        name, number = f"{safe}_{number}", number + 1
    return name
