"""Cutting histories into sequences as SQL: one query for every window kind, side and stride; pure functions from plan to text.

How it works. Each item becomes one row value of all features. A history is cut into blocks of a bounded number of positions;
each block also gets the items that the windows starting in it reach into, so that no array holds more than a block and a
sequence length, however long the history. An ordered `array_agg` per block gives its items, `unnest(sequence(…))` the ordinals
of the windows that start in it, `slice` their items and `repeat` their padding. Kinds of one window per history have one block.

Names that the queries make up begin with `_`, which no column of a contract does.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from seq_assets.models import ColumnType
from seq_assets.sequencing.plans import FeaturePlan, SequencePlan
from seq_assets.sequencing.vocabulary import UNKNOWN_ID
from seq_assets.sequencing.windows import First, Prefix, Sliding
from seq_assets.warehouse.athena.sql import ATHENA_TYPES, MOST_ENTRIES, literal_sql, quoted, text_literal

_BLOCK_ITEMS: Final = 4_096


def sequence_query(plan: SequencePlan, raw: str, vocabulary: str | None) -> str:
    """The query whose result has the columns of a sequence table, in no particular order of rows.

    Args:
        plan: What to cut.
        raw: The raw observations, as a table or subquery: both subsets.
        vocabulary: The vocabulary of that raw version, where a feature of the plan is encoded.
    """
    blocks = _blocks_of(plan)
    entity = quoted(plan.entity[0])
    fields = [f"_f{number}" for number in range(len(plan.features))]
    types = ", ".join(f"{field} {_item_type(feature)}" for field, feature in zip(fields, plan.features, strict=True))
    return f"""
        WITH items AS ({items_query(plan, raw, vocabulary)}),
        rows_of_items AS (
            SELECT {entity}, _position, CAST(ROW({", ".join(fields)}) AS ROW({types})) AS _item FROM items),
        blocks AS ({blocks.query(entity)}),
        arrays AS (
            SELECT {entity}, _start, _start + _count AS _end,
                {", ".join(f"transform(_items, _item -> _item.{field}) AS {field}" for field in fields)}
            FROM blocks),
        windows AS (
            SELECT {entity}, _start, {", ".join(fields)}, _ordinal, {blocks.first_item} AS _first, {blocks.size} AS _size
            FROM (SELECT *, {blocks.first_ordinal} AS _from, {blocks.last_ordinal} AS _to FROM arrays)
            CROSS JOIN UNNEST(if(_to >= _from, sequence(_from, _to))) AS ordinals(_ordinal))
        SELECT {entity}, CAST(_ordinal - {blocks.first_kept} AS integer) AS sequence_index, _first AS sequence_start,
            CAST(_size AS integer) AS sequence_size,
            {", ".join(_lists(plan, blocks))}
        FROM windows"""


def items_query(plan: SequencePlan, raw: str, vocabulary: str | None) -> str:
    """The items of the plan's subset: the entity, `_position`, and `_f<number>` per feature, as it stands in sequences."""
    joins, values = [], []
    for number, feature in enumerate(plan.features):
        if feature.encoded:
            assert vocabulary is not None, "a plan with encoded features is executed with the vocabulary of its raw version"
            entries = f"(SELECT value, id FROM {vocabulary} WHERE feature = {text_literal(feature.name)})"
            label = f"CAST({_filled(f'_raw.{quoted(feature.name)}', feature, feature.type)} AS varchar)"
            joins.append(f"LEFT JOIN {entries} AS _v{number} ON _v{number}.value = {label}")
            values.append(f"CAST(coalesce(_v{number}.id, {UNKNOWN_ID}) AS integer) AS _f{number}")
        elif feature.derivation:
            values.append(f"_raw._since{number} AS _f{number}")
        else:
            values.append(f"{_item(f'_raw.{quoted(feature.name)}', feature)} AS _f{number}")
    columns = ", ".join(["*", *_derived_columns(plan)])
    return f"""
            SELECT _raw.{quoted(plan.entity[0])}, _raw._position, {", ".join(values)}
            FROM (SELECT {columns} FROM {raw} WHERE subset = '{plan.subset}') AS _raw {" ".join(joins)}"""


