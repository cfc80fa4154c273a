"""A place in the cloud whose model is built again and again while something breaks, and what may come of that.

Belongs here: the place, and how it is found whole or not. Not here: what is broken, which the tests say.
"""

import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seq_assets.environments import current_environment
from seq_assets.errors import RetryableError, SeqAssetsError
from seq_assets.models import SUBSETS, ModelSpec
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.warehouse.interface import Version, Warehouse
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.warehouse.building import Workspace

if TYPE_CHECKING:
    from seq_assets_tests.athena.stack import Stack

ACCESS_KEY: Final = "AKIABREAKING00000001"
"""That of the platform; the stack itself, and the tests, have another one, whose calls no fault of these tests concerns."""
LENGTH: Final = 4
_LOOKS: Final = 10
_SECONDS_BETWEEN_LOOKS: Final = 3
Seen = TypeVar("Seen")
RAW, REJECTED = Dataset.raw("plain"), Dataset.rejected("plain")
TRAIN: Final = Dataset.sequenced("plain", "train", LENGTH)
_VALIDATION: Final = Dataset.sequenced("plain", "validation", LENGTH)


@dataclass(frozen=True)
class Place:
    """A database and a prefix that nothing else has; the items of its source count from 0.

    Attributes:
        client: Of the stack, with its faults.
        settings: The environment's variables.
        workspace: The model file.
        spec: The model; its source is on S3.
    """

    client: AthenaClient
    settings: dict[str, str]
    workspace: Workspace
    spec: ModelSpec

    @property
    def root(self) -> str:
        """Below which everything of the place is, without its scheme and bucket."""
        return f"{self.settings['SEQ_ASSETS_PREFIX']}/{self.settings['SEQ_ASSETS_DATABASE']}"

    @property
    def plan(self) -> IngestPlan:
        """The ingest of the model."""
        return self.workspace.ingest_plan(self.spec)

    def put_source(self, records: int) -> None:
        """Has the source be so many records, in two files."""
        for part in range(2):
            rows = "".join(f"{number % 7},{number},{number}\n" for number in range(part, records, 2))
            key = f"{self.settings['SEQ_ASSETS_DATABASE']}/source/{part}.csv"
            self.client.s3.put_object(Bucket=self.client.bucket, Key=key, Body=f"pupil,time,item\n{rows}".encode())

    def build(self) -> None:
        """Ingests and sequences, whatever has changed."""
        build(self.plan)

    def build_another(self) -> None:
        """Ingests a model that is new, of which there is no table."""
        fields = self.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        spec = self.workspace.model(**{**fields, "name": f"m_{uuid.uuid4().hex[:8]}"})
        current_environment().warehouse().execute(self.workspace.ingest_plan(spec))

    def keys(self) -> set[str]:
        """All objects of the place."""
        pages = self.client.s3.get_paginator("list_objects_v2").paginate(Bucket=self.client.bucket, Prefix=f"{self.root}/")
        return {one["Key"] for page in pages for one in page.get("Contents", ())}

    def tables(self) -> set[str]:
        """All tables of the database."""
        found = self.client.glue.get_tables(DatabaseName=self.settings["SEQ_ASSETS_DATABASE"])["TableList"]
        return {table["Name"] for table in found}


def build(plan: IngestPlan) -> None:
    """Ingests a model, sequences both subsets and lists all tables, with a warehouse that knows nothing yet."""
    warehouse = current_environment().warehouse()
    raw = warehouse.execute(plan, force=True).version
    for subset in SUBSETS:
        warehouse.execute(SequencePlan.of(plan.spec, subset, LENGTH, raw.id), force=True)
    warehouse.datasets()


@contextmanager
def applied(settings: Mapping[str, str]) -> Iterator[None]:
    """Within it, the environment of this process is that of a place."""
    with pytest.MonkeyPatch.context() as patched:
        for variable in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
            patched.delenv(variable, raising=False)
        for variable, value in settings.items():
            patched.setenv(variable, value)
        yield


@contextmanager
def place_of(stack: "Stack", environment: str, folder: Path, **settings: str) -> Iterator[Place]:
    """A place of an environment, with the first version of a model; the environment of this process points at it within."""
    client = AthenaClient(stack)
    name = f"test_{uuid.uuid4().hex[:12]}"
    variables = {
        **client.settings,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SEQ_ASSETS_ENV": environment,
        "SEQ_ASSETS_DATABASE": name,
        "SEQ_ASSETS_PREFIX": name,
        "SEQ_ASSETS_HOME": str(folder / "home"),
        "SEQ_ASSETS_MODELS": str(folder),
        **settings,
    }
    with applied(variables):
        workspace = Workspace(folder, current_environment().warehouse())
        location = f"s3://{client.bucket}/{variables['SEQ_ASSETS_DATABASE']}/source/"
        split = {"strategy": "entity_hash", "validation_fraction": 0.5}
        place = Place(client, variables, workspace, workspace.sequence_model(source={"location": location}, split=split))
        place.put_source(20)
        place.build()
        yield place
        stack.faults.clear()


