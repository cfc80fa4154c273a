"""`ModelSpec`: everything that one model file may say, and nothing that it may not.

Belongs here: the fields, their types and what each one allows on its own. Mistakes that need two fields to see are in
`models.cross_checks`; reading the file and wording its mistakes is in `models.parsing`.
"""

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from seq_assets.models.columns import ColumnSpec, ColumnType, Scalar, Share, literal, timestamp_microseconds

LONGEST_SEQUENCE: Final = 10_000
MOST_VALUE_BYTES: Final = 1 << 26
"""Of one value: what is handled at once, of a few, has to fit into the memory of a small machine."""

NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}$"
Name: TypeAlias = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
SequenceLength: TypeAlias = Annotated[int, Field(ge=1, le=LONGEST_SEQUENCE, strict=True)]
SourceFormat: TypeAlias = Literal["auto", "parquet", "csv", "json", "dkt"]
EnvironmentName: TypeAlias = Literal["local", "staging", "prod"]
TimeUnit: TypeAlias = Literal["us", "ms", "s", "min", "h", "d"]
Subset: TypeAlias = Literal["train", "validation"]
SUBSETS: Final[tuple[Subset, Subset]] = ("train", "validation")


class Part(BaseModel):
    """A part of a model file: frozen, and a word that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_LATER_OPTIONS: Final = frozenset({"quoting", "quoted_nulls", "skip_rows", "decimal", "thousands", "max_value_bytes"})
"""Of a source, which came when there were versions already."""
_LATER_OF_FEATURES: Final = frozenset({"min_count", "derive", "unit", "first"})
"""As `_LATER_OPTIONS`."""


class SourceOptions(Part):
    """How text sources are written."""

    delimiter: str | None = Field(
        None,
        min_length=1,
        description="Between fields, one or more characters; default: a tab for .tsv files, else a comma.",
    )
    quoting: Literal["standard", "none"] = Field(
        "standard", description="Whether a field may stand in quotes, or a quote is a character like others."
    )
    null_values: tuple[str, ...] = Field(("",), description="Texts that mean null, unquoted ones.")
    quoted_nulls: bool = Field(False, strict=True, description="Whether quoted texts, too, mean null.")
    skip_rows: Annotated[int, Field(ge=0, strict=True)] = Field(0, description="Lines to leave out before the header.")
    encoding: str = Field("utf-8", description="Any encoding that Python knows.")
    header: bool = Field(
        True,
        strict=True,
        description="Whether the first record names the columns; if not, `from` gives each column's number, from 1.",
    )

    decimal: str = Field(".", min_length=1, max_length=1, description="Of CSV: what stands before the fraction of a number.")
    thousands: str | None = Field(
        None, min_length=1, max_length=1, description="Of CSV: what stands between a number's groups of three digits."
    )

    max_value_bytes: Annotated[int, Field(ge=1, le=MOST_VALUE_BYTES, strict=True)] = Field(
        1 << 20, description="Of one value, in UTF-8: a longer one rejects its record (`too_long`)."
    )

    @field_validator("decimal", "thousands")
    @classmethod
    def _no_part_of_a_number(cls, value: str | None) -> str | None:
        if value is not None and (value in '+-eE"' or value < " " or value.isdecimal()):
            raise ValueError("one character that is no digit, no sign, no quote, no control character, and neither e nor E")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except (LookupError, ValueError) as error:  # the latter of characters that no name has
            raise ValueError("an encoding that Python knows, such as utf-8, latin-1, cp1252") from error
        return value

    @field_validator("delimiter")
    @classmethod
    def _usable_delimiter(cls, value: str | None) -> str | None:
        if value is not None and set(value) & set('"\r\n'):
            raise ValueError("one or more characters, of which none is a quote or a line end")
        return value


class SourceSpec(Part):
    """Where the observations come from."""

    location: str | dict[EnvironmentName, str] = Field(
        description="A path or glob (relative to the model file), s3://bucket/prefix/, glue://database/table, "
        "sample://school, or one of these per environment."
    )
    format: SourceFormat = "auto"
    options: SourceOptions = SourceOptions()

    @field_validator("location", mode="before")
    @classmethod
    def _location_form(cls, value: Any) -> Any:
        by_environment = value if isinstance(value, dict) else {"local": value}
        known = set(by_environment) <= set(get_args(EnvironmentName))
        texts = by_environment.values()
        if not (known and texts and all(isinstance(text, str) and text.strip() and "\0" not in text for text in texts)):
            raise ValueError("a path, glob or address that is not empty, or a mapping {local: …, staging: …, prod: …} of them")
        return value


class FeatureSpec(Part):
    """A column that becomes `<name>_sequence`."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["pad_value"]}, {"required": ["encode"]}]})

    pad_value: Any = Field(
        None, description="Fills the positions that hold no item; of the feature's type. With `encode` it is 0, also unsaid."
    )
    fill_null: Any = Field(
        None, description="Replaces null; a nullable feature needs it. With `encode`: a value of the column, else null is 1."
    )
    encode: Literal["vocabulary"] | None = Field(
        None, description="Items become int32 ids: 0 padding, 1 unknown or null, from 2 the values of train observations."
    )
    min_count: Annotated[int, Field(ge=1, strict=True)] = Field(
        1, description="With `encode`: a value gets an id of its own from so many train observations on; a rarer one is 1."
    )
    derive: Literal["time_since_previous"] | None = Field(
        None,
        description="Instead of a column: whole units since the item before it in the history, by the first of order_by, a "
        "timestamp; int64.",
    )
    unit: TimeUnit = Field("s", description="With `derive`: what is counted; a part of a unit counts nothing.")
    first: int = Field(
        0, strict=True, description="With `derive`: the value of a history's first item, which has none before it."
    )


