"""Which versions stay: a pure decision over what each table of a model has and what versions name.

Belongs here: the rules. Not here: how a version is expired, and which files nobody needs then (`storage.expiry`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, TypeAlias

from seq_assets.models import ModelSpec
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Version

Tables: TypeAlias = Mapping[Dataset, Sequence[Version]]
"""The tables of one model, each with its versions, newest first."""

OLDER_THAN: Final = timedelta(hours=24)
CLOCKS_DIFFER_BY: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Retention:
    """What stays, beside what somebody works on.

    Attributes:
        keep: Of each of these models, how many of the newest versions of each table.
        keep_of_others: The same of all other models; None keeps all.
        older_than: What was written, or replaced by a newer version, less long ago stays.
        now: The time that this is counted from.
        clocks_differ_by: As much, at most, the clocks of machines that publish differ.
    """

    keep: Mapping[str, int] = field(default_factory=dict)
    keep_of_others: int | None = None
    older_than: timedelta = OLDER_THAN
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    clocks_differ_by: timedelta = CLOCKS_DIFFER_BY

    @classmethod
    def of_models(cls, models: Mapping[str, ModelSpec], older_than: timedelta = OLDER_THAN) -> "Retention":
        """What the model files say; of a model without one, or whose file has mistakes, all versions stay.

        Args:
            models: The models by name.
            older_than: What was written, or replaced, less long ago stays.
        """
        return cls({name: spec.keep for name, spec in models.items() if spec.keep is not None}, older_than=older_than)

    def versions_of(self, model: str) -> int | None:
        """How many of the newest versions of each table of a model stay; None for all."""
        return self.keep.get(model, self.keep_of_others)


def expired(tables: Tables, keep: int | None, replaced_before: datetime) -> dict[Dataset, list[Version]]:
    """The versions of a model's tables that need not stay, by table, newest first; tables without one are left out.

    Of each table there stay the newest, those that have a tag, those that were replaced not so long ago, and of other tables
    what these name: raw observations, what these were published with, and vocabularies with the one that each continues.

    Args:
        tables: All tables of the model.
        keep: How many of the newest versions of each table stay; None for all.
        replaced_before: Only versions that were replaced before this time may go.
    """
    if keep is None:
        return {}
    kept = {
        version.id
        for versions in tables.values()
        for place, version in enumerate(versions)
        if place < max(keep, 1) or version.tags or versions[place - 1].committed_at >= replaced_before
    }
    # Sequences name raw observations, and these name what they were published with.
    for kind in (_is_sequenced, _is_raw):
        kept |= {named for version in _chosen(tables, kind) if version.id in kept for named in _named(version)}
    kept |= set(_continued(tables, kept))
    gone = {dataset: [version for version in versions if version.id not in kept] for dataset, versions in tables.items()}
    return {dataset: versions for dataset, versions in gone.items() if versions}


def in_order_of_expiry(datasets: Iterable[Dataset]) -> list[Dataset]:
    """Who names others comes before them, so that at no moment a version that stays names one that is gone."""
    return sorted(datasets, key=lambda dataset: (not _is_sequenced(dataset), not _is_raw(dataset), dataset.table))


def _is_sequenced(dataset: Dataset) -> bool:
    return dataset.sequence_length is not None


def _is_raw(dataset: Dataset) -> bool:
    return dataset.kind == "raw_observations"


def _chosen(tables: Tables, kind: Callable[[Dataset], bool]) -> Iterator[Version]:
    for dataset, versions in tables.items():
        if kind(dataset):
            yield from versions


def _named(version: Version) -> Iterator[int]:
    """The versions of other tables without which a version is not whole."""
    for name in ("raw_version", "rejected_version", "vocabulary_version"):
        if version.metadata.get(name) is not None:
            yield int(version.metadata[name])


def _continued(tables: Tables, kept: set[int]) -> Iterator[int]:
    """The vocabularies that those that stay have their ids from: by them it is verified that no id has changed."""
    for versions in (versions for dataset, versions in tables.items() if dataset.kind == "vocabulary"):
        for version, before in pairwise(versions):
            if version.id in kept:
                yield before.id
