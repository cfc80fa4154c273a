"""The window kinds: which stretches of a history become sequences.

Every method works on numpy int64 arrays, one value per history or per window, so that the kernel needs no loop. Words used
throughout: `n` is the number of items of a history, `k` a window's ordinal in it (from 0, dropped windows included), `L` the
sequence length. A history may still grow while it is read; methods that depend on its end say so.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seq_assets.models.spec import WindowSpec

Int64: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Window(ABC):
    """One window kind."""

    @property
    def overlaps(self) -> bool:
        """Whether an item may stand in several windows."""
        return False

    @abstractmethod
    def count(self, n: Int64, L: int) -> Int64:  # noqa: N803  # L is the word of the field
        """The number of windows of a history that has ended at n items."""

    @abstractmethod
    def ready(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """The number of windows that are final after n items, whatever follows."""

    @abstractmethod
    def bounds(self, k: Int64, n: Int64, L: int) -> tuple[Int64, Int64]:  # noqa: N803
        """Start (position of the first item) and size (items) of window k, once it is final."""

    @abstractmethod
    def needed_from(self, k: int, n: int, L: int) -> int:  # noqa: N803
        """The first position, of n so far, that window k or a later one may still need."""

    @abstractmethod
    def kept(self, n: Int64, L: int, min_length: int) -> tuple[Int64, Int64]:  # noqa: N803
        """Of ended histories: the kept windows, and the items that they hold together, repeated ones each time."""

    @abstractmethod
    def kept_up_to(self, size: int, n: Int64, L: int, min_length: int) -> Int64:  # noqa: N803
        """Of ended histories: the kept windows of at most `size` items, where `size` is less than L."""

    def first_kept(self, min_length: int) -> int:
        """The ordinal of the first window that can reach `min_length` in a history that is long enough."""
        return 0

    def repeated(self, k: Int64, size: Int64, L: int, min_length: int) -> Int64:  # noqa: N803
        """How many of a kept window's first items stand in an earlier kept window too."""
        return np.zeros_like(size)

    def dropped_by_min_length(self, n: Int64, L: int, min_length: int) -> Int64:  # noqa: N803
        """The items of an ended history that stand in dropped windows only, or in a history without a window."""
        return np.where(n < min_length, n, 0)

    def dropped_by_truncation(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """The items of an ended history that no window holds, kept or dropped, while it has at least one window."""
        return np.zeros_like(n)


@dataclass(frozen=True)
class Sliding(Window):
    """Starts 0, stride, 2 stride, … until a window reaches the end; only that last one may be short."""

    stride: int

    @property
    def overlaps(self) -> bool:
        """Sliding windows share items, even where the stride happens to equal the length."""
        return True

    def step(self, L: int) -> int:  # noqa: N803
        """Items from one start to the next."""
        return self.stride

    def count(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """One window, and one more for each further stride that is needed to reach the end."""
        return np.where(n > 0, 1 + -(-np.maximum(n - L, 0) // self.step(L)), 0)

    def ready(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """The windows that are full: the one before each did not reach the end."""
        return np.where(n >= L, (n - L) // self.step(L) + 1, 0)

    def bounds(self, k: Int64, n: Int64, L: int) -> tuple[Int64, Int64]:  # noqa: N803
        """Start k strides in, with as many items as are left, at most L."""
        start = k * self.step(L)
        return start, np.minimum(n - start, L)

    def needed_from(self, k: int, n: int, L: int) -> int:  # noqa: N803
        """The start of window k."""
        return k * self.step(L)

    def kept(self, n: Int64, L: int, min_length: int) -> tuple[Int64, Int64]:  # noqa: N803
        """All windows are full but the last one."""
        count, last = self._last(n, L)
        is_kept = last >= min_length
        return count - ~is_kept, (count - 1) * L + np.where(is_kept, last, 0)

    def kept_up_to(self, size: int, n: Int64, L: int, min_length: int) -> Int64:  # noqa: N803
        """Only the last window can be short."""
        _, last = self._last(n, L)
        return ((last >= min_length) & (last <= size)).astype(np.int64)

    def _last(self, n: Int64, L: int) -> tuple[Int64, Int64]:  # noqa: N803
        """The number of windows, and the items of the last one."""
        count = self.count(n, L)
        return count, self.bounds(count - 1, n, L)[1]

    def repeated(self, k: Int64, size: Int64, L: int, min_length: int) -> Int64:  # noqa: N803
        """All windows before are full, so they reach L - stride items into this one."""
        return np.where(k > 0, np.minimum(L - self.step(L), size), 0)

    def dropped_by_min_length(self, n: Int64, L: int, min_length: int) -> Int64:  # noqa: N803
        """What only the last window holds, where that one is too short."""
        k = self.count(n, L) - 1
        _, size = self.bounds(k, n, L)
        return np.where(size < min_length, size - self.repeated(k, size, L, min_length), 0)


@dataclass(frozen=True)
class Chunk(Sliding):
    """Consecutive windows without overlap: sliding by the sequence length."""

    stride: int = 0

    @property
    def overlaps(self) -> bool:
        """Chunks share nothing."""
        return False

    def step(self, L: int) -> int:  # noqa: N803
        """The sequence length itself."""
        return L


class _Single(Window, ABC):
    """A kind with at most one window per history."""

    def count(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """One."""
        return np.minimum(n, 1)

    def kept(self, n: Int64, L: int, min_length: int) -> tuple[Int64, Int64]:  # noqa: N803
        """At most one."""
        is_kept = n >= min_length
        return is_kept.astype(np.int64), np.where(is_kept, np.minimum(n, L), 0)

    def kept_up_to(self, size: int, n: Int64, L: int, min_length: int) -> Int64:  # noqa: N803
        """The one, where the history is that short."""
        return ((n >= min_length) & (n <= size)).astype(np.int64)

    def dropped_by_truncation(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """What exceeds L."""
        return np.maximum(n - L, 0)


@dataclass(frozen=True)
class First(_Single):
    """The first L items."""

    def ready(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """One, as soon as it is full."""
        return np.where(n >= L, np.int64(1), np.int64(0))

    def bounds(self, k: Int64, n: Int64, L: int) -> tuple[Int64, Int64]:  # noqa: N803
        """From 0."""
        return np.zeros_like(n), np.minimum(n, L)

    def needed_from(self, k: int, n: int, L: int) -> int:  # noqa: N803
        """Everything until the window is final, nothing afterwards."""
        return n if k > 0 else 0


@dataclass(frozen=True)
class Last(_Single):
    """The last L items."""

    def ready(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """None before the end."""
        return np.zeros_like(n)

    def bounds(self, k: Int64, n: Int64, L: int) -> tuple[Int64, Int64]:  # noqa: N803
        """The L items before the end."""
        return np.maximum(n - L, 0), np.minimum(n, L)

    def needed_from(self, k: int, n: int, L: int) -> int:  # noqa: N803
        """The last L so far."""
        return max(n - L, 0)


@dataclass(frozen=True)
class Prefix(Window):
    """For each item but the first, the at most L items that end with it: it is the target, what precedes it the input."""

    @property
    def overlaps(self) -> bool:
        """Neighbours share all but one item."""
        return True

    def count(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """One for each item but the first."""
        return np.maximum(n - 1, 0)

    def ready(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """All that are there: a later item changes none."""
        return self.count(n, L)

    def bounds(self, k: Int64, n: Int64, L: int) -> tuple[Int64, Int64]:  # noqa: N803
        """Window k ends with the item at position k + 1."""
        size = np.minimum(k + 2, L)
        return k + 2 - size, size

    def needed_from(self, k: int, n: int, L: int) -> int:  # noqa: N803
        """The start of window k."""
        return max(k + 2 - L, 0)

    def kept(self, n: Int64, L: int, min_length: int) -> tuple[Int64, Int64]:  # noqa: N803
        """Sizes grow by one from window to window until they reach L."""
        first = self.first_kept(min_length)
        count = np.maximum(n - 1 - first, 0)
        growing = np.clip(np.minimum(n - 1, L - 2) - first, 0, None)
        return count, growing * (first + 2) + growing * (growing - 1) // 2 + (count - growing) * L

    def kept_up_to(self, size: int, n: Int64, L: int, min_length: int) -> Int64:  # noqa: N803
        """One window of each size, from the smallest kept one on."""
        largest: Int64 = np.minimum(n, size)
        return np.maximum(largest - self.first_kept(min_length) - 1, 0)

    def first_kept(self, min_length: int) -> int:
        """Window k would have k + 2 items if L allowed."""
        return max(min_length - 2, 0)

    def repeated(self, k: Int64, size: Int64, L: int, min_length: int) -> Int64:  # noqa: N803
        """All but the target, which the window before does not have."""
        return np.where(k > self.first_kept(min_length), size - 1, 0)

    def dropped_by_min_length(self, n: Int64, L: int, min_length: int) -> Int64:  # noqa: N803
        """The whole history, where no window is long enough; else the first kept window holds what the dropped ones do."""
        return np.where(n < max(min_length, 2), n, 0)

    def dropped_by_truncation(self, n: Int64, L: int) -> Int64:  # noqa: N803
        """The first item, where L leaves room for the target alone."""
        return np.where((n > 1) & (L == 1), 1, 0)


WINDOW_KINDS: Final[Mapping[str, type[Window]]] = {kind.__name__: kind for kind in (Chunk, Sliding, Last, First, Prefix)}
"""The window kinds by name."""


def window_of(spec: WindowSpec) -> Window:
    """The window kind that a model file asks for."""
    if spec.mode == "sliding":
        assert spec.stride is not None, "checked when the model file was read"
        return Sliding(spec.stride)
    return WINDOW_KINDS[spec.mode.capitalize()]()