class EntityHashSplit(Part):
    """Whole entities on one side, by a hash of the entity: the same on every machine and in every engine."""

    strategy: Literal["entity_hash"]
    validation_fraction: Share = 0.2
    seed: Annotated[int, Field(strict=True)] = 0


class ColumnSplit(Part):
    """By the values of one column; any other value is rejected."""

    strategy: Literal["column"]
    column: str
    train: tuple[Any, ...] = Field(min_length=1)
    validation: tuple[Any, ...] = Field(min_length=1)


class TimeSplit(Part):
    """Earlier than the cutoff (UTC) is train, at or after it validation."""

    strategy: Literal["time"]
    column: str
    cutoff: str | datetime

    @field_validator("cutoff", mode="before")
    @classmethod
    def _is_timestamp(cls, value: Any) -> str:
        if timestamp_microseconds(value) is None:
            raise ValueError("a timestamp, YYYY-MM-DD HH:MM:SS, UTC unless it names its offset")
        return str(value)

    @property
    def cutoff_microseconds(self) -> int:
        """The cutoff as microseconds since the epoch, UTC."""
        microseconds = timestamp_microseconds(str(self.cutoff))
        assert microseconds is not None, "checked when the model file was read"
        return microseconds


class LocationSplit(Part):
    """The source has `train/` and `validation/` below its location."""

    strategy: Literal["location"]


Split: TypeAlias = Annotated[EntityHashSplit | ColumnSplit | TimeSplit | LocationSplit, Field(discriminator="strategy")]


class WindowSpec(Part):
    """Which stretches of an entity's history become sequences."""

    mode: Literal["chunk", "sliding", "last", "first", "prefix"] = "chunk"
    stride: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        None, description="Of sliding windows: items from one start to the next."
    )


class PaddingSpec(Part):
    """On which side of the items the padding stands."""

    side: Literal["right", "left"] = "right"


class PadRatioBounds(Part):
    """Bounds of padding positions / all positions."""

    warn: Share = 1.0
    max: Share = 1.0

    def exceeded(self, ratio: float) -> Literal["warn", "max"] | None:
        """The bound that a ratio is above, the higher one where it is above both; None within them."""
        if ratio > self.max:
            return "max"
        return "warn" if ratio > self.warn else None


class RejectedRatioBounds(Part):
    """Bounds of rejected records / records read."""

    max: Share = 0.0


class DriftBounds(Part):
    """How far a version may be from the one before it; what is not given has no bound."""

    rows: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Of the number of rows: the change, as a share of the rows before."
    )
    pad_ratio: Share | None = Field(None, description="Of the pad ratio: the change.")
    label_share: Share | None = Field(
        None, description="Of the share that any label has in its column: the largest change, where there are at most 50."
    )
    new_values: Share | None = Field(None, description="Of the vocabulary: the share of train observations whose value is new.")


class ChecksSpec(Part):
    """Thresholds of the checks."""

    pad_ratio: PadRatioBounds = PadRatioBounds()
    rejected_ratio: RejectedRatioBounds = RejectedRatioBounds()
    drift: DriftBounds = DriftBounds()


