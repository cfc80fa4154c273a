"""Plans: pure values that say what to compute. They know no engine and no storage.

An asset returns one per partition; a warehouse executes it. Two plans with the same identity, on the same input, have the same
result: that is how an unchanged dataset keeps its version.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, TypeAlias

from seq_assets.models import ColumnType, ModelSpec, Scalar, Subset, TimeUnit
from seq_assets.sequencing.schemas import TableSchema, raw_schema, sequence_schema
from seq_assets.sequencing.windows import WINDOW_KINDS, Window, window_of

SEMANTICS: Final = 1
"""Raised whenever the same input and model file would give another result; every dataset is then rebuilt."""
MICROSECONDS: Final[Mapping[TimeUnit, int]] = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
"""Of one unit of time."""


@dataclass(frozen=True)
class Dataset:
    """The name of one dataset: one table of the warehouse."""

    model: str
    kind: Literal["raw_observations", "rejected_observations", "vocabulary", "sequenced_train", "sequenced_validation"]
    sequence_length: int | None = None

    @property
    def table(self) -> str:
        """The table's name, for example `dkt_sequenced_train_100`."""
        suffix = "" if self.sequence_length is None else f"_{self.sequence_length}"
        return f"{self.model}_{self.kind}{suffix}"

    @classmethod
    def raw(cls, model: str) -> "Dataset":
        """A model's raw observations."""
        return cls(model, "raw_observations")

    @classmethod
    def rejected(cls, model: str) -> "Dataset":
        """What a model's contract rejected."""
        return cls(model, "rejected_observations")

    @classmethod
    def vocabulary(cls, model: str) -> "Dataset":
        """The ids of the values of a model's encoded features."""
        return cls(model, "vocabulary")

    @classmethod
    def sequenced(cls, model: str, subset: Subset, sequence_length: int) -> "Dataset":
        """A model's sequences of one subset at one length."""
        return cls(model, "sequenced_train" if subset == "train" else "sequenced_validation", sequence_length)


@dataclass(frozen=True)
class IngestPlan:
    """Read a source, enforce the contract, split, and store clustered by subset, entity and order.

    Attributes:
        spec: The model.
        location: The source's location in this environment.
        folder: The folder that a relative location starts from.
    """

    spec: ModelSpec
    location: str
    folder: str

    @property
    def dataset(self) -> Dataset:
        """What is published last; the rejected observations and the vocabulary are published with it."""
        return Dataset.raw(self.spec.name)

    @property
    def schema(self) -> TableSchema:
        """The schema of the raw table."""
        return raw_schema((name, column.type, column.nullable) for name, column in self.spec.columns.items())

    @property
    def identity(self) -> str:
        """A hash of all that decides the result, the source's content aside."""
        # Of a mapping of locations only the one of this environment counts.
        source = self.spec.source.model_copy(update={"location": self.location})
        spec = self.spec.model_copy(update={"source": source})
        parts = spec.digest("source", "columns", "entity", "order_by", "ties", "split")
        vocabulary = [
            (name, spec.fill_value(name), *([feature.min_count] if (feature := spec.features[name]).min_count > 1 else []))
            for name in spec.encoded
        ]
        return _digest(spec.name, parts, spec.checks.rejected_ratio.max, vocabulary)


@dataclass(frozen=True)
class TimeSincePrevious:
    """The time from one item of a history to the next, in whole units.

    Attributes:
        column: The raw column of the items' times, int64 microseconds; histories are in its order.
        unit: Microseconds of one unit.
        first: The value of a history's first item.
    """

    column: str
    unit: int
    first: int


@dataclass(frozen=True)
class FeaturePlan:
    """One feature of a sequence table.

    Attributes:
        name: The raw column; of a derived feature, the name that it has instead.
        type: Its contract type; of a derived feature, that of its items.
        pad_value: Of the item type.
        fill_value: Replaces null; None where nothing does. Of the item type, or, of an encoded feature, of the contract type.
        encoded: Whether the items are ids of the model's vocabulary.
        derivation: How the items follow from another column; None where they are the values of their own.
    """

    name: str
    type: ColumnType
    pad_value: Scalar
    fill_value: Scalar | None = None
    encoded: bool = False
    derivation: TimeSincePrevious | None = None

    @classmethod
    def of(cls, spec: ModelSpec, name: str) -> "FeaturePlan":
        """The plan of a feature of a model."""
        derivation = None
        feature = spec.features[name]
        if feature.derive:
            derivation = TimeSincePrevious(spec.order_by[0], MICROSECONDS[feature.unit], feature.first)
        type_ = ColumnType.INT64 if derivation else spec.columns[name].type
        return cls(name, type_, spec.pad_value(name), spec.fill_value(name), name in spec.encoded, derivation)

    @property
    def source(self) -> tuple[str, ColumnType]:
        """Name and type of the raw column that the items come from."""
        return (self.derivation.column, ColumnType.TIMESTAMP) if self.derivation else (self.name, self.type)

    @property
    def item_type(self) -> ColumnType:
        """The type of the items of `<name>_sequence`."""
        return ColumnType.INT32 if self.encoded else self.type.as_feature


