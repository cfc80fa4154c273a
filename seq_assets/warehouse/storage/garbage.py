"""Collecting garbage: versions, files and leftovers of one database, in an order that may be interrupted anywhere.

Belongs here: what is old enough, by the leases of all who work. Not here: what there is (`expiry`, `leftovers`).
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from seq_assets.warehouse.cancellation import raise_if_canceled
from seq_assets.warehouse.interface import Garbage
from seq_assets.warehouse.retention import Retention
from seq_assets.warehouse.storage.expiry import Cutoff, TableExpiry
from seq_assets.warehouse.storage.iceberg_tables import Tables
from seq_assets.warehouse.storage.leases import Lease, lease, leases
from seq_assets.warehouse.storage.leftovers import Leftover, of_leases
from seq_assets.warehouse.storage.storage import Storage

Leftovers: TypeAlias = Callable[[datetime], Iterable[Leftover]]
"""What lies beside the tables and was written before a time."""


@dataclass(frozen=True)
class GarbageCollection:
    """Removes what nobody needs any more of one database.

    Attributes:
        tables: The tables.
        storage: Where their files are.
        leftovers: What lies beside them.
        retention: What stays.
        dry_run: Whether only to say what would go.
    """

    tables: Tables
    storage: Storage
    leftovers: Leftovers
    retention: Retention
    dry_run: bool

    def run(self) -> Garbage:
        """Removes it.

        Raises:
            ConflictError: A table was written by a newer version of the program.
        """
        with ExitStack() as working:
            own = None if self.dry_run else working.enter_context(lease(self.storage))
            found = leases(self.storage)
            over = [one for one in found if one.file.location != own and one.is_over(self.retention.now)]
            cutoff = self._cutoff([one for one in found if one not in over], own)
            garbage = TableExpiry(self.tables, self.storage, self.retention, cutoff, self.dry_run).run()
            others = [*self.leftovers(cutoff.written), *of_leases(self.storage, over)]
            for leftover in others:
                raise_if_canceled()
                if not self.dry_run:
                    leftover.remove()
            removed = (*garbage.removed, *(leftover.said for leftover in others))
            return Garbage(garbage.expired, removed, garbage.spared)

    def _cutoff(self, working: Iterable[Lease], own: str | None) -> Cutoff:
        """What is older than all work that is going on.

        What begins after this looked began after its own lease, which bounds it for that reason: by the clock of whoever keeps
        the files, whatever this machine's own says.
        """
        old = self.retention.now - self.retention.older_than
        since = [one.since for one in working if one.file.location != own]
        here = [one.since for one in working if one.file.location == own]
        return Cutoff(
            written=min([old, *since, *here]),
            replaced=min([old, *(time - self.retention.clocks_differ_by for time in since)]),
        )
