"""Vocabularies: stable integer ids for the values of encoded features.

Belongs here: how ids are given and looked up, on Arrow tables of `VOCABULARY_SCHEMA`, the same in every engine. Not here: how
the values of train observations are counted (the warehouses), or which version goes with which (its raw version says so).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.models import Scalar
from seq_assets.sequencing.schemas import VOCABULARY_SCHEMA

UNKNOWN_ID: Final = 1
"""Of null, and of a value that no train observation has had; 0 is padding."""
FIRST_ID: Final = 2


def next_vocabulary(
    previous: pa.Table | None, counts: Mapping[str, pa.Table], ids_from: int = FIRST_ID, min_counts: Mapping[str, int] = {}
) -> pa.Table:
    """The vocabulary after an ingest: ids once given stay, and new values get the next ones.

    New values are numbered by count, most frequent first; equally frequent ones by value (numbers by value, strings by their
    UTF-8 bytes). A value that vanished, or became rare, keeps its id, with its count; so does one whose feature is no longer
    encoded, with the count 0.

    Args:
        previous: Rows of the version before; None for the first one.
        counts: By encoded feature, in the model's order: columns `value` (of the contract's type, each value once, no null) and
            `count` (int64), over accepted train observations.
        ids_from: The smallest id of new values, where smaller ones may have been given to values that nobody knows any more.
        min_counts: By feature: how often a value must occur to get an id; once where nothing is said.

    Returns:
        A table of `VOCABULARY_SCHEMA`, ordered by feature, in the model's order, then id.
    """
    before = VOCABULARY_SCHEMA.stored().empty_table() if previous is None else previous
    parts = [
        _next_values(name, values_of(before, name), found, min_counts.get(name, 1), ids_from) for name, found in counts.items()
    ]
    names = pa.array(list(counts), pa.string())
    gone = before.filter(pc.invert(pc.is_in(before["feature"], value_set=names)))
    parts.append(gone.set_column(3, "count", pa.array(np.zeros(len(gone), np.int64))))
    return pa.concat_tables(part.cast(VOCABULARY_SCHEMA.stored()) for part in parts).combine_chunks()


def values_of(vocabulary: pa.Table | None, feature: str) -> pa.Table:
    """The rows of one feature."""
    assert vocabulary is not None, "a plan with encoded features is executed with the vocabulary of its raw version"
    return vocabulary.filter(pc.equal(vocabulary["feature"], feature))


class Encoder:
    """The ids of one feature's values; looks a value up in constant time, however large the vocabulary."""

    def __init__(self, vocabulary: pa.Table, fill_value: Scalar | None) -> None:
        """Indexes the values.

        Args:
            vocabulary: The rows of the feature.
            fill_value: Replaces null before it is looked up; None where nothing does.
        """
        import pandas as pd

        self._fill_value = fill_value
        self._values = pd.Index(vocabulary["value"].to_numpy(), dtype=object)
        # What is not found has the index -1, the last one.
        self._ids = np.append(vocabulary["id"].to_numpy(), np.int32(UNKNOWN_ID))

    def ids(self, values: pa.Array) -> pa.Array:
        """The ids of values of the contract's type: int32, without nulls; `UNKNOWN_ID` for null and what was never seen."""
        if self._fill_value is not None:
            values = pc.fill_null(values, _scalar(self._fill_value, values.type))
        # Each value of a batch is looked up once, however often it stands there.
        dictionary = values.dictionary_encode()
        texts = dictionary.dictionary.cast(pa.string()).to_numpy(zero_copy_only=False)
        ids = pa.array(self._ids[self._values.get_indexer(texts)], pa.int32())
        return pc.fill_null(ids.take(dictionary.indices), UNKNOWN_ID)


def _next_values(feature: str, before: pa.Table, counts: pa.Table, min_count: int, ids_from: int) -> pa.Table:
    ordered = counts.sort_by([("count", "descending"), ("value", "ascending")])
    texts = ordered["value"].cast(pa.string())
    kept_counts = pc.fill_null(ordered["count"].take(pc.index_in(before["value"], value_set=texts)), 0)
    is_frequent = pc.greater_equal(ordered["count"], min_count)
    is_new = pc.and_(is_frequent, pc.invert(pc.is_in(texts, value_set=before["value"])))
    new, new_counts = texts.filter(is_new), ordered["count"].filter(is_new)
    first = max((pc.max(before["id"]).as_py() or 0) + 1, ids_from)
    ids = np.concatenate([before["id"].to_numpy(), np.arange(first, first + len(new))])
    columns = [
        pa.repeat(pa.scalar(feature), len(ids)),
        pa.chunked_array([*before["value"].chunks, *new.chunks], pa.string()),
        pa.array(ids, pa.int32()),
        pa.chunked_array([*kept_counts.chunks, *new_counts.chunks], pa.int64()),
    ]
    return pa.table(columns, schema=VOCABULARY_SCHEMA.stored())


def _scalar(value: Scalar, type_: pa.DataType) -> pa.Scalar:
    """A plain Python value as the type's; a date is its days since the epoch."""
    return pa.scalar(value, pa.int32()).cast(type_) if pa.types.is_date32(type_) else pa.scalar(value, type_)