def _derived_columns(plan: SequencePlan) -> Iterator[str]:
    """A column `_since<number>` per derived feature, over raw observations of one subset."""
    for number, feature in enumerate(plan.features):
        if how := feature.derivation:
            time = quoted(how.column)
            before = f"lag({time}) OVER (PARTITION BY {quoted(plan.entity[0])} ORDER BY _position)"
            # Of times in their order, the difference is never negative, so that division rounds down.
            yield f"coalesce(({time} - {before}) / {how.unit}, {how.first}) AS _since{number}"


def padded(items: str, padding: str, side: str) -> str:
    """An array with its padding on one side."""
    return f"{items} || {padding}" if side == "right" else f"{padding} || {items}"


def _item(value: str, feature: FeaturePlan) -> str:
    if feature.type is ColumnType.TIMESTAMP:
        value = f"(({value}) / 1000 - IF(mod({value}, 1000) < 0, 1, 0))"
    elif feature.type is ColumnType.DATE:
        value = f"date_diff('day', DATE '1970-01-01', {value})"
    return f"CAST({_filled(value, feature, feature.item_type)} AS {_item_type(feature)})"


def _filled(value: str, feature: FeaturePlan, value_type: ColumnType) -> str:
    return value if feature.fill_value is None else f"coalesce({value}, {literal_sql(feature.fill_value, value_type)})"


def _item_type(feature: FeaturePlan) -> str:
    return ATHENA_TYPES[feature.item_type]


def _lists(plan: SequencePlan, blocks: "_Blocks") -> list[str]:
    """The list columns, each of L items."""
    L, side = plan.sequence_length, plan.padding_side  # noqa: N806
    lists = []
    for number, feature in enumerate(plan.features):
        pad = literal_sql(feature.pad_value, feature.item_type)
        items = padded(f"slice(_f{number}, _first - _start + 1, _size)", f"repeat({pad}, {_integer(f'{L} - _size')})", side)
        lists.append(f"{items} AS {quoted(f'{feature.name}_sequence')}")
    lists.append(f"{is_pad_sequence('_size', plan)} AS is_pad_sequence")
    if plan.window.overlaps:
        lists.append(f"{is_repeat_sequence(blocks.repeated, '_size', plan)} AS is_repeat_sequence")
    return lists


def is_pad_sequence(size: str, plan: SequencePlan) -> str:
    """The mask of a sequence with so many items: 0 on them, 1 on padding."""
    return padded(_flags(0, size), _flags(1, f"{plan.sequence_length} - {size}"), plan.padding_side)


def is_repeat_sequence(repeated: str, size: str, plan: SequencePlan) -> str:
    """The mask of a sequence whose first `repeated` items stand in an earlier one: 1 on them, 0 elsewhere."""
    items = f"{_flags(1, repeated)} || {_flags(0, f'{size} - ({repeated})')}"
    return padded(items, _flags(0, f"{plan.sequence_length} - {size}"), plan.padding_side)


def _flags(value: int, times: str) -> str:
    return f"repeat(tinyint '{value}', {_integer(times)})"


def _integer(expression: str) -> str:
    return f"CAST({expression} AS integer)"


class _Blocks(ABC):
    """How histories are cut into blocks, and which windows start in one.

    Expressions are SQL over a block: `_start` is the position of its first item, `_end` follows the last one that it has (the
    end of the history, or far enough), `_ordinal` counts the windows of a history, dropped ones included.
    """

    first_kept: int = 0
    """The ordinal whose `sequence_index` is 0."""
    repeated: str = "0"
    """Items of window `_ordinal` that the window before has too."""
    first_ordinal: str
    last_ordinal: str
    first_item: str
    """The position of the first item of window `_ordinal`."""
    size: str
    """The items of window `_ordinal`."""

    @abstractmethod
    def query(self, entity: str) -> str:
        """The blocks: the entity, `_start`, `_count` and `_items`."""


