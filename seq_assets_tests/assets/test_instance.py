"""The code location on a real instance: what the webserver is asked for, the daemon carries out, and the UI then shows.

The models by name: `dkt` (lengths 5 and 10), `irt` (a raw model), `sakt` (length 5; its source breaks its contract) and `typo`
(a file with mistakes).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagster as dg
import pytest

from seq_assets.assets.automation import INGEST_JOB, SEQUENCE_JOB
from seq_assets.assets.checks import RAW_CHECKS, SEQUENCE_CHECKS
from seq_assets.models import SUBSETS, Subset
from seq_assets.sequencing.plans import Dataset
from seq_assets_tests.assets.building import ANSWERS, School, check_keys, range_tags
from seq_assets_tests.assets.hosting import AssetShown, Hosted, RunShown, hosted

pytestmark = pytest.mark.slow

RAW: Final = "raw_observations"
REJECTED: Final = "rejected_observations"
SEQUENCED: Final = ("sequenced_train", "sequenced_validation")
GOOD: Final = {"dkt", "irt"}
GOOD_CELLS: Final = {"dkt|5", "dkt|10"}
BAD: Final = {"sakt", "typo"}


@dataclass(frozen=True)
class Shown:
    """What the UI shows at some moment.

    Attributes:
        assets: All assets by name.
        status: The status of the last backfill.
        counts: Of the last backfill by asset, how many partitions were targeted, materialized and failed.
        runs: The runs of the last backfill, oldest first.
    """

    assets: dict[str, AssetShown]
    status: str
    counts: dict[str, tuple[int, ...]]
    runs: list[RunShown]

    @classmethod
    def of(cls, location: Hosted, backfill: str) -> "Shown":
        """What it shows now."""
        return cls(location.assets_shown(), *location.backfill_shown(backfill), location.runs_shown(backfill))


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> School:
    """The model files and their sources."""
    school = School(tmp_path_factory.mktemp("school"))
    school.add_source()
    school.add_source("wrong.csv", wrong_answers=3)
    school.add_model("dkt")
    school.add_model("irt", [])
    school.add_model("sakt", [5], source={"location": "wrong.csv"})
    school.add_file("typo")
    return school


@pytest.fixture(scope="module")
def location(school: School) -> Iterator[Hosted]:
    """The hosted code location."""
    with hosted(school) as location:
        yield location


@pytest.fixture(scope="module")
def backfill(location: Hosted) -> str:
    """First: a backfill of all partitions of all assets."""
    return location.backfill([RAW, REJECTED, *SEQUENCED])


@pytest.fixture(scope="module")
def shown(location: Hosted, backfill: str) -> Shown:
    """What the UI shows after the backfill."""
    return Shown.of(location, backfill)


@pytest.fixture(scope="module")
def shown_checked(location: Hosted, backfill: str, shown: Shown) -> Shown:
    """Second: the checks of what the backfill published are run alone: over the range of models, and of one cell."""
    assert shown.runs, "the backfill is over"
    runs = [
        location.run("__ASSET_JOB", range_tags("dkt", "irt"), check_keys(RAW, RAW_CHECKS)),
        location.run("__ASSET_JOB", {"dagster/partition": "dkt|5"}, check_keys("sequenced_train", ["nothing_lost"])),
    ]
    assert all(location.succeeded(run) for run in runs)
    return Shown.of(location, backfill)


@pytest.fixture(scope="module")
def shown_mended(location: Hosted, backfill: str, shown_checked: Shown, school: School) -> Shown:
    """Third: the source of `sakt` is mended, and what failed in the backfill is tried again."""
    assert shown_checked.runs, "the checks have run"
    school.add_source("wrong.csv")
    return Shown.of(location, location.retry(backfill))


@pytest.fixture(scope="module")
def ranges(location: Hosted, shown_mended: Shown) -> tuple[bool, bool, dict[str, AssetShown]]:
    """Fourth: both jobs over ranges, where everything stands already: whether each succeeded, and what the UI shows then."""
    assert shown_mended.runs, "the backfill is over"
    ingest = location.run(INGEST_JOB, range_tags("dkt", "sakt"))
    sequence = location.run(SEQUENCE_JOB, range_tags("dkt|5", "sakt|5"))
    return location.succeeded(ingest), location.succeeded(sequence), location.assets_shown()


class TestABackfillOfEverything:
    """All partitions of all assets, of which one model fails its contract, and another has a broken file."""

    def test_it_is_over_and_says_that_some_of_it_failed(self, shown: Shown) -> None:
        assert shown.status == "COMPLETED_FAILED"
        assert shown.counts == {
            RAW: (4, 2, 2),
            REJECTED: (4, 2, 2),
            "sequenced_train": (3, 2, 1),
            "sequenced_validation": (3, 2, 1),
        }

    @pytest.mark.parametrize("asset", [RAW, REJECTED])
    def test_the_good_models_are_materialized_and_the_others_failed(self, shown: Shown, asset: str) -> None:
        partitions = shown.assets[asset].partitions
        assert partitions["materializedPartitions"] == GOOD
        assert partitions["failedPartitions"] == BAD

    @pytest.mark.parametrize("asset", SEQUENCED)
    def test_the_good_models_cells_are_materialized_and_none_of_the_others_was_tried(self, shown: Shown, asset: str) -> None:
        assert shown.assets[asset].partitions == {
            "materializedPartitions": GOOD_CELLS,
            "unmaterializedPartitions": {"sakt|5"},
        }
        keys = {key for run in shown.runs if asset in run.assets for key in (run.first, run.last)}
        assert keys == {"dkt|5", "dkt|10"}

    def test_nothing_of_a_failure_or_downstream_of_it_is_published(self, shown: Shown, school: School) -> None:
        published = {
            metadata["dagster/table_name"]
            for asset in shown.assets.values()
            for metadata in asset.metadata.values()
            if "dagster/table_name" in metadata
        }
        assert {name.split("_")[0] for name in published} == GOOD
        assert not school.warehouse.versions(Dataset.raw("typo"))

    def test_one_run_ingests_and_fails_with_the_numbers_and_the_mistakes(self, shown: Shown) -> None:
        ingest = [run for run in shown.runs if RAW in run.assets]
        assert [(run.status, run.first, run.last) for run in ingest] == [("FAILURE", "dkt", "typo")]
        [message] = ingest[0].failures
        assert f"sakt_raw_observations was not published, because its audit failed:\ncontract: 3 of {ANSWERS}" in message
        assert "typo.yaml: sourc: found an unknown field" in message

    def test_the_runs_of_the_cells_are_not_touched_by_the_failure(self, shown: Shown) -> None:
        runs = [run for run in shown.runs if RAW not in run.assets]
        assert {run.status for run in runs} == {"SUCCESS"}
        assert {run.assets for run in runs} == {frozenset(SEQUENCED)}

    def test_the_metadata_of_raw_observations_is_shown(self, shown: Shown, school: School) -> None:
        raw, rejected = shown.assets[RAW].metadata, shown.assets[REJECTED].metadata
        assert raw.keys() == rejected.keys() == GOOD
        for model in GOOD:
            assert (
                raw[model].items() >= {"observations": ANSWERS, "rejected": 0, "dagster/partition_row_count": ANSWERS}.items()
            )
            assert raw[model]["dagster/column_schema"] == "TableSchemaMetadataEntry"
            assert raw[model]["dagster/column_lineage"] == "TableColumnLineageMetadataEntry"
            assert raw[model]["dagster/table_name"] == f"{model}_raw_observations"
            assert raw[model]["seconds"] > 0
            # A snapshot id is longer than what JavaScript holds as a number, so it is shown as text.
            first = school.warehouse.versions(Dataset.raw(model))[-1]
            assert raw[model]["version"] == str(first.id)
            assert rejected[model]["version"] == str(first.metadata["rejected_version"])
            assert rejected[model]["raw_version"] == str(first.id)

    @pytest.mark.parametrize("subset", SUBSETS)
    def test_the_metadata_of_cells_is_shown(self, shown: Shown, subset: Subset) -> None:
        metadata = shown.assets[f"sequenced_{subset}"].metadata
        raw = shown.assets[RAW].metadata["dkt"]
        assert metadata.keys() == GOOD_CELLS
        for length in (5, 10):
            cell = metadata[f"dkt|{length}"]
            assert (
                cell.items() >= {"sequence_length": length, "raw_version": raw["version"], "observations": raw[subset]}.items()
            )
            assert cell["sequences"] == cell["dagster/partition_row_count"] > 0
            assert cell["pad_ratio"] == round(1 - raw[subset] / (length * cell["sequences"]), 6)

    @pytest.mark.parametrize("asset", SEQUENCED)
    def test_every_check_of_every_cell_that_was_built_is_shown_as_passed(self, shown: Shown, asset: str) -> None:
        assert shown.assets[asset].checks == {check: {"succeededPartitions": GOOD_CELLS} for check in SEQUENCE_CHECKS}

    def test_no_check_of_raw_observations_has_a_result_where_their_step_failed(self, shown: Shown) -> None:
        assert shown.assets[RAW].checks.keys() == set(RAW_CHECKS)
        for statuses in shown.assets[RAW].checks.values():
            assert statuses.keys() == {"executionFailedPartitions"}


class TestChecksAlone:
    """Checks that are run from the UI, on what the backfill published."""

    def test_over_a_range_each_partition_is_shown_with_its_result(self, shown_checked: Shown) -> None:
        assert shown_checked.assets[RAW].checks == {
            check: {"succeededPartitions": GOOD, "executionFailedPartitions": BAD} for check in RAW_CHECKS
        }

    def test_of_one_partition_there_is_one_more_record_and_the_others_keep_theirs(
        self, location: Hosted, shown_checked: Shown
    ) -> None:
        checks = shown_checked.assets["sequenced_train"].checks
        assert checks["nothing_lost"] == {"succeededPartitions": GOOD_CELLS}
        [key] = check_keys("sequenced_train", ["nothing_lost"])
        history = location.instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
        assert {record.partition for record in history} >= GOOD_CELLS
        assert len([record for record in history if record.partition == "dkt|5"]) >= 2

    def test_they_materialize_nothing(self, shown: Shown, shown_checked: Shown) -> None:
        for name, asset in shown.assets.items():
            assert shown_checked.assets[name].metadata == asset.metadata


class TestAnotherTry:
    """What failed in the backfill is tried again, after one of the two causes was mended."""

    def test_it_targets_just_what_failed_and_what_is_downstream_of_it(self, shown_mended: Shown) -> None:
        assert shown_mended.status == "COMPLETED_FAILED"
        assert shown_mended.counts == {
            RAW: (2, 1, 1),
            REJECTED: (2, 1, 1),
            "sequenced_train": (1, 1, 0),
            "sequenced_validation": (1, 1, 0),
        }

    def test_the_mended_model_is_built_with_its_cells(self, shown_mended: Shown) -> None:
        assert shown_mended.assets[RAW].partitions["materializedPartitions"] == GOOD | {"sakt"}
        assert shown_mended.assets[RAW].partitions["failedPartitions"] == {"typo"}
        metadata = shown_mended.assets["sequenced_train"].metadata
        assert metadata["sakt|5"]["raw_version"] == shown_mended.assets[RAW].metadata["sakt"]["version"]

    def test_what_stood_already_is_left_as_it_was(self, shown: Shown, shown_mended: Shown) -> None:
        for name, asset in shown.assets.items():
            for partition, metadata in asset.metadata.items():
                assert shown_mended.assets[name].metadata[partition] == metadata


class TestRunsOverRanges:
    """Jobs over a range of partitions, each in one run."""

    def test_they_succeed(self, ranges: tuple[bool, bool, dict[str, AssetShown]]) -> None:
        assert ranges[:2] == (True, True)

    def test_every_partition_of_the_range_has_a_materialization_that_says_unchanged_and_no_other_has(
        self, shown_mended: Shown, ranges: tuple[bool, bool, dict[str, AssetShown]]
    ) -> None:
        for name in (RAW, *SEQUENCED):
            before, after = shown_mended.assets[name].metadata, ranges[2][name].metadata
            unchanged = {key for key, metadata in after.items() if "unchanged" in metadata}
            assert unchanged == (GOOD_CELLS | {"sakt|5"} if name in SEQUENCED else {"dkt", "irt", "sakt"})
            assert not any("unchanged" in metadata for metadata in before.values())
            without = {
                key: {name: metadata[name] for name in metadata if name != "unchanged"} for key, metadata in after.items()
            }
            assert without == before, "all else is as it was"

    def test_every_partition_of_the_range_is_shown_with_the_results_of_its_checks(
        self, ranges: tuple[bool, bool, dict[str, AssetShown]]
    ) -> None:
        assets = ranges[2]
        for check in RAW_CHECKS:
            assert assets[RAW].checks[check]["succeededPartitions"] == GOOD | {"sakt"}
        for name in SEQUENCED:
            for check in SEQUENCE_CHECKS:
                assert assets[name].checks[check]["succeededPartitions"] == GOOD_CELLS | {"sakt|5"}


def test_a_home_whose_cells_were_recorded_under_multi_partition_keys_works_on(tmp_path: Path) -> None:
    """As earlier versions of the graph recorded them, with cells that no model declares."""
    school = School(tmp_path)
    school.add_source()
    school.add_model("dkt")
    school.add_model("irt", [])
    with hosted(school) as location:
        for model, length in (("dkt", "5"), ("irt", "5"), ("irt", "10")):
            key = dg.MultiPartitionKey({"model": model, "sequence_length": length})
            for asset in SEQUENCED:
                location.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key))
        before = location.assets_shown()
        location.backfill([RAW, REJECTED, *SEQUENCED])
        after = location.assets_shown()
    for asset in SEQUENCED:
        assert before[asset].partitions == {"materializedPartitions": {"dkt|5"}, "unmaterializedPartitions": {"dkt|10"}}
        assert after[asset].partitions == {"materializedPartitions": {"dkt|5", "dkt|10"}}
