"""What is built: the newest version of each table, found by model, length and subset.

Belongs here: the mappings that lead from a name to a handle, and their tables. Not here: what a handle does (`datasets`), old
versions (`datasets.versions`).
"""

import difflib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from seq_assets.client.datasets import ObservationDataset, SequenceDataset, dataset_of
from seq_assets.client.display import html_table, text_table, when
from seq_assets.environments import current_environment
from seq_assets.errors import NotInCatalogError, NotPublishedError
from seq_assets.models import SUBSETS, Subset

if TYPE_CHECKING:
    from seq_assets.warehouse.interface import Version, Warehouse

Key = TypeVar("Key", str, int, Subset)
Value = TypeVar("Value")

_HOW: Final = "seq-assets materialize builds what a model file declares"


@dataclass(frozen=True, repr=False, eq=False)
class _Part(Mapping[Key, Value], Generic[Key, Value]):
    """A part of the catalog: a mapping whose keys complete, and whose repr is a table. No data is read.

    Attributes:
        _warehouse: What opens the files.
        _versions: The newest version of each table of this part, in the order of the table that is shown.
        _name: How people get at it.
    """

    _warehouse: "Warehouse"
    _versions: "tuple[Version, ...]"
    _name: str

    @property
    @abstractmethod
    def _by_key(self) -> "Mapping[Key, tuple[Version, ...]]":
        """The versions below each key, in the order of the keys."""

    @abstractmethod
    def _value(self, key: Key, versions: "tuple[Version, ...]") -> Value:
        """What a key leads to."""

    @abstractmethod
    def _missing(self, key: object) -> str:
        """A clause that says what a key asks for that is not there."""

    def __getitem__(self, key: Key) -> Value:
        """What a key leads to.

        Raises:
            NotInCatalogError: Nothing of that name is built; the error names the nearest, and what there is.
            LostFilesError: It leads to a version whose files are gone.
        """
        found = self._by_key
        if key not in list(found):
            built = ", ".join(map(str, found)) or "none"
            raise NotInCatalogError(f"{self._name}: {self._missing(key)} ({_HOW}); built: {built}{_nearest(key, list(found))}")
        return self._value(key, found[key])

    def __contains__(self, key: object) -> bool:
        """Whether something of that name is built."""
        return key in list(self._by_key)

    def __iter__(self) -> Iterator[Key]:
        """The keys."""
        return iter(self._by_key)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._by_key)

    def _ipython_key_completions_(self) -> list[Key]:
        """What a notebook completes within the brackets."""
        return list(self)

    def __dir__(self) -> list[str]:
        """What people may use, for completion."""
        return sorted(name for name in object.__dir__(self) if not name.startswith("_"))

    def __repr__(self) -> str:
        """What is built, a line for each table."""
        return text_table([_row(version) for version in self._versions]) if self._versions else f"Nothing is built; {_HOW}."

    def _repr_html_(self) -> str:
        """The same, for a notebook."""
        return html_table([_row(version) for version in self._versions]) or repr(self)


@dataclass(frozen=True, repr=False, eq=False)
class BuiltLength(_Part[Subset, SequenceDataset]):
    """The sequences of one model at one length, by subset."""

    @property
    def _by_key(self) -> "Mapping[Subset, tuple[Version, ...]]":
        return {cast(Subset, _subset(version)): (version,) for version in self._versions}

    def _value(self, key: Subset, versions: "tuple[Version, ...]") -> SequenceDataset:
        return cast(SequenceDataset, _handle(self._warehouse, versions[0]))

    def _missing(self, key: object) -> str:
        return f"no subset {key!r} is built"


