"""Generated observations like EdNet's: deterministic, in time order with pupils interleaved, written in bounded memory.

A pupil works from some moment on for some while, at an even pace; a block of the file is a stretch of time, whose rows are
those of all pupils at work, in random order. So only one block is in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Histories: TypeAlias = Literal["log-normal", "equal", "one-half"]
HISTORIES: Final[tuple[Histories, ...]] = get_args(Histories)
"""Log-normal lengths as EdNet's, all equal, or one pupil with half of all rows and the others log-normal."""

MEAN_HISTORY: Final = 167
"""EdNet's: 131,441,538 answers of 784,309 pupils."""
_SIGMA: Final = 1.5
"""Gives a median of 54 and, of as many pupils as EdNet has, a longest history of some 60,000."""
_SEED: Final = 20_260_101
_BLOCK_ROWS: Final = 1_000_000
_EXERCISES: Final = 13_169
_SKILLS: Final = 188
_FIRST_TIMESTAMP: Final = 1_500_000_000_000_000
_MICROSECONDS_PER_ROW: Final = 500_000


@dataclass(frozen=True)
class Observations:
    """Which observations.

    Attributes:
        rows: How many, exactly.
        histories: How they are spread over pupils.
    """

    rows: int
    histories: Histories = "log-normal"

    @property
    def name(self) -> str:
        """A file name that no other observations have."""
        return f"observations_{self.rows}_{self.histories}_{_SEED}.parquet"

    def file_in(self, folder: Path) -> Path:
        """The file with them below a folder, written now unless it stands there."""
        file = folder / self.name
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self.write(file)
        return file

    def write(self, file: Path) -> None:
        """Writes them as Parquet; the file is there only when it is whole."""
        import pyarrow.parquet as pq

        unfinished = file.with_suffix(".unfinished")
        writer = None
        for batch in self.batches():
            writer = writer or pq.ParquetWriter(unfinished, batch.schema)
            writer.write_batch(batch)
        assert writer is not None, "there are rows"
        writer.close()
        unfinished.rename(file)

    def history_lengths(self) -> "NDArray[np.int64]":
        """How many rows each pupil has; at least one each, `rows` in total."""
        import numpy as np

        pupils = max(round(self.rows / MEAN_HISTORY), 2)
        if self.histories == "equal":
            return _whole(np.ones(pupils), self.rows)
        shares = np.random.default_rng([_SEED, 0]).lognormal(0, _SIGMA, pupils)
        if self.histories == "log-normal":
            return _whole(shares, self.rows)
        half = self.rows // 2
        return np.concatenate([[half], _whole(shares[1:], self.rows - half)])

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """The rows in their order, a block at a time."""
        import numpy as np

        lengths = self.history_lengths()
        random = np.random.default_rng([_SEED, 1])
        start, duration = _activity(random, lengths, self.rows)
        pupils = random.permutation(len(lengths)).astype(np.int64) * 7 + 1_000
        traits = _Traits.drawn(random, len(lengths))
        blocks = max(self.rows // _BLOCK_ROWS, 1)
        done, written = np.zeros_like(lengths), 0
        for block in range(blocks):
            share = np.clip(((block + 1) / blocks - start) / duration, 0, 1)
            until = lengths if block == blocks - 1 else np.floor(lengths * share).astype(np.int64)
            who = np.repeat(np.arange(len(lengths)), until - done)
            done = until
            of_block = np.random.default_rng([_SEED, 2, block])
            of_block.shuffle(who)
            if len(who):
                yield traits.batch(of_block, who, pupils[who], written)
            written += len(who)


@dataclass(frozen=True)
class _Traits:
    """What decides answers: abilities of pupils, difficulties and skills of exercises, and how popular exercises are."""

    ability: "NDArray[np.float64]"
    difficulty: "NDArray[np.float64]"
    skill: "NDArray[np.int32]"
    popularity: "NDArray[np.float64]"

    @classmethod
    def drawn(cls, random: "np.random.Generator", pupils: int) -> "_Traits":
        import numpy as np

        popularity = np.cumsum(random.lognormal(0, 1.2, _EXERCISES))
        return cls(
            ability=random.normal(0.8, 1, pupils),
            difficulty=random.normal(0, 1, _EXERCISES),
            skill=random.integers(1, _SKILLS + 1, _EXERCISES, dtype=np.int32),
            popularity=popularity / popularity[-1],
        )

    def batch(
        self, random: "np.random.Generator", who: "NDArray[np.int64]", pupil: "NDArray[np.int64]", first_row: int
    ) -> "pa.RecordBatch":
        """Answers of these pupils, in this order; no two rows have one timestamp."""
        import numpy as np
        import pyarrow as pa

        exercise = np.searchsorted(self.popularity, random.random(len(who))).astype(np.int32)
        chance = 1 / (1 + np.exp(self.difficulty[exercise] - self.ability[who]))
        row = np.arange(first_row, first_row + len(who), dtype=np.int64)
        timestamp = _FIRST_TIMESTAMP + row * _MICROSECONDS_PER_ROW + random.integers(0, _MICROSECONDS_PER_ROW, len(who))
        return pa.RecordBatch.from_pydict(
            {
                "pupil": pupil,
                "timestamp": pa.array(timestamp).cast(pa.timestamp("us", "UTC")),
                "exercise": exercise,
                "skill": self.skill[exercise],
                "correct": (random.random(len(who)) < chance).astype(np.int8),
                "elapsed": np.round(random.lognormal(3, 0.8, len(who)), 1).astype(np.float32),
            }
        )


def _whole(shares: "NDArray[np.float64]", rows: int) -> "NDArray[np.int64]":
    """Whole numbers, at least 1, in proportion to shares, whose sum is `rows`."""
    import numpy as np

    assert rows >= len(shares), "a row for each"
    lengths: NDArray[np.int64] = 1 + np.floor(shares * ((rows - len(shares)) / shares.sum())).astype(np.int64)
    missing = rows - int(lengths.sum())
    lengths[np.argsort(-shares, kind="stable")[:missing]] += 1
    return lengths


def _activity(
    random: "np.random.Generator", lengths: "NDArray[np.int64]", rows: int
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """When pupils begin and how long they go on, as shares of all time; long histories take longer."""
    import numpy as np

    duration = np.clip(random.uniform(0.05, 0.4, len(lengths)) + 2 * lengths / rows, 0, 1)
    return random.random(len(lengths)) * (1 - duration), duration
