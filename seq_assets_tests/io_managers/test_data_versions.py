"""What Dagster itself shows as stale, after runs over ranges of partitions, some of which fail.

The models by name: `a` and `b` (length 5, each on a source of its own), `raw` (a raw model) and `typo` (a file with mistakes,
so that an ingest of all of them fails).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG, CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from seq_assets.io_managers.data_versions import CODE_VERSION
from seq_assets.io_managers.metadata import RAW_KEY, REJECTED_KEY
from seq_assets.sequencing.plans import Dataset
from seq_assets_tests.assets.building import NO_TELEMETRY, Runner, School

TRAIN: Final = dg.AssetKey("sequenced_train")
CELLS: Final = ("a|5", "b|5")


@dataclass(frozen=True)
class Built:
    """A school whose observations were ingested and sequenced, each in one run over all models.

    Attributes:
        school: With what is published.
        runner: Runs the graph over it.
    """

    school: School
    runner: Runner

    def data_versions(self, asset: dg.AssetKey, partition: str) -> list[str]:
        """The data versions of all materializations of a partition, newest first."""
        filtered = dg.AssetRecordsFilter(asset, asset_partitions=[partition])
        records = self.runner.instance.fetch_materializations(filtered, limit=10).records
        found = [record.asset_materialization for record in records]
        return [(materialization.tags or {})[DATA_VERSION_TAG] for materialization in found if materialization is not None]

    def stale(self, definitions: dg.Definitions | None = None) -> set[str]:
        """The cells that Dagster shows as stale."""
        instance = self.runner.instance
        graph = (definitions or self.runner.definitions).resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        return {cell for cell in CELLS if resolver.get_status(TRAIN, cell).name == "STALE"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The models, ingested and sequenced; only the last test changes them."""
    school = School(tmp_path_factory.mktemp("built"))
    school.add_source("a.csv")
    school.add_source("b.csv")
    school.add_model("a", [5], source={"location": "a.csv"})
    school.add_model("b", [5], source={"location": "b.csv"})
    school.add_model("raw", [], source={"location": "a.csv"})
    school.add_file("typo")
    with dg.DagsterInstance.ephemeral(settings=NO_TELEMETRY) as instance:
        built = Built(school, Runner(school.definitions(), instance))
        assert not built.runner.ingest("a", "typo").success
        assert built.runner.sequence("a|5", "b|5").success
        yield built


def test_each_partition_has_one_materialization_whose_data_version_is_what_was_published(built: Built) -> None:
    for model in ("a", "b", "raw"):
        assert built.data_versions(RAW_KEY, model) == [str(built.school.warehouse.find(Dataset.raw(model)).id)]
        assert built.data_versions(REJECTED_KEY, model) == [str(built.school.warehouse.find(Dataset.rejected(model)).id)]
    for cell in ("a|5", "b|5"):
        published = built.school.warehouse.find(Dataset.sequenced(cell[0], "train", 5))
        assert built.data_versions(TRAIN, cell) == [str(published.id)]


def test_everything_of_an_older_program_is_stale(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq_assets.assets.sequenced.CODE_VERSION", f"{CODE_VERSION}0")
    assert built.stale(built.school.definitions()) == set(CELLS)


@pytest.mark.slow
def test_just_what_was_made_from_an_older_version_is_stale(built: Built) -> None:
    assert built.stale() == set()
    built.runner.ingest("a", "typo")
    assert built.stale() == set(), "all of it is unchanged"

    with (built.school.models_folder / "b.csv").open("a", encoding="utf-8") as source:
        source.write("1,1000,1,1\n")
    built.runner.ingest("a", "typo")
    assert built.stale() == {"b|5"}

    built.runner.sequence("a|5", "b|5")
    assert built.stale() == set()
    built.runner.ingest("b")
    assert built.stale() == set(), "a run of one partition says the same"
