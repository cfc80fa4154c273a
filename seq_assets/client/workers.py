"""Which of several processes that load data this one is.

Belongs here: what torch says of its DataLoader's workers, without loading torch. Not here: what each of them gets (`loaders`).
"""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Worker:
    """One of the processes that a DataLoader loads data in.

    Attributes:
        number: Which, from 0.
        workers: How many there are.
    """

    number: int = 0
    workers: int = 1

    def share(self, count: int) -> range:
        """Its stretch of so many things; those of all workers together are each of them once."""
        return range(count * self.number // self.workers, count * (self.number + 1) // self.workers)


def current_worker() -> Worker:
    """The worker of torch's DataLoader that this process is; the only one where it is none."""
    # Where nobody has loaded torch, there is no DataLoader.
    module = sys.modules.get("torch.utils.data")
    found = module.get_worker_info() if module else None
    return Worker() if found is None else Worker(found.id, found.num_workers)
