"""Values as text, a column at a time, for files that others read: fields of CSV, values of JSON, joined lists.

Belongs here: what a value looks like in a text. Not here: which columns and rows a file has (`exported_files`).
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import numpy as np

TEXT: Final = pa.large_string()
"""Of all texts here, so that no number of them is too large for one array."""


def plain_texts(values: pa.Array) -> pa.Array:
    """Each value as its text; null stays null.

    Of a number, the fewest digits that give the same number; `true` and `false`; dates and times in the forms of ISO 8601,
    times with a `Z`.
    """
    if pa.types.is_floating(values.type):
        # A reader that finds no point or exponent takes it for an integer, of which none is a negative zero.
        texts = values.cast(pa.string()).cast(TEXT)
        return pc.if_else(pc.equal(texts, "-0"), "-0.0", texts)
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        return values.cast(pa.string()).cast(TEXT)
    return values.cast(TEXT)


def csv_texts(values: pa.Array, delimiter: str = ",") -> pa.Array:
    """Each value as a field of CSV (RFC 4180): quoted where it must be; null is empty, and an empty text is in quotes."""
    texts = plain_texts(values)
    if not _is_text(values.type):
        return pc.fill_null(texts, "")
    needs_quotes = pc.match_substring_regex(texts, f'["{delimiter}\r\n]|^$')
    quoted = joined_texts(['"', pc.replace_substring(texts, '"', '""'), '"'])
    return pc.fill_null(pc.if_else(needs_quotes, quoted, texts), "")


def json_texts(values: pa.Array) -> pa.Array:
    """Each value as JSON: dates and times are texts; of a number, as many digits as give the same number."""
    if _is_text(values.type):
        encoded = values.dictionary_encode()
        words = [json.dumps(word, ensure_ascii=False) for word in encoded.dictionary.to_pylist()]
        texts = pa.array(words, TEXT).take(encoded.indices)
    elif pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        texts = joined_texts(['"', plain_texts(values), '"'])
    else:
        texts = plain_texts(values)
    return pc.fill_null(texts, "null")


def list_texts(items: pa.Array, sizes: "Sequence[int] | np.ndarray", separator: str = ",") -> pa.Array:
    """The texts of items joined into one text per list.

    Args:
        items: Texts, of all lists end to end.
        sizes: How many items each list has.
        separator: Stands between two items.
    """
    import numpy as np

    offsets = np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), items)
    return pc.binary_join(lists, pa.scalar(separator, TEXT))


def joined_texts(parts: "Sequence[pa.Array | str]") -> pa.Array:
    """One text per row, of the texts of columns and of constant texts; null where one of them is null."""
    scalars: list[Any] = [pa.scalar(part, TEXT) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*scalars, pa.scalar("", TEXT))


def content_of(lines: pa.Array) -> bytes:
    """All lines, each with an end of line, as UTF-8."""
    ended = joined_texts([lines, "\n"])
    # Texts of an array lie end to end.
    offsets, content = ended.buffers()[1:]
    bounds = memoryview(offsets).cast("q")
    return bytes(memoryview(content)[bounds[ended.offset] : bounds[ended.offset + len(ended)]]) if len(ended) else b""


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))
