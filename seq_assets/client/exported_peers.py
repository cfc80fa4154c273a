"""Files of chosen columns for programs of others: three-line text, pyKT's `*_sequences.csv`, RecBole's `.inter`.

Belongs here: which columns play which role there, and how items become lines. Padding is left out; what pads or orders there
is made anew, in that program's way. Not here: files of all columns (`exported_files`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seq_assets.client.batches import StoredRows, ordered_batches
from seq_assets.client.exported_files import cancelable, write_lines
from seq_assets.client.texts import TEXT, content_of, csv_texts, joined_texts, list_texts, plain_texts
from seq_assets.errors import InputError
from seq_assets.models import ColumnType

if TYPE_CHECKING:
    from seq_assets.sequencing.schemas import TableColumn

_SUFFIX: Final = "_sequence"
_MASKS: Final = ("is_pad_sequence", "is_repeat_sequence")
_ADDED: Final = ("subset", "_file", "_row", "_position")
_PYKT_PAD: Final = -1
_UNFIT_FOR_THREE_LINES: Final = "[,\r\n]|^[ \t]|[ \t]$|^$"


@dataclass(frozen=True)
class Role:
    """What a column is in a file.

    Attributes:
        name: Its name there.
        required: Whether the file needs it.
        kinds: What the column may hold: `integers` (and truth values), `numbers` (and times), or `anything`.
    """

    name: str
    required: bool
    kinds: str = "anything"

    def takes(self, type_: ColumnType) -> bool:
        """Whether a column of the type may play the role."""
        if self.kinds == "anything":
            return True
        is_integer = type_.is_integer or type_ is ColumnType.BOOL
        return is_integer or (self.kinds == "numbers" and (type_.is_float or type_ is ColumnType.TIMESTAMP))


DKT_ROLES: Final = (Role("skill", True), Role("answer", True))
PYKT_ROLES: Final = (
    Role("questions", False, "integers"),
    Role("concepts", True, "integers"),
    Role("responses", True, "integers"),
    Role("timestamps", False, "integers"),
    Role("usetimes", False, "integers"),
)
RECBOLE_ROLES: Final = (
    Role("item_id", True),
    Role("timestamp", False, "numbers"),
    Role("rating", False, "numbers"),
    Role("label", False, "numbers"),
)


@dataclass(frozen=True)
class _Items:
    """Real items of whole sequences, or of whole histories, end to end.

    Attributes:
        entities: Of each sequence or history.
        sizes: Items of each.
        positions: Of each item in its entity's history, from 0.
        is_own: Of each item, whether it stands in no earlier sequence.
        values: Of each item, by role.
    """

    entities: pa.Array
    sizes: np.ndarray
    positions: np.ndarray
    is_own: np.ndarray
    values: Mapping[str, pa.Array]


def chosen_columns(
    stored: StoredRows, format_: str, roles: tuple[Role, ...], chosen: Mapping[str, str]
) -> "dict[str, TableColumn]":
    """The column of each role that is played.

    Args:
        stored: Whose columns.
        format_: The format, for errors.
        roles: Those of the format.
        chosen: Column by role; of sequences, the name of the feature.

    Raises:
        InputError: A role or column is none of the allowed, a column is missing, or does not fit.
    """
    available = _available(stored)
    known = ", ".join(available)
    names = [role.name for role in roles]
    for name in chosen:
        if name not in names:
            raise InputError(f"format {format_}: found the role {name!r} in columns; allowed: {', '.join(names)}")
    found = {}
    for role in roles:
        if role.name not in chosen:
            if role.required:
                raise InputError(
                    f"format {format_}: found no column for {role.name}; name one with --column {role.name}=COLUMN (in Python, "
                    f"columns={{{role.name!r}: …}}). Allowed: {known}"
                )
            continue
        column = available.get(chosen[role.name])
        if column is None:
            raise InputError(f"format {format_}: {role.name}: found no column {chosen[role.name]!r}; allowed: {known}")
        if not role.takes(column.type):
            fitting = ", ".join(name for name, other in available.items() if role.takes(other.type)) or "none of this model"
            raise InputError(
                f"format {format_}: {role.name}: found {chosen[role.name]} ({column.type}); allowed are {role.kinds}: {fitting}"
            )
        found[role.name] = column
    return found


def _available(stored: StoredRows) -> "dict[str, TableColumn]":
    """The columns that may play a role, by the name that the model file has for them."""
    if stored.version.dataset.sequence_length is None:
        return {column.name: column for column in stored.columns if column.name not in _ADDED}
    return {
        column.name.removesuffix(_SUFFIX): column
        for column in stored.columns
        if column.length is not None and column.name not in _MASKS
    }


def write_dkt(stored: StoredRows, sink: IO[bytes], chosen: "Mapping[str, TableColumn]") -> int:
    """Writes three lines per sequence, or per history of raw observations: count, skills, answers. Returns the blocks."""

    def blocks(items: _Items) -> pa.Array:
        lists = [list_texts(_three_line_texts(items.values[name], chosen[name].name), items.sizes) for name in chosen]
        return joined_texts([part for texts in [pa.array(items.sizes).cast(TEXT), *lists] for part in ("\n", texts)][1:])

    return write_lines(sink, _items(stored, chosen), blocks)


def _three_line_texts(values: pa.Array, name: str) -> pa.Array:
    """The texts of items, which nothing separates but commas.

    Raises:
        InputError: An item is null, or would be read as something else.
    """
    texts = plain_texts(values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values)
    if texts.null_count:
        raise InputError(f"{name}: found a null, which three-line text has no way to hold; allowed: another column or format.")
    if pa.types.is_string(values.type):
        unfit = texts.filter(pc.match_substring_regex(texts, _UNFIT_FOR_THREE_LINES))
        if len(unfit):
            raise InputError(
                f"{name}: found {unfit[0].as_py()!r}; three-line text holds no text that is empty, has a comma or a line "
                "break, or begins or ends with a blank. Allowed: another column or format, or ids (`encode: vocabulary`)."
            )
    return texts


def write_pykt(stored: StoredRows, sink: IO[bytes], chosen: "Mapping[str, TableColumn]") -> int:
    """Writes a record per sequence as pyKT's loaders read them; returns the sequences.

    Items stand first, then padding, -1 in every list. `selectmasks` is 1 on an item, and -1 on one that stands in an earlier
    sequence, too, so that each is scored once. `fold` is 0 in train and 1 in validation.
    """
    length = stored.version.dataset.sequence_length
    assert length is not None, "raw observations are refused before"
    is_train = stored.version.dataset.kind == "sequenced_train"
    sink.write((",".join(["fold", "uid", *chosen, "selectmasks"]) + "\n").encode())
    paddings = pa.array([f",{_PYKT_PAD}" * padding for padding in range(length + 1)], TEXT)

    def records(items: _Items) -> pa.Array:
        padding = paddings.take(pa.array(length - items.sizes))
        lists = [_pykt_integers(name, items.values[name]) for name in chosen]
        lists.append(pa.array(np.where(items.is_own, 1, _PYKT_PAD)))
        fields = [joined_texts(['"', list_texts(plain_texts(values), items.sizes), padding, '"']) for values in lists]
        return joined_texts([f"{0 if is_train else 1},", csv_texts(items.entities), *(p for f in fields for p in (",", f))])

    return write_lines(sink, _items(stored, chosen), records)


def _pykt_integers(role: str, values: pa.Array) -> pa.Array:
    integers = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values
    if role == "concepts" and pc.any(pc.equal(integers, _PYKT_PAD)).as_py():
        raise InputError(
            f"format pykt: concepts: found {_PYKT_PAD} on an item, which pyKT takes for padding; allowed: ids from 0, such as "
            "those of `encode: vocabulary`."
        )
    return integers


def write_recbole(stored: StoredRows, sink: IO[bytes], chosen: "Mapping[str, TableColumn]") -> int:
    """Writes RecBole's interactions, tab-separated: every item once, in the order of its history; returns the items.

    Where no column is the timestamp, it is the item's place in its history.
    """
    roles = [role.name for role in RECBOLE_ROLES if role.name in chosen or role.name == "timestamp"]
    header = ["user_id:token", *(f"{name}:{'token' if name == 'item_id' else 'float'}" for name in roles)]
    sink.write(content_of(pa.array(["\t".join(header)], TEXT)))

    def interactions(items: _Items) -> pa.Array:
        own = pa.array(items.is_own)
        users = csv_texts(items.entities, "\t").take(pa.array(np.repeat(np.arange(len(items.sizes)), items.sizes)))
        columns = {"timestamp": pa.array(items.positions), **items.values}
        fields = [users, *(csv_texts(_as_number(name, columns[name]), "\t") for name in roles)]
        return joined_texts([part for field in fields for part in ("\t", field.filter(own))][1:])

    return write_lines(sink, _items(stored, chosen), interactions)


def _as_number(role: str, values: pa.Array) -> pa.Array:
    """Times as microseconds, and truth values as 1 and 0, where RecBole wants numbers."""
    if role == "item_id":
        return values
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.int64())
    return values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values


def _items(stored: StoredRows, chosen: "Mapping[str, TableColumn]") -> Iterator[_Items]:
    batches = cancelable(ordered_batches(stored))
    if stored.version.dataset.sequence_length is None:
        entity = cast(str, stored.version.metadata["model"]["entity"])
        return (_of_histories(batch, entity, chosen) for batch in _whole_histories(batches))
    return (_of_sequences(batch, chosen) for batch in batches)


def _of_sequences(batch: pa.RecordBatch, chosen: "Mapping[str, TableColumn]") -> _Items:
    is_item = pc.equal(batch.column("is_pad_sequence").flatten(), 0)
    sizes = batch.column("sequence_size").to_numpy()
    starts = batch.column("sequence_start").to_numpy()
    if "is_repeat_sequence" in batch.schema.names:
        is_own = pc.equal(batch.column("is_repeat_sequence").flatten().filter(is_item), 0).to_numpy(zero_copy_only=False)
    else:
        is_own = np.ones(sizes.sum(), bool)
    return _Items(
        batch.column(0),
        sizes,
        np.repeat(starts, sizes) + _places(sizes),
        is_own,
        {role: batch.column(column.name).flatten().filter(is_item) for role, column in chosen.items()},
    )


def _places(sizes: np.ndarray) -> np.ndarray:
    """0, 1, 2, … for each of the sizes, end to end."""
    places: np.ndarray = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return places


def _of_histories(rows: pa.Table, entity: str, chosen: "Mapping[str, TableColumn]") -> _Items:
    positions = rows["_position"].to_numpy()
    starts = np.flatnonzero(positions == 0)
    return _Items(
        rows[entity].take(pa.array(starts)).combine_chunks(),
        np.diff(np.append(starts, len(positions))),
        positions,
        np.ones(len(positions), bool),
        {role: rows[column.name].combine_chunks() for role, column in chosen.items()},
    )


def _whole_histories(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows in tables that end where a history ends; one history is in memory as a whole."""
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        starts = np.flatnonzero(batch.column("_position").to_numpy() == 0)
        if pending and len(starts):
            yield pa.Table.from_batches([*pending, batch.slice(0, starts[-1])])
            pending = [batch.slice(starts[-1])]
        else:
            pending.append(batch)
    if pending:
        yield pa.Table.from_batches(pending)
