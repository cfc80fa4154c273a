"""The commit by which versions of a table go, and what the table remembers of them.

Belongs here: Iceberg's snapshots and references. Not here: which versions go (`retention`), or their files (`expiry`).
"""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import ValidatableTableRequirement
from pyiceberg.table.update.snapshot import ExpireSnapshots

from seq_assets.warehouse.interface import ExpiredVersion

EXPIRED_PROPERTY: Final = "seq_assets.expired"
_MOST_REMEMBERED: Final = 200
"""Of one table, in a property of it, which is part of each of its metadata files."""


class _AsDecided(ValidatableTableRequirement):
    """That what was decided upon still holds when the commit is done: pyiceberg would take tags away with the versions."""

    type: Literal["seq-assets-as-decided"] = "seq-assets-as-decided"
    ids: frozenset[int]
    remembered: str | None

    def validate(self, base_metadata: TableMetadata | None) -> None:  # type: ignore[override]  # as those of pyiceberg
        """Whether all of the versions are there, none has a tag or is the newest, and no other has been removed since.

        Raises:
            CommitFailedException: It is otherwise.
        """
        if base_metadata is None or base_metadata.properties.get(EXPIRED_PROPERTY) != self.remembered:
            raise CommitFailedException("Other versions of the table were removed meanwhile")
        there = {snapshot.snapshot_id for snapshot in base_metadata.snapshots}
        referenced = {reference.snapshot_id for reference in base_metadata.refs.values()}
        if self.ids - there or self.ids & referenced:
            raise CommitFailedException("A version that was to be removed is gone, or has a tag now")


def expire(table: Table, gone: Collection[ExpiredVersion]) -> None:
    """Takes versions out of a table, in one commit; no file is removed.

    Args:
        table: As it was when it was decided which.
        gone: The versions.

    Raises:
        CommitFailedException: Another has changed what was decided upon; nothing is changed.
    """
    ids = frozenset(version.id for version in gone)
    remembered = sorted(gone, key=lambda version: version.committed_at, reverse=True) + expired_in(table.metadata)
    transaction = table.transaction()
    # First: what follows is what it must not have yet.
    transaction._apply((), (_AsDecided(ids=ids, remembered=table.metadata.properties.get(EXPIRED_PROPERTY)),))  # type: ignore[arg-type]
    transaction.set_properties({EXPIRED_PROPERTY: _to_json(remembered[:_MOST_REMEMBERED])})
    ExpireSnapshots(transaction).by_ids(list(ids)).commit()
    transaction.commit_transaction()


def expired_in(metadata: TableMetadata) -> list[ExpiredVersion]:
    """The versions that a table remembers to have lost, the last one first."""
    found = json.loads(metadata.properties.get(EXPIRED_PROPERTY, "[]"))
    return [ExpiredVersion(int(number), _time(committed), _time(expired), by) for number, committed, expired, by in found]


def _to_json(versions: Sequence[ExpiredVersion]) -> str:
    return json.dumps(
        [[str(one.id), _milliseconds(one.committed_at), _milliseconds(one.expired_at), one.by] for one in versions]
    )


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
