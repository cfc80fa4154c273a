"""The vocabulary that the next one continues, also where its file is lost: an id once given is never given to another value.

A vocabulary follows from the one before it and from the train observations of its raw version. So one whose file is lost is
made again, exactly, from the newest before it that is whole and from the raw versions in between. Where these are lost, too,
ids of values are lost for good. That is refused, unless it was asked for: then new ids begin above all that were given.

Not here: how ids are given (`sequencing.vocabulary`), or how a vocabulary is published (`publishing`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from seq_assets.errors import LostFilesError
from seq_assets.models import ModelSpec
from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.vocabulary import FIRST_ID, next_vocabulary
from seq_assets.warehouse.interface import Version, Warehouse, read_vocabulary, said_of_lost

IDS_FROM: Final = "ids_from"
"""Of a version of a vocabulary: the smallest id that may be given anew, where that is not simply the first one."""
LabelCounts = Callable[[ModelSpec, Sequence[str]], Mapping[str, pa.Table]]


@dataclass(frozen=True)
class Known:
    """What is known of a vocabulary.

    Attributes:
        table: Its rows; None where there are none yet.
        ids_from: The smallest id that may be given to a new value.
        lost: What of it is lost for good; None where nothing is.
    """

    table: pa.Table | None
    ids_from: int = FIRST_ID
    lost: str | None = None

    def remembered(self) -> dict[str, Any]:
        """What the version that continues it remembers."""
        ids_from = {IDS_FROM: self.ids_from} if self.ids_from != FIRST_ID else {}
        return ids_from | ({"lost_ids": self.lost} if self.lost else {})


@dataclass(frozen=True)
class Vocabularies:
    """The vocabularies of a warehouse.

    Attributes:
        warehouse: Has them.
        label_counts: How often the train observations in finished files have each value, by feature.
        counted: The same of raw versions whose files may be lost, by their identity: another ingest has given the same.
    """

    warehouse: Warehouse
    label_counts: LabelCounts
    counted: Mapping[str, Mapping[str, pa.Table]] = field(default_factory=dict)

    def to_continue(self, newest: Version | None, *, may_lose: bool) -> Known:
        """What the next version continues.

        Args:
            newest: The version before it; None for the first one.
            may_lose: Whether ids that cannot be made again may be lost.

        Raises:
            LostFilesError: Ids would be lost.
        """
        if newest is None:
            return Known(None)
        table = self._whole(newest)
        if table is not None:
            return Known(table, _ids_from(newest))
        versions = self.warehouse.versions(newest.dataset)
        known = self._known(versions[[version.id for version in versions].index(newest.id) :])
        if known.lost is not None and not may_lose:
            raise LostFilesError(
                f"{known.lost} Bring the files back from a backup. Or run seq-assets materialize {newest.dataset.model} "
                f"--force: these values then get new ids, from {known.ids_from} on, and what was trained with the old ones "
                "does not fit the new sequences."
            )
        return known

    def before(self, raw: Version) -> Known:
        """What the vocabulary that a raw version names has continued."""
        versions = self.warehouse.versions(Dataset.vocabulary(raw.dataset.model))
        place = [version.id for version in versions].index(raw.metadata["vocabulary_version"])
        known = self._known(versions[place + 1 :])
        return Known(known.table, _ids_from(versions[place]), known.lost)

    def _known(self, versions: Sequence[Version]) -> Known:
        """What is known of the first of some versions, newest first."""
        if not versions:
            return Known(None)
        newest = versions[0]
        tables = ((number, self._whole(version)) for number, version in enumerate(versions))
        whole, table = next((found for found in tables if found[1] is not None), (len(versions), None))
        for version in reversed(versions[:whole]):
            again = self._made_again(version, table)
            if again is None:
                # As many ids, at most, were given in any feature.
                return Known(table, _ids_from(newest) + newest.rows, self._what_is_lost(newest, version))
            table = again
        return Known(table, _ids_from(newest))

    def _made_again(self, version: Version, before: pa.Table | None) -> pa.Table | None:
        """A version whose file is lost; None where its raw version is lost, too, or is none."""
        raw = next(self._raw_versions(version), None)
        counts = None if raw is None else self._counts(raw)
        if raw is None or counts is None:
            return None
        min_counts = ModelSpec.model_validate(raw.metadata["model"]).min_counts
        table = next_vocabulary(before, counts, _ids_from(version), min_counts)
        return table if len(table) == version.rows else None

    def _counts(self, raw: Version) -> Mapping[str, pa.Table] | None:
        try:
            self.warehouse.require_whole(raw)
            with self.warehouse.reading(raw):
                return self.label_counts(
                    ModelSpec.model_validate(raw.metadata["model"]), self.warehouse.raw_files(raw, "train")
                )
        except LostFilesError:
            return self.counted.get(raw.metadata["identity"])

    def _raw_versions(self, vocabulary: Version) -> Iterator[Version]:
        for raw in self.warehouse.versions(Dataset.raw(vocabulary.dataset.model)):
            if raw.metadata.get("vocabulary_version") == vocabulary.id:
                yield raw

    def _whole(self, version: Version) -> pa.Table | None:
        """The rows of a version; None where its files are lost."""
        try:
            self.warehouse.require_whole(version)
            return read_vocabulary(self.warehouse, version)
        except LostFilesError:
            return None

    def _what_is_lost(self, newest: Version, unknown: Version) -> str:
        raw = next(self._raw_versions(unknown), None)
        source = (
            "no raw version names it" if raw is None else self._lost(raw) or "its raw version cannot be read, or gives others"
        )
        return (
            f"{newest.dataset.table}, version {newest.id}: {self._lost(newest) or 'its file was overwritten'}, and the ids of "
            f"its values cannot be made again: of version {unknown.id}, {source}."
        )

    def _lost(self, version: Version) -> str:
        """What a listing tells of a version's files, in words; empty where nothing."""
        return said_of_lost(self.warehouse.lost_files(version))


def _ids_from(version: Version) -> int:
    return int(version.metadata.get(IDS_FROM, FIRST_ID))
