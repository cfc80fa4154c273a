"""Hypothesis strategies for what the kernel may be given: any histories, any definition, any batches."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final, Literal, get_args

import pyarrow as pa
from hypothesis import strategies as st

from seq_assets.models import ColumnType
from seq_assets.models.columns import integer_range
from seq_assets.models.spec import WindowSpec
from seq_assets.sequencing.plans import FeaturePlan, SequencePlan, TimeSincePrevious
from seq_assets.sequencing.schemas import VOCABULARY_SCHEMA, stored_type
from seq_assets.sequencing.windows import window_of
from seq_assets_tests.reference import Definition, Feature, Row, Since
from seq_assets_tests.reference.reading import as_text

WindowName = Literal["chunk", "sliding", "last", "first", "prefix"]
Side = Literal["right", "left"]
WINDOWS: Final[tuple[WindowName, ...]] = get_args(WindowName)
SIDES: Final[tuple[Side, ...]] = get_args(Side)
ENTITY_TYPES: Final = [type_ for type_ in ColumnType if type_.is_integer or type_ is ColumnType.STRING]


@dataclass(frozen=True)
class Case:
    """Observations, cut into batches, and the sequences that are asked for."""

    definition: Definition
    entity_type: ColumnType
    rows: list[Row]
    cuts: list[int]

    @property
    def plan(self) -> SequencePlan:
        """The definition as a plan."""
        return plan_of(self.definition, self.entity_type)

    @property
    def vocabulary(self) -> pa.Table:
        """The ids of the encoded features."""
        rows = [
            {"feature": feature.name, "value": value, "id": id_, "count": 1}
            for feature in self.definition.features
            for value, id_ in (feature.ids or {}).items()
        ]
        return pa.Table.from_pylist(rows, VOCABULARY_SCHEMA.stored())

    @property
    def table(self) -> pa.Table:
        """The observations in their stored types, with a column that nobody asked for."""
        features = self.definition.features
        types = {feature.name: ColumnType(feature.type) for feature in features if feature.since is None}
        types |= {feature.since.column: ColumnType.TIMESTAMP for feature in features if feature.since is not None}
        types[self.definition.entity] = self.entity_type
        columns: dict[str, Any] = {"unused": pa.nulls(len(self.rows))}
        for name, type_ in types.items():
            columns[name] = pa.array([row[name] for row in self.rows], stored_type(type_))
        return pa.table(columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The observations, cut where the case says; a batch may be empty."""
        whole = self.table.combine_chunks()
        for start, end in zip([0, *self.cuts], [*self.cuts, len(self.rows)], strict=True):
            arrays = [column.combine_chunks().slice(start, end - start) for column in whole.columns]
            yield pa.RecordBatch.from_arrays(arrays, schema=whole.schema)


def plan_of(definition: Definition, entity_type: ColumnType = ColumnType.INT64) -> SequencePlan:
    """The plan that asks for what the definition asks for."""
    return SequencePlan(
        model="m",
        subset="train",
        raw_version=1,
        entity=(definition.entity, entity_type),
        features=tuple(
            FeaturePlan(
                feature.name,
                ColumnType(feature.type),
                feature.pad_value,
                _fill_of_plan(feature),
                feature.ids is not None,
                TimeSincePrevious(**asdict(feature.since)) if feature.since else None,
            )
            for feature in definition.features
        ),
        window=window_of(WindowSpec(mode=definition.window, stride=definition.stride)),
        sequence_length=definition.sequence_length,
        padding_side=definition.padding_side,
        min_length=definition.min_length,
    )


def _fill_of_plan(feature: Feature) -> Any:
    """What replaces null, as a plan has it: a date as its days since the epoch."""
    return (feature.fill_value - date(1970, 1, 1)).days if isinstance(feature.fill_value, date) else feature.fill_value


def raw_values(type_: ColumnType) -> st.SearchStrategy[Any]:
    """What a raw column of the type may hold; timestamps as microseconds."""
    if type_.is_integer:
        return st.integers(*integer_range(type_))
    if type_ is ColumnType.TIMESTAMP:
        return st.integers(-2_000, 2_000) | st.integers(*integer_range(ColumnType.INT64))
    return {
        ColumnType.FLOAT32: st.floats(width=32, allow_nan=False, allow_infinity=False),
        ColumnType.FLOAT64: st.floats(allow_nan=False, allow_infinity=False),
        ColumnType.BOOL: st.booleans(),
        ColumnType.STRING: st.text(max_size=3),
        ColumnType.DATE: st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    }[type_]


@st.composite
def features(draw: st.DrawFn, name: str, may_be_encoded: bool) -> tuple[Feature, list[Any]]:
    """A feature of any type, and a few values that its column repeats."""
    type_ = draw(st.sampled_from(list(ColumnType)))
    values, items = raw_values(type_), raw_values(type_.as_feature)
    if may_be_encoded and type_.is_label and draw(st.booleans()):
        pool = draw(st.lists(st.none() | values, min_size=1, max_size=6))
        known = dict.fromkeys(as_text(value) for value in pool[: draw(st.integers(0, 6))] if value is not None)
        # Ids are not in the order of values.
        ids = {text: number + 2 for number, text in enumerate(known)}
        return Feature(name, type_.value, 0, draw(st.none() | st.sampled_from(pool)), ids), pool
    fill = draw(st.none() | items)
    pool = draw(st.lists(values if fill is None else st.none() | values, min_size=1, max_size=4))
    return Feature(name, type_.value, draw(items), fill), pool


@st.composite
def definitions(draw: st.DrawFn, others: tuple[Feature, ...] = ()) -> Definition:
    """Any definition whose first feature, `number`, is different in every row."""
    length = draw(st.integers(1, 7))
    window = draw(st.sampled_from(WINDOWS))
    return Definition(
        entity="entity",
        features=(Feature("number", "int64", draw(st.integers(-2, 2))), *others),
        sequence_length=length,
        window=window,
        stride=draw(st.integers(1, length)) if window == "sliding" else None,
        padding_side=draw(st.sampled_from(SIDES)),
        min_length=draw(st.integers(1, length)),
    )


@st.composite
def cases(draw: st.DrawFn, may_be_encoded: bool = True) -> Case:
    """Any case, with or without encoded features."""
    entity_type = draw(st.sampled_from(ENTITY_TYPES))
    entities = draw(st.lists(raw_values(entity_type), unique=True, max_size=5))
    drawn = [draw(features(f"feature_{number}", may_be_encoded)) for number in range(draw(st.integers(0, 3)))]
    since = draw(
        st.lists(st.builds(Since, st.just("time"), st.sampled_from([1, 1_000, 60_000_000]), st.integers(-2, 2)), max_size=2)
    )
    lags = [Feature(f"lag_{number}", "int64", draw(st.integers(-2, 2)), since=how) for number, how in enumerate(since)]
    pools = {feature.name: pool for feature, pool in drawn}
    rows: list[Row] = []
    for entity in entities:
        for _ in range(draw(st.integers(1, 20))):
            number = len(rows)
            values = {name: pool[number % len(pool)] for name, pool in pools.items()}
            rows.append({"entity": entity, "number": number, "time": draw(st.integers(0, 10**9)) + 10**9 * number} | values)
    definition = draw(definitions((*(feature for feature, _ in drawn), *lags)))
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    return Case(definition, entity_type, rows, cuts)