@dataclass(frozen=True, repr=False, eq=False)
class BuiltModel(_Part[int, BuiltLength]):
    """The sequences of one model, by length, and its raw observations.

    Example:
        >>> built = seq_assets.catalog()["dkt"]
        >>> list(built), list(built[100])
        ([50, 100], ['train', 'validation'])
        >>> len(built.observations)
        50010
    """

    @property
    def observations(self) -> ObservationDataset:
        """The raw observations, of all subsets.

        Raises:
            NotPublishedError: They are not built.
            LostFilesError: Files of them are gone.
        """
        for version in self._versions:
            if version.dataset.sequence_length is None:
                return cast(ObservationDataset, _handle(self._warehouse, version))
        raise NotPublishedError(f"{self._name}: no raw observations are built ({_HOW}).")

    @property
    def _by_key(self) -> "Mapping[int, tuple[Version, ...]]":
        lengths = dict.fromkeys(version.dataset.sequence_length for version in self._versions)
        return {
            length: tuple(version for version in self._versions if version.dataset.sequence_length == length)
            for length in lengths
            if length is not None
        }

    def _value(self, key: int, versions: "tuple[Version, ...]") -> BuiltLength:
        return BuiltLength(self._warehouse, versions, f"{self._name}[{key!r}]")

    def _missing(self, key: object) -> str:
        return f"no length {key!r} is built"


@dataclass(frozen=True, repr=False, eq=False)
class Catalog(_Part[str, BuiltModel]):
    """What is built, by model."""

    @property
    def _by_key(self) -> "Mapping[str, tuple[Version, ...]]":
        models = dict.fromkeys(version.dataset.model for version in self._versions)
        return {model: tuple(version for version in self._versions if version.dataset.model == model) for model in models}

    def _value(self, key: str, versions: "tuple[Version, ...]") -> BuiltModel:
        return BuiltModel(self._warehouse, versions, f"{self._name}[{key!r}]")

    def _missing(self, key: object) -> str:
        return f"nothing of a model {key!r} is built"


def catalog() -> Catalog:
    """What is built now: of each model its raw observations, and its sequences by length and subset, at the newest version.

    It is read once, from metadata alone: what is built later is in the catalog that is asked for later.

    Example:
        >>> built = seq_assets.catalog()
        >>> list(built)
        ['dkt', 'irt']
        >>> built["dkt"][100]["train"] == seq_assets.load("dkt", sequence_length=100, subset="train")
        True
        >>> len(built["irt"].observations)
        50010
    """
    warehouse = current_environment().warehouse()
    with warehouse.at_rest():
        newest = [warehouse.find(dataset) for dataset in warehouse.datasets() if _is_shown(dataset.kind)]
    return Catalog(warehouse, tuple(sorted(newest, key=_place)), "catalog()")


def _is_shown(kind: str) -> bool:
    return kind == "raw_observations" or kind.startswith("sequenced_")


def _place(version: "Version") -> tuple[str, int, int]:
    """By model, raw observations first; then by length as a number, and by subset."""
    subset = _subset(version)
    return version.dataset.model, version.dataset.sequence_length or 0, SUBSETS.index(subset) if subset else 0


def _subset(version: "Version") -> Subset | None:
    return next((subset for subset in SUBSETS if version.dataset.kind == f"sequenced_{subset}"), None)


def _handle(warehouse: "Warehouse", version: "Version") -> Any:
    warehouse.require_whole(version)
    return dataset_of(warehouse, version)


def _row(version: "Version") -> dict[str, Any]:
    """A version as a line of the table; of raw observations, which have no length, all subsets are one."""
    from seq_assets.sequencing.accounting import SequenceAccounting

    length = version.dataset.sequence_length
    return {
        "model": version.dataset.model,
        "length": length,
        "subset": _subset(version),
        "version": str(version.id),
        "rows": version.rows,
        "pad ratio": None if length is None else SequenceAccounting(**version.metadata["accounting"]).pad_ratio,
        "when": when(version.committed_at),
    }


def _nearest(key: object, keys: Sequence[object]) -> str:
    """`; did you mean 100?` for the key nearest to one that is not there, or nothing."""
    lengths = [known for known in keys if isinstance(known, int)]
    if isinstance(key, int) and lengths:
        return f"; did you mean {min(lengths, key=lambda length: abs(length - key))}?"
    by_word = {str(known): known for known in keys}
    close = difflib.get_close_matches(str(key), by_word, n=1)
    return f"; did you mean {by_word[close[0]]!r}?" if close else ""