class ModelSpec(Part):
    """One model: a consumer with a data contract."""

    name: Name
    description: str = ""
    owner: str | None = Field(None, description="team:<name> or an e-mail address.")
    source: SourceSpec
    entity: str = Field(description="The column whose observations form one history; any integer type or string.")
    order_by: tuple[str, ...] = Field((), description="Ascending; ties keep the source's row order.")
    ties: Literal["any"] | None = Field(
        None,
        description="Of a glue:// source, whose rows have no order: what order_by leaves open may be in any order; by default "
        "it fails the run.",
    )
    columns: dict[Name, ColumnSpec] = Field(min_length=1, description="The contract: only these are read.")
    features: dict[str, FeatureSpec] = Field(
        {}, description="What becomes sequences, in this order: columns, and what is derived from them."
    )
    split: Split = EntityHashSplit(strategy="entity_hash")
    window: WindowSpec = WindowSpec()
    padding: PaddingSpec = PaddingSpec()
    min_length: Annotated[int, Field(ge=1, strict=True)] = 1
    sequence_lengths: tuple[SequenceLength, ...] = Field((), description="Empty: a raw model.")
    keep: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        None, description="The newest versions of each table that `seq-assets gc` keeps; default: all."
    )
    checks: ChecksSpec = ChecksSpec()

    @field_validator("owner")
    @classmethod
    def _owner_form(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith("team:") and len(value) > len("team:")) and "@" not in value:
            raise ValueError("team:<name> or an e-mail address")
        return value

    @property
    def is_raw(self) -> bool:
        """Whether the model works on raw observations and has no sequences."""
        return not self.sequence_lengths or not self.features

    @property
    def lengths(self) -> tuple[int, ...]:
        """The declared sequence lengths, ascending; none for a raw model."""
        return () if self.is_raw else tuple(sorted(self.sequence_lengths))

    def location(self, environment: EnvironmentName) -> str | None:
        """The source's location in an environment; None where the model file names none for it."""
        location = self.source.location
        return location.get(environment) if isinstance(location, dict) else location

    @property
    def encoded(self) -> tuple[str, ...]:
        """The features whose items are ids of a vocabulary, in the model's order."""
        return tuple(name for name, feature in self.features.items() if feature.encode)

    @property
    def min_counts(self) -> dict[str, int]:
        """Of each encoded feature, how often a value must occur to get an id of its own."""
        return {name: self.features[name].min_count for name in self.encoded}

    def feature_type(self, feature: str) -> ColumnType:
        """The type of the items of `<feature>_sequence`."""
        if self.features[feature].derive:
            return ColumnType.INT64
        return ColumnType.INT32 if feature in self.encoded else self.columns[feature].type.as_feature

    def pad_value(self, feature: str) -> Scalar:
        """The feature's pad value as a plain Python value of its type."""
        return 0 if feature in self.encoded else literal(self.features[feature].pad_value, self.feature_type(feature))

    def fill_value(self, feature: str) -> Scalar | None:
        """What replaces null in the feature, before it is encoded; None where nothing does."""
        fill = self.features[feature].fill_null
        type_ = self.columns[feature].type if feature in self.encoded else self.feature_type(feature)
        return None if fill is None else literal(fill, type_)

    def digest(self, *parts: str) -> str:
        """A hash of the named parts of the model file as they are meant.

        Comments, order of keys, spelling, descriptions of columns and how long versions are kept do not count.
        """
        values = self.model_dump(mode="json", by_alias=True, include=set(parts) if parts else None)
        # How long versions are kept says nothing of what is in them.
        values.pop("keep", None)
        if values.get("ties", "") is None:
            # Unsaid it means what model files meant before there was this field, so their digests stay.
            del values["ties"]
        options = values.get("source", {}).get("options", {})
        for name in _LATER_OPTIONS & options.keys():
            if options[name] == SourceOptions.model_fields[name].default:
                del options[name]  # as `ties`
        for feature in values.get("features", {}).values():
            for name in _LATER_OF_FEATURES:
                if feature[name] == FeatureSpec.model_fields[name].default:
                    del feature[name]  # as `ties`
        for column in values.get("columns", {}).values():
            # Words for people: what is made from a column is the same.
            del column["description"]
            for name in ("format", "timezone"):
                if column[name] is None:
                    del column[name]  # as `ties`
        # Contract and feature order are part of a table's schema, so sort_keys must not hide them.
        order = {part: list(values[part]) for part in ("columns", "features") if part in values}
        return hashlib.sha256(json.dumps([values, order], sort_keys=True).encode()).hexdigest()