class _OneBlock(_Blocks):
    """Of `first` and `last`: the items of the only window."""

    def __init__(self, plan: SequencePlan) -> None:
        L = plan.sequence_length  # noqa: N806
        self._kept = f"_position < {L}" if isinstance(plan.window, First) else f"_position > _last - {L}"
        self.first_ordinal = "bigint '0'"
        # A window of L items is kept whatever follows, because min_length is at most L.
        self.last_ordinal = f"if(_end - _start >= {plan.min_length}, bigint '0', bigint '-1')"
        self.first_item, self.size = "_start", "_end - _start"

    def query(self, entity: str) -> str:
        """One block per history."""
        return f"""
            SELECT {entity}, min(_position) AS _start, count(*) AS _count, array_agg(_item ORDER BY _position) AS _items
            FROM (SELECT *, max(_position) OVER (PARTITION BY {entity}) AS _last FROM rows_of_items)
            WHERE {self._kept} GROUP BY {entity}"""


@dataclass(frozen=True)
class _BlockSize:
    """Positions of a block, and the items of the next ones that its windows reach into."""

    own: int
    reach: int


class _ManyBlocks(_Blocks, ABC):
    """Of kinds whose windows advance: a block owns the windows that start in it."""

    size_of_block: _BlockSize

    def query(self, entity: str) -> str:
        """Each item goes to its own block and to those before it that reach so far."""
        own, reach = self.size_of_block.own, self.size_of_block.reach
        block, copies = f"_position / {own}", ""
        if reach:
            copies = f" CROSS JOIN UNNEST(sequence(greatest(_position - {reach}, 0) / {own}, {block})) AS copies(_block)"
            block = "_block"
        return f"""
            SELECT {entity}, {block} * {own} AS _start, count(*) AS _count, array_agg(_item ORDER BY _position) AS _items
            FROM rows_of_items{copies} GROUP BY {entity}, {block}"""


class _SlidingBlocks(_ManyBlocks):
    """Of `sliding` and `chunk`: window k starts k strides in."""

    def __init__(self, plan: SequencePlan, step: int) -> None:
        L, short = plan.sequence_length, plan.min_length  # noqa: N806
        per_block = max(_BLOCK_ITEMS // step, 1)
        self.size_of_block = _BlockSize(own=per_block * step, reach=L - step)
        self.first_ordinal = f"_start / {step}"
        reaches_end = f"(greatest(_end - {L}, 0) + {step - 1}) / {step}"
        long_enough = f"if(_end < {short}, bigint '-1', (_end - {short}) / {step})"
        self.last_ordinal = f"least(_start / {step} + {per_block - 1}, {reaches_end}, {long_enough})"
        self.first_item, self.size = f"_ordinal * {step}", f"least({L}, _end - _ordinal * {step})"
        self.repeated = f"if(_ordinal = 0, 0, least(_size, {L - step}))"


class _PrefixBlocks(_ManyBlocks):
    """Of `prefix`: window k ends with the item at position k."""

    def __init__(self, plan: SequencePlan) -> None:
        L = plan.sequence_length  # noqa: N806
        # The first block owns its positions' windows and those that start at 0 while they grow.
        own = min(_BLOCK_ITEMS, MOST_ENTRIES - L + 1)
        self.size_of_block = _BlockSize(own=own, reach=L - 1)
        self.first_kept = max(plan.min_length, 2) - 1
        self.first_ordinal = f"greatest(if(_start = 0, {self.first_kept}, _start + {L - 1}), {self.first_kept})"
        self.last_ordinal = f"least(_start + {own + L - 2}, _end - 1)"
        self.first_item, self.size = f"greatest(_ordinal - {L - 1}, 0)", f"least({L}, _ordinal + 1)"
        self.repeated = f"if(_ordinal = {self.first_kept}, 0, _size - 1)"


def _blocks_of(plan: SequencePlan) -> _Blocks:
    if isinstance(plan.window, Sliding):  # chunks slide too
        return _SlidingBlocks(plan, plan.window.step(plan.sequence_length))
    return _PrefixBlocks(plan) if isinstance(plan.window, Prefix) else _OneBlock(plan)
