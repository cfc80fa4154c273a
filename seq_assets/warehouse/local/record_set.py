"""Which records of a source have been seen, at one bit each: far less than a hash table of them takes."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class RecordSet:
    """Records, each by the name of its file and its number there, from 1 on."""

    def __init__(self, largest: int) -> None:
        """An empty set.

        Args:
            largest: The largest number that a record may have; others are not taken.
        """
        self._largest = largest
        self._bits: dict[str, NDArray[np.uint8]] = {}

    def add(self, files: pa.Array, numbers: pa.Array) -> None:
        """Takes records, which may have been seen before; their files may be a dictionary already."""
        encoded = files.dictionary_encode()
        codes, found = np.asarray(encoded.indices), np.asarray(numbers)
        by_file = found[np.argsort(codes, kind="stable")] if len(encoded.dictionary) > 1 else found
        end = 0
        for name, count in zip(encoded.dictionary.to_pylist(), np.bincount(codes), strict=False):
            start, end = end, end + int(count)
            of_file = by_file[start:end]
            self._add_of(name, of_file[(of_file >= 1) & (of_file <= self._largest)])

    def __len__(self) -> int:
        """How many different ones."""
        return sum(int(np.bitwise_count(bits).sum(dtype=np.int64)) for bits in self._bits.values())

    def _add_of(self, file: str, numbers: NDArray[np.int64]) -> None:
        bits = self._bits.get(file, np.empty(0, np.uint8))
        needed = int(numbers.max(initial=0)) // 8 + 1
        if needed > len(bits):
            larger = np.zeros(max(needed, min(2 * len(bits), self._largest // 8 + 1)), np.uint8)
            larger[: len(bits)] = bits
            bits = self._bits[file] = larger
        np.bitwise_or.at(bits, numbers >> 3, np.left_shift(1, numbers & 7).astype(np.uint8))