@dataclass
class Trials:
    """What came of trials in a place, each of which breaks one building of its model.

    Attributes:
        place: The place.
        tried: How many there were.
        counted: What the table of figures counts.
        told: The messages that users saw.
    """

    place: Place
    tried: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    _known: dict[Dataset, set[int]] = field(default_factory=dict)

    def attempt(self, what: str, break_something: Callable[[], None], work: Callable[[], None]) -> SeqAssetsError | None:
        """Does some work while something is broken, and looks afterwards, when nothing is broken any more, at what stands.

        Args:
            what: What is broken, for people.
            break_something: Switches the fault on.
            work: Such as a building.

        Returns:
            The error for the user; None where the work succeeded.
        """
        self.tried += 1
        self._known = _patiently(lambda: _versions(current_environment().warehouse()))
        told: SeqAssetsError | None = None
        break_something()
        try:
            work()
        except SeqAssetsError as error:
            told = error
            self.told.append(str(error))
        except Exception as error:
            self._count("raw exceptions", what, repr(error))
        self.place.client.faults.clear()
        self.look(what)
        return told

    def look(self, what: str) -> None:
        """Looks at what stands: every version that was known is there, and the newest are whole."""
        try:
            now, problem = _patiently(lambda: _seen(current_environment().warehouse()))
        except Exception as error:
            self._count("unreadable", what, repr(error))
            return
        if any(known - now.get(dataset, set()) for dataset, known in self._known.items()):
            self._count("lost", what, f"{self._known} became {now}")
        if problem:
            self._count("torn", what, problem)

    def figures(self) -> dict[str, int]:
        """Of each kind, how often."""
        return {kind: self.counted[kind] for kind in ("torn", "lost", "unreadable", "raw exceptions")}

    def _count(self, kind: str, what: str, found: str) -> None:
        self.counted[kind] += 1
        # Shown where the test fails.
        print(f"{kind}: {what}: {found}")


def _patiently(look: Callable[[], Seen]) -> Seen:
    """What is seen, where nothing is broken but the machine may be too busy to answer in time."""
    for _ in range(_LOOKS - 1):
        try:
            return look()
        except RetryableError as error:
            print(f"looked again: {error}")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    return look()


def _seen(warehouse: Warehouse) -> tuple[dict[Dataset, set[int]], str]:
    """All versions, and what does not belong together in the newest."""
    return _versions(warehouse), torn(warehouse)


def torn(warehouse: Warehouse) -> str:
    """What does not belong together in the newest versions, as their files say; empty where all does.

    A source of n records has the items 0 to n - 1, so that a version with n rows is known to be whole, or not.
    """
    raw = warehouse.find(RAW)
    items = sorted(_column(warehouse, raw, "item"))
    if items != list(range(raw.rows)):
        return f"raw {raw.id} of {raw.rows} rows has the items {items}"
    if warehouse.find(REJECTED, raw.metadata["rejected_version"]).rows:
        return f"raw {raw.id} names rejected observations of another ingest"
    for dataset, subset in ((TRAIN, "train"), (_VALIDATION, "validation")):
        sequenced = warehouse.find(dataset)
        behind = warehouse.find(RAW, sequenced.metadata["raw_version"])
        wanted = sorted(
            item
            for item, found in zip(_column(warehouse, behind, "item"), _column(warehouse, behind, "subset"), strict=True)
            if found == subset
        )
        lists = zip(*(_column(warehouse, sequenced, name) for name in ("item_sequence", "is_pad_sequence")), strict=True)
        found = sorted(item for row, pads in lists for item, is_pad in zip(row, pads, strict=True) if not is_pad)
        if found != wanted:
            return f"{subset} {sequenced.id} has the items {found}, its raw observations {wanted}"
    return ""


def _column(warehouse: Warehouse, version: Version, name: str) -> list[Any]:
    values: list[Any] = []
    for file in version.files:
        with warehouse.open_input(file) as opened:
            table: pa.Table = pq.ParquetFile(opened).read([name])
            values += table[name].to_pylist()
    return values


def _versions(warehouse: Warehouse) -> dict[Dataset, set[int]]:
    return {dataset: {version.id for version in warehouse.versions(dataset)} for dataset in warehouse.datasets()}