@dataclass(frozen=True)
class SequencePlan:
    """Cut one subset of raw observations into sequences of one length.

    Attributes:
        model: The model's name.
        subset: Which observations.
        raw_version: The version of the raw observations to read.
        entity: Name and type of the entity's column.
        features: In the model's order.
        window: The window kind.
        sequence_length: Positions of each sequence.
        padding_side: Where the padding stands.
        min_length: Shorter windows are dropped.
    """

    model: str
    subset: Subset
    raw_version: int
    entity: tuple[str, ColumnType]
    features: tuple[FeaturePlan, ...]
    window: Window
    sequence_length: int
    padding_side: Literal["right", "left"]
    min_length: int

    @classmethod
    def of(cls, spec: ModelSpec, subset: Subset, sequence_length: int, raw_version: int) -> "SequencePlan":
        """The plan of one declared cell of a model."""
        return cls(
            model=spec.name,
            subset=subset,
            raw_version=raw_version,
            entity=(spec.entity, spec.columns[spec.entity].type),
            features=tuple(FeaturePlan.of(spec, name) for name in spec.features),
            window=window_of(spec.window),
            sequence_length=sequence_length,
            padding_side=spec.padding.side,
            min_length=spec.min_length,
        )

    @property
    def dataset(self) -> Dataset:
        """What is published."""
        return Dataset.sequenced(self.model, self.subset, self.sequence_length)

    @property
    def schema(self) -> TableSchema:
        """The schema of the sequence table."""
        features = [(feature.name, feature.item_type) for feature in self.features]
        origins = {feature.name: feature.source[0] for feature in self.features}
        return sequence_schema(self.entity, features, self.sequence_length, self.window.overlaps, origins)

    @property
    def encoded(self) -> tuple[str, ...]:
        """The features whose items are ids of the model's vocabulary."""
        return tuple(feature.name for feature in self.features if feature.encoded)

    @property
    def identity(self) -> str:
        """A hash of all that decides the result."""
        return _digest(self.to_json())

    def mismatches(self, raw: TableSchema) -> list[str]:
        """What the plan reads and raw observations do not have, because the model file has changed since; empty if nothing."""
        found = {column.name: column for column in raw.columns}
        wanted = dict([*(feature.source for feature in self.features), self.entity])
        filled = {feature.name for feature in self.features if feature.fill_value is not None or feature.encoded}
        mismatches = []
        for name, type_ in wanted.items():
            column = found.get(name)
            if column is None or column.type is not type_:
                has = "no such column" if column is None else f"{column.type}"
                mismatches.append(f"{name}: found {has}, the model file says {type_}")
            elif column.nullable and name not in filled:
                mismatches.append(f"{name}: found a column that may be null, the model file says that it may not")
        return mismatches

    def to_json(self) -> str:
        """The plan as JSON text, as a version keeps it."""
        features = [_said(asdict(feature)) for feature in self.features]
        return json.dumps(asdict(self) | {"features": features, "window": [type(self.window).__name__, asdict(self.window)]})

    @classmethod
    def from_json(cls, text: str) -> "SequencePlan":
        """The plan that `to_json` wrote."""
        values = json.loads(text)
        kind, arguments = values.pop("window")
        entity, entity_type = values.pop("entity")
        return cls(
            entity=(entity, ColumnType(entity_type)),
            features=tuple(map(_feature_of, values.pop("features"))),
            window=WINDOW_KINDS[kind](**arguments),
            **values,
        )


@dataclass(frozen=True)
class RefusedPlan:
    """What cannot be planned, such as a broken model file: its partition fails with the message, no other does."""

    message: str


Plan: TypeAlias = IngestPlan | SequencePlan | RefusedPlan


@dataclass(frozen=True)
class PartitionPlans:
    """What an asset returns.

    Attributes:
        plans: The plan of each of its partitions in a run, by partition key.
        specs: What the model files say, by model: their words are shown with what is published.
        force: Whether to build even where nothing that decides a result has changed.
    """

    plans: Mapping[str, Plan]
    specs: Mapping[str, ModelSpec] = field(default_factory=dict)
    force: bool = False


def _said(feature: dict[str, Any]) -> dict[str, Any]:
    """A feature's values. Unsaid is what no plan said before there was this field, so that identities stay."""
    if feature["derivation"] is None:
        del feature["derivation"]
    return feature


def _feature_of(values: dict[str, Any]) -> FeaturePlan:
    derivation = values.get("derivation")
    said = {"type": ColumnType(values["type"]), "derivation": derivation and TimeSincePrevious(**derivation)}
    return FeaturePlan(**values | said)


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps([SEMANTICS, *values], sort_keys=True, default=str).encode()).hexdigest()
