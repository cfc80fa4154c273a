"""Plans in, versions out, as Dagster records them: runs of one partition and of ranges of them.

The school has `dkt` (lengths 5 and 10), `irt` (a raw model), `sakt` (length 5; its source breaks its contract) and, first in
the order of names, the file `broken`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest

import seq_assets
from seq_assets.assets.raw_observations import plan_ingest
from seq_assets.client.datasets import ObservationDataset, RejectedDataset, SequenceDataset, dataset_of
from seq_assets.errors import LostRaceError, RetryableError
from seq_assets.io_managers import plan_io_manager
from seq_assets.io_managers.glossary import MEANINGS
from seq_assets.io_managers.plan_io_manager import FORCE_TAG, IO_MANAGER_KEY, WAREHOUSE_KEY
from seq_assets.io_managers.resources import LocalWarehouseResource
from seq_assets.models import SUBSETS, Subset
from seq_assets.sequencing.plans import Dataset, IngestPlan, SequencePlan
from seq_assets.sequencing.schemas import REJECTED_SCHEMA
from seq_assets.warehouse.interface import Progress, Publication, RawObservations, Version, Warehouse, no_progress
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets.warehouse.storage.storage import LocalStorage
from seq_assets_tests.assets.building import ANSWERS, COLUMNS, NO_TELEMETRY, Run, Runner, School, check_keys

EVERY_VERSION: Final = {
    "version",
    "dagster/partition_row_count",
    "dagster/column_schema",
    "dagster/column_lineage",
    "dagster/table_name",
}
WRONG_ANSWERS: Final = 3
PAGE: Final = {"changed", "flow", "column_metrics", "history_lengths", "pad_ratios", "pad_ratio_curve", "preview"}


@dataclass(frozen=True)
class Built:
    """A school with runs of it.

    Attributes:
        school: With what the runs published.
        ingest: The run of the raw observations.
        sequence: The run of the cells.
    """

    school: School
    ingest: Run
    sequence: Run


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """Shared by the tests, because each looks at its own runs."""
    with dg.DagsterInstance.ephemeral(settings=NO_TELEMETRY) as instance:
        yield instance


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, instance: dg.DagsterInstance) -> Built:
    """The range `dkt` to `irt` and all its cells, each in one run. Not to be changed."""
    school = new_school(tmp_path_factory.mktemp("built"))
    runner = Runner(school.definitions(), instance)
    return Built(school, runner.ingest("dkt", "irt"), runner.sequence("dkt|5", "dkt|10"))


@pytest.fixture(scope="module")
def partly_failed(tmp_path_factory: pytest.TempPathFactory, instance: dg.DagsterInstance) -> Built:
    """All models in one run, and then all their cells. Not to be changed."""
    school = new_school(tmp_path_factory.mktemp("partly_failed"))
    runner = Runner(school.definitions(), instance)
    return Built(school, runner.ingest("broken", "sakt"), runner.sequence("dkt|5", "sakt|5"))


@pytest.fixture
def school(built: Built, tmp_path: Path) -> School:
    """A copy of what is built."""
    return built.school.copied_to(tmp_path)


@pytest.fixture
def runner(school: School, instance: dg.DagsterInstance) -> Runner:
    """Runs the graph of the copy."""
    return Runner(school.definitions(), instance)


def new_school(folder: Path) -> School:
    """The model files and their sources, with nothing published."""
    school = School(folder)
    school.add_source()
    school.add_source("wrong.csv", wrong_answers=WRONG_ANSWERS)
    school.add_model("dkt")
    school.add_model("irt", [])
    school.add_model("sakt", [5], source={"location": "wrong.csv"})
    school.add_file("broken")
    return school


def newest(school: School, dataset: Dataset) -> Version:
    """The version that stands."""
    return school.warehouse.find(dataset)


class TestWhatIsPublished:
    """What a run over a range records of what it publishes."""

    def test_each_models_raw_observations_have_the_documented_metadata(self, built: Built) -> None:
        assert built.ingest.success
        recorded = built.ingest.materialized("raw_observations")
        assert recorded.keys() == {"dkt", "irt"}
        for model, metadata in recorded.items():
            assert metadata.keys() >= EVERY_VERSION | {"observations", "rejected", "seconds"}
            assert (metadata["observations"], metadata["rejected"]) == (ANSWERS, 0)
            assert metadata["dagster/partition_row_count"] == ANSWERS
            assert metadata["version"] == str(newest(built.school, Dataset.raw(model)).id)
            assert metadata["dagster/table_name"] == f"{model}_raw_observations"
            assert 0 < metadata["seconds"] < 60

    def test_each_models_rejected_observations_have_the_documented_metadata(self, built: Built) -> None:
        recorded = built.ingest.materialized("rejected_observations")
        assert recorded.keys() == {"dkt", "irt"}
        for model, metadata in recorded.items():
            assert metadata.keys() >= EVERY_VERSION | {"rejected", "raw_version"}
            assert (metadata["rejected"], metadata["dagster/partition_row_count"]) == (0, 0)
            assert metadata["version"] == str(newest(built.school, Dataset.rejected(model)).id)
            assert metadata["raw_version"] == str(newest(built.school, Dataset.raw(model)).id)
            assert metadata["dagster/table_name"] == f"{model}_rejected_observations"

    def test_the_line_of_python_loads_exactly_that_version(self, built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SEQ_ASSETS_HOME", str(built.school.folder / "home"))
        monkeypatch.setenv("SEQ_ASSETS_MODELS", str(built.school.models_folder))
        shown = {
            Dataset.raw("irt"): built.ingest.materialized("raw_observations")["irt"],
            Dataset.sequenced("dkt", "train", 5): built.sequence.materialized("sequenced_train")["dkt|5"],
            Dataset.sequenced("dkt", "validation", 10): built.sequence.materialized("sequenced_validation")["dkt|10"],
        }
        for dataset, metadata in shown.items():
            loaded = eval(metadata["python"], {"seq_assets": seq_assets})
            version = newest(built.school, dataset)
            assert (loaded.version, len(loaded)) == (version.id, version.rows)
            assert {str(Path(file).parent) for file in version.files} == {metadata["location"]}

    def test_every_key_of_the_metadata_is_explained(self, built: Built) -> None:
        recorded = built.ingest.materialized("raw_observations") | built.ingest.materialized("rejected_observations")
        recorded |= built.sequence.materialized("sequenced_train")
        keys = {key for metadata in recorded.values() for key in metadata if not key.startswith("dagster/")}
        assert keys <= MEANINGS.keys()

    def test_each_partition_says_who_owns_its_model(self, built: Built) -> None:
        recorded = built.ingest.materialized("raw_observations") | built.sequence.materialized("sequenced_train")
        assert {recorded[key]["owner"] for key in ("dkt", "irt", "dkt|5", "dkt|10")} == {"team:learning"}

    @pytest.mark.parametrize("length", [5, 10])
    @pytest.mark.parametrize("subset", SUBSETS)
    def test_each_declared_cell_has_the_documented_metadata(self, built: Built, subset: Subset, length: int) -> None:
        assert built.sequence.success
        metadata = built.sequence.materialized(f"sequenced_{subset}")[f"dkt|{length}"]
        version = newest(built.school, Dataset.sequenced("dkt", subset, length))
        raw = newest(built.school, Dataset.raw("dkt"))
        assert metadata.keys() >= EVERY_VERSION | {"seconds"}
        assert metadata["version"] == str(version.id)
        assert metadata["raw_version"] == str(raw.id)
        assert metadata["sequence_length"] == length
        assert metadata["observations"] == raw.metadata["accounting"][subset] > 0
        assert metadata["sequences"] == metadata["dagster/partition_row_count"] == version.rows > 0
        # In chunks, each observation stands in one sequence, and what is left of the positions is padding.
        assert metadata["pad_ratio"] == round(1 - metadata["observations"] / (length * version.rows), 6)
        assert metadata["dagster/table_name"] == f"dkt_sequenced_{subset}_{length}"
        assert 0 < metadata["seconds"] < 60

    def test_a_page_that_cannot_be_made_hides_no_publication(
        self, school: School, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def make_page(*_: object) -> dict[str, Any]:
            raise ValueError("no page")

        monkeypatch.setattr("seq_assets.io_managers.pages.make_page", make_page)
        school.add_source(wrong_answers=0)
        run = runner.ingest("irt", **{FORCE_TAG: "true"})
        assert run.success
        assert run.materialized("raw_observations")["irt"]["version"] == str(newest(school, Dataset.raw("irt")).id)
        assert "irt: its page could not be made" in run.messages

    def test_the_log_says_of_every_observation_where_it_went_as_metadata_and_accounting_do(self, built: Built) -> None:
        raw = newest(built.school, Dataset.raw("dkt"))
        counted = raw.metadata["accounting"]
        assert (
            f"dkt: dkt_raw_observations, version {raw.id}, published: read 200 = accepted 200 + rejected 0; accepted = train "
            f"{counted['train']} + validation {counted['validation']}; columns of the source that the contract does not read: "
            "none"
        ) in built.ingest.messages
        cell = newest(built.school, Dataset.sequenced("dkt", "train", 5))
        counted = cell.metadata["accounting"]
        assert counted["observations"] == raw.metadata["accounting"]["train"]
        metadata = built.sequence.materialized("sequenced_train")["dkt|5"]
        assert metadata["accounting"] == counted
        assert (
            f"dkt|5: dkt_sequenced_train_5, version {cell.id}, published: observations {counted['observations']} = sequenced "
            f"{counted['sequenced']} + dropped by min_length 0 + dropped by truncation 0; {counted['sequences']} sequences, "
            f"pad ratio {metadata['pad_ratio']:.4f}"
        ) in built.sequence.messages

    def test_runs_and_materializations_are_tagged_with_model_and_length(
        self, built: Built, instance: dg.DagsterInstance
    ) -> None:
        tagged = {run.run_id: instance.get_run_by_id(run.run_id) for run in (built.ingest, built.sequence)}
        assert all(tagged.values())
        tags = [{name: run.tags.get(name) for name in ("model", "sequence_length")} for run in tagged.values() if run]
        assert tags == [{"model": "dkt, irt", "sequence_length": None}, {"model": "dkt", "sequence_length": "5, 10"}]
        cells = {
            str(event.partition): event.step_materialization_data.materialization.tags or {}
            for event in built.sequence.events
            if event.is_step_materialization
        }
        assert {key: (tags["model"], tags["sequence_length"]) for key, tags in cells.items()} == {
            "dkt|5": ("dkt", "5"),
            "dkt|10": ("dkt", "10"),
        }

    def test_a_run_of_one_partition_records_just_that_one(self, tmp_path: Path, instance: dg.DagsterInstance) -> None:
        school = new_school(tmp_path)
        runner = Runner(school.definitions(), instance)
        ingest, sequence = runner.ingest("dkt"), runner.sequence("dkt|10")

        assert ingest.materialized("raw_observations").keys() == {"dkt"}
        assert ingest.materialized("rejected_observations").keys() == {"dkt"}
        for subset in SUBSETS:
            recorded = sequence.materialized(f"sequenced_{subset}")
            assert recorded.keys() == {"dkt|10"}
            assert recorded["dkt|10"].keys() >= EVERY_VERSION | {"sequences", "pad_ratio", "seconds"}
        assert {dataset.sequence_length for dataset in school.warehouse.datasets()} == {None, 10}

    def test_a_run_of_a_cell_that_is_not_declared_fails_and_names_it(self, runner: Runner) -> None:
        run = runner.sequence("sakt|10")
        assert not run.success
        assert run.materialized("sequenced_train") == {}
        errors = [event.step_failure_data.error for event in run.events if event.is_step_failure]
        assert errors
        assert all(error is not None and "'sakt|10'" in error.message for error in errors)


class TestWhatFails:
    """What a run records where some of its partitions, or its only one, cannot be published."""

    def test_the_other_partitions_are_published_and_recorded_with_all_their_metadata(self, partly_failed: Built) -> None:
        assert not partly_failed.ingest.success
        raw = partly_failed.ingest.materialized("raw_observations")
        rejected = partly_failed.ingest.materialized("rejected_observations")
        assert raw.keys() == rejected.keys() == {"dkt", "irt"}
        for model in raw:
            assert raw[model].keys() >= EVERY_VERSION | {"observations", "rejected", "seconds"}
            assert raw[model]["version"] == str(newest(partly_failed.school, Dataset.raw(model)).id)
            assert rejected[model].keys() >= EVERY_VERSION | {"rejected", "raw_version"}
            assert rejected[model]["version"] == str(newest(partly_failed.school, Dataset.rejected(model)).id)
        assert {dataset.model for dataset in partly_failed.school.warehouse.datasets()} == {"dkt", "irt"}

    def test_the_step_fails_with_the_numbers_of_every_failure_at_once(self, partly_failed: Built) -> None:
        failure = partly_failed.ingest.failure("raw_observations")
        message = str(failure.description)
        assert "sakt: sakt_raw_observations was not published, because its audit failed" in message
        assert f"{WRONG_ANSWERS} of {ANSWERS} records were rejected (is_in {WRONG_ANSWERS}), a ratio of 0.015" in message
        assert "wrong.csv, row 2, column 'correct', value '2': is_in" in message
        assert "broken: " in message
        assert "did you mean 'source'?" in message

    def test_the_step_names_what_failed_and_what_was_published(self, partly_failed: Built) -> None:
        metadata = partly_failed.ingest.failure("raw_observations").metadata
        assert {name: value.value for name, value in metadata.items()} == {"failed": "broken, sakt", "published": "dkt, irt"}

    @pytest.mark.parametrize("subset", SUBSETS)
    def test_cells_without_raw_observations_fail_and_leave_the_others_published(
        self, partly_failed: Built, subset: Subset
    ) -> None:
        assert not partly_failed.sequence.success
        recorded = partly_failed.sequence.materialized(f"sequenced_{subset}")
        assert recorded.keys() == {"dkt|5", "dkt|10"}
        assert recorded["dkt|5"]["version"] == str(newest(partly_failed.school, Dataset.sequenced("dkt", subset, 5)).id)
        assert partly_failed.sequence.failure(f"sequenced_{subset}").description == (
            "sakt|5: sakt has no published raw_observations; materialize that partition first."
        )

    def test_nothing_downstream_is_built_in_that_run(self, school: School, instance: dg.DagsterInstance) -> None:
        @dg.asset(partitions_def=school.grid().models)
        def consumer(raw_observations: object) -> None:
            raise AssertionError("nothing is built")

        graph = dg.Definitions.merge(school.definitions(), dg.Definitions(assets=[consumer]))
        run = Runner(graph, instance).assets(["raw_observations", "rejected_observations", "consumer"], "dkt", "sakt")

        assert not run.success
        assert run.steps == {"raw_observations"}
        assert run.materialized("raw_observations").keys() == {"dkt", "irt"}

    def test_a_run_of_one_partition_publishes_and_records_nothing(self, school: School, runner: Runner) -> None:
        run = runner.ingest("sakt")
        assert not run.success
        assert run.materialized("raw_observations") == run.materialized("rejected_observations") == {}
        assert not school.warehouse.versions(Dataset.raw("sakt"))
        assert not school.warehouse.versions(Dataset.rejected("sakt"))
        assert run.failure("raw_observations").metadata["published"].value == "none"

    def test_the_last_version_stands(self, school: School, runner: Runner) -> None:
        before = newest(school, Dataset.raw("dkt"))
        school.add_source(wrong_answers=WRONG_ANSWERS)
        assert not runner.ingest("dkt").success
        assert school.warehouse.versions(Dataset.raw("dkt")) == [before]

    def test_a_mistake_of_the_program_in_one_partition_leaves_the_others_whole(
        self, school: School, instance: dg.DagsterInstance
    ) -> None:
        given: LocalWarehouseResource = school.environment.resources(dataset_of)[WAREHOUSE_KEY]
        faulty = FaultyResource(home=given.home, database=given.database, environment=given.environment, duckdb=given.duckdb)
        definitions = school.definitions({WAREHOUSE_KEY: faulty})
        run = Runner(definitions, instance).ingest("dkt", "irt")

        assert not run.success
        assert run.materialized("raw_observations").keys() == {"irt"}
        assert run.failure("raw_observations").description == "dkt: ZeroDivisionError: a mistake of the program"

    def test_what_failed_is_built_once_it_is_mended_and_the_rest_is_not_built_again(
        self, school: School, runner: Runner
    ) -> None:
        school.add_source("wrong.csv")
        run = runner.ingest("dkt", "sakt")
        assert run.success
        unchanged = {model: "unchanged" in metadata for model, metadata in run.materialized("raw_observations").items()}
        assert unchanged == {"dkt": True, "irt": True, "sakt": False}


class TestWhatStandsAlready:
    """What a run does where nothing, or something, has changed."""

    def test_an_unchanged_partition_keeps_its_version_and_says_so(self, built: Built, school: School, runner: Runner) -> None:
        before = built.ingest.materialized("raw_observations") | built.sequence.materialized("sequenced_train")
        runs = [runner.ingest("dkt", "irt"), runner.sequence("dkt|5", "dkt|10")]

        after = runs[0].materialized("raw_observations") | runs[1].materialized("sequenced_train")
        assert after.keys() == {"dkt", "irt", "dkt|5", "dkt|10"}
        for key, metadata in after.items():
            assert metadata["version"] == before[key]["version"]
            assert metadata["unchanged"] is True
            assert "unchanged" not in before[key]
            assert metadata.keys() >= EVERY_VERSION | {"observations", "seconds"}
        for dataset in school.warehouse.datasets():
            assert len(school.warehouse.versions(dataset)) == 1

    def test_a_changed_source_makes_a_version_that_names_the_one_before(self, school: School, runner: Runner) -> None:
        before = newest(school, Dataset.raw("dkt"))
        with (school.models_folder / "answers.csv").open("a", encoding="utf-8") as source:
            source.write("1,1000,1,1\n")
        metadata = runner.ingest("dkt").materialized("raw_observations")["dkt"]

        assert metadata["observations"] == ANSWERS + 1
        assert metadata["previous_version"] == str(before.id) != metadata["version"]
        assert "unchanged" not in metadata

    def test_the_force_tag_builds_what_is_unchanged(self, school: School, runner: Runner) -> None:
        ingest = runner.ingest("dkt", **{FORCE_TAG: "true"})
        sequence = runner.sequence("dkt|5", **{FORCE_TAG: "true"})

        raw = ingest.materialized("raw_observations")["dkt"]
        cell = sequence.materialized("sequenced_train")["dkt|5"]
        assert "unchanged" not in raw.keys() | cell.keys()
        assert cell["raw_version"] == raw["version"]
        for dataset in (Dataset.raw("dkt"), Dataset.rejected("dkt"), Dataset.sequenced("dkt", "train", 5)):
            assert len(school.warehouse.versions(dataset)) == 2

    def test_so_does_the_configuration_of_the_run(self, school: School, runner: Runner) -> None:
        names = ["raw_observations", "rejected_observations"]
        for force, versions in ((False, 1), (True, 2)):
            run = runner.configured(names, "raw_observations", {"force": force}, "dkt")
            assert ("unchanged" in run.materialized("raw_observations")["dkt"]) is not force
            assert len(school.warehouse.versions(Dataset.raw("dkt"))) == versions
        cell = runner.configured(["sequenced_train"], "sequenced_train", {"force": True}, "dkt|5")
        assert "unchanged" not in cell.materialized("sequenced_train")["dkt|5"]

    def test_an_unchanged_partition_shows_all_that_its_version_showed_and_none_of_its_files_is_read(
        self, built: Built, school: School, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = built.ingest.materialized("raw_observations") | built.sequence.materialized("sequenced_train")

        def unread(_: LocalStorage, location: str) -> None:
            raise AssertionError(f"{location} is read")

        monkeypatch.setattr(LocalStorage, "open_input", unread)
        runs = [runner.ingest("dkt", "irt"), runner.sequence("dkt|5", "dkt|10")]
        after = runs[0].materialized("raw_observations") | runs[1].materialized("sequenced_train")
        assert before["dkt"].keys() >= {"flow", "column_metrics", "history_lengths", "pad_ratios", "pad_ratio_curve"}
        assert before["dkt|5"].keys() >= {"flow", "preview", "history_lengths"}
        for key, metadata in after.items():
            # The copy of the school is another folder.
            where = {"location": metadata["location"]}
            assert metadata == before[key] | where | {"unchanged": True}
        assert {run.success for run in runs} == {True}

    def test_pages_that_are_lost_are_made_again_in_a_run_over_a_range_too(
        self, built: Built, school: School, runner: Runner
    ) -> None:
        pages = sorted((school.folder / "home").rglob("pages/*.json"))
        assert len(pages) == 2 + 2 * 2, "of two raw tables and of two lengths of two subsets"
        for page in pages:
            page.unlink()
        runs = [runner.ingest("dkt", "irt"), runner.sequence("dkt|5", "dkt|10")]
        assert sorted((school.folder / "home").rglob("pages/*.json")) == pages
        after = runs[0].materialized("raw_observations") | runs[1].materialized("sequenced_train")
        before = built.ingest.materialized("raw_observations") | built.sequence.materialized("sequenced_train")
        for key, metadata in after.items():
            assert metadata.keys() == before[key].keys() | {"unchanged"}
            assert {name: metadata[name] for name in metadata.keys() & PAGE} == {
                name: value for name, value in before[key].items() if name in PAGE
            }

    def test_a_page_that_cannot_be_kept_fails_nothing(self, school: School, runner: Runner) -> None:
        [page] = (school.folder / "home").rglob("irt_raw_observations/pages/*.json")
        page.unlink()
        page.parent.rmdir()
        page.parent.write_text("in the way of the folder", encoding="utf-8")
        run = runner.ingest("irt")
        assert run.success
        assert run.materialized("raw_observations")["irt"].keys() >= {"unchanged", "flow", "column_metrics"}
        assert any("the page of version" in message and "could not be kept" in message for message in run.messages)

    def test_a_later_version_says_how_it_differs_also_when_it_stands(self, school: School, runner: Runner) -> None:
        with (school.models_folder / "answers.csv").open("a", encoding="utf-8") as source:
            source.write("1,1000,1,1\n")
        published, stands = (runner.ingest("dkt").materialized("raw_observations")["dkt"] for _ in range(2))
        assert published["changed"] == stands["changed"] == "+1 rows (+0.5%)"
        assert stands == published | {"unchanged": True}

    def test_another_description_of_a_column_rebuilds_nothing_and_is_shown(
        self, built: Built, school: School, instance: dg.DagsterInstance
    ) -> None:
        described = {**COLUMNS, "skill": {"type": "int32", "description": "What the exercise trains."}}
        school.add_model("dkt", columns=described)
        runner = Runner(school.definitions(), instance)
        raw = runner.ingest("dkt").materialized("raw_observations")["dkt"]
        cell = runner.sequence("dkt|5").materialized("sequenced_train")["dkt|5"]
        for metadata, column in ((raw, "skill"), (cell, "skill_sequence")):
            assert metadata["unchanged"] is True
            shown = {found.name: found.description for found in metadata["dagster/column_schema"].columns}
            assert shown[column] == "What the exercise trains."
        assert (
            runner.checks(check_keys("raw_observations", ["up_to_date"]), "dkt")
            .checks("raw_observations")["up_to_date", "dkt"]
            .passed
        )

    def test_another_value_of_the_force_tag_forces_nothing(self, runner: Runner) -> None:
        run = runner.ingest("dkt", **{FORCE_TAG: "false"})
        assert run.materialized("raw_observations")["dkt"]["unchanged"] is True

    def test_rejected_observations_follow_raw_even_if_a_newer_version_of_them_stands(
        self, built: Built, school: School, runner: Runner
    ) -> None:
        left_behind = leave_rejected_behind(school.warehouse, "dkt")
        assert newest(school, Dataset.rejected("dkt")) == left_behind
        recorded = runner.ingest("dkt").materialized("rejected_observations")["dkt"]
        published = built.ingest.materialized("rejected_observations")["dkt"]
        assert recorded["version"] == published["version"] != str(left_behind.id)


class TestAnInput:
    """What an asset downstream is given: a handle of what it reads, in the form that it asks for."""

    @pytest.fixture
    def given(self) -> list[Any]:
        """What the asset `reader` was given, run by run."""
        return []

    @staticmethod
    def reading(
        school: School, given: list[Any], upstream: str, annotation: Any = Any, resources: Any = None, **asset: Any
    ) -> dg.Definitions:
        """The graph with one more asset, which keeps what it is given of an asset upstream; partitioned like it by default."""

        def read(upstream: Any) -> None:
            given.append(upstream)

        read.__annotations__["upstream"] = annotation
        graph = school.definitions(resources)
        like = graph.resolve_assets_def(upstream).partitions_def
        reader = dg.asset(name="reader", ins={"upstream": dg.AssetIn(upstream)}, **{"partitions_def": like, **asset})(read)
        return dg.Definitions.merge(graph, dg.Definitions(assets=[reader]))

    @pytest.mark.parametrize("subset", SUBSETS)
    def test_of_a_cell_it_is_the_sequences_of_the_newest_version(
        self, school: School, runner: Runner, instance: dg.DagsterInstance, given: list[Any], subset: Subset
    ) -> None:
        runner.sequence("dkt|5", **{FORCE_TAG: "true"})
        assert Runner(self.reading(school, given, f"sequenced_{subset}"), instance).assets(["reader"], "dkt|5").success
        [dataset] = given
        version = newest(school, Dataset.sequenced("dkt", subset, 5))
        assert isinstance(dataset, SequenceDataset)
        assert (dataset.model, dataset.subset, dataset.sequence_length) == ("dkt", subset, 5)
        assert (dataset.version, len(dataset)) == (version.id, version.rows)
        assert dataset.to_numpy()["correct_sequence"].shape == (version.rows, 5)

    def test_of_a_model_it_is_its_observations_of_all_subsets(
        self, school: School, instance: dg.DagsterInstance, given: list[Any]
    ) -> None:
        assert Runner(self.reading(school, given, "raw_observations"), instance).assets(["reader"], "irt").success
        [dataset] = given
        assert isinstance(dataset, ObservationDataset)
        assert (dataset.model, dataset.subset, len(dataset)) == ("irt", None, ANSWERS)
        assert set(dataset.to_pandas()["subset"]) == set(SUBSETS)

    def test_of_rejected_observations_it_is_those_of_the_newest_raw_version(
        self, school: School, instance: dg.DagsterInstance, given: list[Any]
    ) -> None:
        school.add_model("sakt", [5], source={"location": "wrong.csv"}, checks={"rejected_ratio": {"max": 1.0}})
        runner = Runner(self.reading(school, given, "rejected_observations"), instance)
        assert runner.ingest("sakt").success
        followed = newest(school, Dataset.rejected("sakt"))
        leave_rejected_behind(school.warehouse, "sakt")
        assert runner.assets(["reader"], "sakt").success
        [dataset] = given
        assert isinstance(dataset, RejectedDataset)
        assert (dataset.model, dataset.version, len(dataset)) == ("sakt", followed.id, WRONG_ANSWERS)
        assert dataset.to_pandas()["reason"].tolist() == ["is_in"] * WRONG_ANSWERS

    def test_of_several_partitions_it_is_a_handle_of_each_by_key_in_their_order(
        self, school: School, instance: dg.DagsterInstance, given: list[Any]
    ) -> None:
        graph = self.reading(school, given, "sequenced_train")
        assert Runner(graph, instance).assets(["reader"], "dkt|5", "dkt|10").success
        [datasets] = given
        assert list(datasets) == ["dkt|5", "dkt|10"]
        assert [dataset.sequence_length for dataset in datasets.values()] == [5, 10]

    def test_an_input_that_is_annotated_as_a_dict_is_one_of_a_single_partition_too(
        self, school: School, instance: dg.DagsterInstance, given: list[Any]
    ) -> None:
        graph = self.reading(school, given, "sequenced_train", dict[str, SequenceDataset])
        assert Runner(graph, instance).assets(["reader"], "dkt|5").success
        assert [list(datasets) for datasets in given] == [["dkt|5"]]

    def test_an_asset_without_partitions_is_given_all_of_them(
        self, school: School, instance: dg.DagsterInstance, given: list[Any]
    ) -> None:
        for name in ("sakt", "broken"):
            (school.models_folder / f"{name}.yaml").unlink()
        graph = self.reading(school, given, "sequenced_train", partitions_def=None)
        assert Runner(graph, instance).assets(["reader"], None).success
        assert [list(datasets) for datasets in given] == [["dkt|5", "dkt|10"]]

    def test_it_is_bound_to_the_warehouse_of_the_run(
        self, school: School, instance: dg.DagsterInstance, given: list[Any], tmp_path: Path
    ) -> None:
        elsewhere = school.copied_to(tmp_path / "elsewhere")
        Runner(elsewhere.definitions(), instance).ingest("irt", **{FORCE_TAG: "true"})
        resource = elsewhere.environment.resources(dataset_of)[WAREHOUSE_KEY]
        graph = self.reading(school, given, "raw_observations", resources={WAREHOUSE_KEY: resource})
        assert Runner(graph, instance).assets(["reader"], "irt").success
        [dataset] = given
        assert dataset.version == newest(elsewhere, Dataset.raw("irt")).id != newest(school, Dataset.raw("irt")).id
        assert len(dataset.to_arrow()) == ANSWERS

    def test_what_is_not_published_is_named_with_the_remedy(
        self, school: School, instance: dg.DagsterInstance, given: list[Any]
    ) -> None:
        graph = self.reading(school, given, "sequenced_train")
        run = Runner(graph, instance).assets(["reader"], "dkt|5", "sakt|5")
        assert not run.success
        assert run.failure("reader").description == (
            "sequenced_train, partition sakt|5: nothing is published. Materialize sequenced_train for it first, in this "
            "environment."
        )
        assert given == []

    def test_an_asset_that_is_none_of_the_platforms_is_named_with_what_can_be_read(
        self, school: School, instance: dg.DagsterInstance
    ) -> None:
        @dg.asset(io_manager_key=IO_MANAGER_KEY)
        def foreign() -> dg.MaterializeResult[Any]:
            return dg.MaterializeResult()

        @dg.asset
        def reader(foreign: object) -> None:
            raise AssertionError("nothing is read")

        graph = dg.Definitions.merge(school.definitions(), dg.Definitions(assets=[foreign, reader]))
        run = Runner(graph, instance).assets(["reader"], None)
        assert str(run.failure("reader").description).startswith(
            "foreign: the I/O manager of seq_assets reads raw_observations, rejected_observations, sequenced_train, "
        )

    def test_the_plans_of_cells_are_made_from_what_is_published_and_no_more(
        self, school: School, instance: dg.DagsterInstance, given: list[Any]
    ) -> None:
        graph = self.reading(school, given, "raw_observations", RawObservations)
        assert Runner(graph, instance).assets(["reader"], "broken", "sakt").success
        assert given == [RawObservations({model: newest(school, Dataset.raw(model)) for model in ("dkt", "irt")})]


class TestAnOutput:
    """What is no plan is refused by name."""

    @pytest.mark.parametrize("key", [None, "dkt"])
    def test_an_asset_is_named_with_its_partition_and_the_remedy(
        self, school: School, instance: dg.DagsterInstance, key: str | None
    ) -> None:
        @dg.asset(io_manager_key=IO_MANAGER_KEY, partitions_def=school.grid().models if key else None)
        def mine() -> int:
            return 7

        run = Runner(dg.Definitions.merge(school.definitions(), dg.Definitions(assets=[mine])), instance).assets(["mine"], key)
        assert not run.success
        assert run.failure("mine").description == (
            f"{'mine, partition dkt' if key else 'mine'}: found int; allowed: PartitionPlans, a plan for each partition. For "
            "an asset of your own, leave out io_manager_key='seq_assets_io_manager', or name your own I/O manager."
        )

    def test_an_op_is_named(self, school: School, instance: dg.DagsterInstance) -> None:
        @dg.op(out=dg.Out(io_manager_key=IO_MANAGER_KEY))
        def mine() -> int:
            return 7

        @dg.job
        def job() -> None:
            mine()

        graph = dg.Definitions.merge(school.definitions(), dg.Definitions(jobs=[job]))
        result = graph.resolve_job_def("job").execute_in_process(instance=instance, raise_on_error=False)
        [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
        assert failure.user_failure_data is not None
        assert str(failure.user_failure_data.description).startswith("The output result of mine: found int; allowed: ")


class TestADamagedTable:
    """It is read as it was before, which the log of the run says, and is not published to."""

    def test_the_log_tells_what_is_read_in_its_place_and_the_failure_what_mends_it(
        self, school: School, runner: Runner
    ) -> None:
        warehouse, raw = school.warehouse, Dataset.raw("dkt")
        before = newest(school, raw)
        plan = plan_ingest(school.grid(), "dkt")
        assert isinstance(plan, IngestPlan)
        warehouse.execute(plan, force=True)
        (broken,) = Path(warehouse.tables.location(raw), "metadata").glob("00002-*.metadata.json")
        broken.write_bytes(b"")

        sequenced = runner.sequence("dkt|5")
        assert sequenced.success
        assert sequenced.materialized("sequenced_train")["dkt|5"]["raw_version"] == str(before.id)
        told = [message for message in sequenced.messages if "is read in its place" in message]
        assert told
        assert all(f"dkt_raw_observations: the catalog names {broken}, which is broken" in message for message in told)

        checked = runner.checks(check_keys("raw_observations", ["well_formed"]), "dkt")
        assert any("Run `seq-assets repair`" in message for message in checked.messages)

        ingested = runner.ingest("dkt")
        assert not ingested.success
        assert "Run `seq-assets repair`" in str(ingested.failure("raw_observations").description)
        assert retries(ingested) == []


class TestWhatMayPass:
    """A step that lost a race is tried again; one that found bad data is not."""

    @pytest.fixture(autouse=True)
    def _without_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plan_io_manager, "SECONDS_BEFORE_RETRY", 0.01)

    def test_a_retry_builds_what_is_missing_and_leaves_what_is_published(
        self, school: School, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        school.add_source()
        lose(monkeypatch, races=2)
        run = runner.ingest("dkt", "irt")

        assert run.success
        assert retries(run) == [0.01, pytest.approx(0.03)]
        recorded = run.materialized("raw_observations")
        assert recorded.keys() == {"dkt", "irt"}
        assert {model: recorded[model].get("unchanged") for model in recorded} == {"dkt": None, "irt": True}
        versions = {model: len(school.warehouse.versions(Dataset.raw(model))) for model in recorded}
        assert versions == {"dkt": 2, "irt": 2}, "each has one new version"

    def test_what_does_not_pass_fails_in_the_end_with_its_message(
        self, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lose(monkeypatch, races=100)
        run = runner.ingest("dkt")
        assert not run.success
        assert len(retries(run)) == plan_io_manager.MOST_RETRIES
        failure = run.failure("raw_observations")
        assert failure.description == "dkt: somebody was faster"
        assert failure.metadata["published"].value == "none"

    def test_bad_data_beside_a_lost_race_fails_as_soon_as_the_race_is_won(
        self, school: School, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lose(monkeypatch, races=1)
        run = runner.ingest("broken", "sakt")
        assert not run.success
        assert len(retries(run)) == 1
        metadata = run.failure("raw_observations").metadata
        assert {name: value.value for name, value in metadata.items()} == {"failed": "broken, sakt", "published": "dkt, irt"}

    @pytest.mark.parametrize("model", ["broken", "sakt"])
    def test_bad_data_is_not_tried_again(self, runner: Runner, model: str) -> None:
        run = runner.ingest(model)
        assert not run.success
        assert retries(run) == []

    def test_a_source_that_is_gone_is_not_tried_again(self, school: School, runner: Runner) -> None:
        (school.models_folder / "answers.csv").unlink()
        run = runner.ingest("dkt")
        assert "No source file" in str(run.failure("raw_observations").description)
        assert retries(run) == []

    def test_a_warehouse_that_does_not_answer_is_asked_again(self, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
        lose(monkeypatch, answers=2)
        run = runner.sequence("dkt|5")
        assert run.success
        assert len(retries(run)) == 2


def retries(run: Run) -> list[float | None]:
    """How long each retry of a run was waited for."""
    return [
        event.step_retry_data.seconds_to_wait
        for event in run.events
        if event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY
    ]


def lose(monkeypatch: pytest.MonkeyPatch, races: int = 0, answers: int = 0) -> None:
    """From now on, `dkt` loses this many races, and this many looks at versions have no answer."""
    left = {"races": races, "answers": answers}
    execute, versions = LocalWarehouse.execute, LocalWarehouse.versions

    def losing_execute(self: LocalWarehouse, plan: IngestPlan | SequencePlan, **options: Any) -> Publication:
        if plan.dataset.model == "dkt" and left["races"]:
            left["races"] -= 1
            raise LostRaceError("somebody was faster")
        return execute(self, plan, **options)

    def losing_versions(self: LocalWarehouse, dataset: Dataset) -> list[Version]:
        if left["answers"]:
            left["answers"] -= 1
            raise RetryableError("no answer")
        return versions(self, dataset)

    monkeypatch.setattr(LocalWarehouse, "execute", losing_execute)
    monkeypatch.setattr(LocalWarehouse, "versions", losing_versions)


def leave_rejected_behind(warehouse: LocalWarehouse, model: str) -> Version:
    """Publishes rejected observations as an ingest does that then crashes, before it publishes its raw observations."""
    standing = warehouse.find(Dataset.rejected(model))
    metadata: dict[str, Any] = dict(standing.metadata)
    return warehouse.tables.publish(Dataset.rejected(model), REJECTED_SCHEMA, list(standing.files), standing.rows, metadata)


class FaultyWarehouse(LocalWarehouse):
    """Has a mistake that only `dkt` runs into."""

    def execute(self, plan: IngestPlan | SequencePlan, *, force: bool = False, progress: Progress = no_progress) -> Publication:
        if plan.dataset.model == "dkt":
            raise ZeroDivisionError("a mistake of the program")
        return super().execute(plan, force=force, progress=progress)


class FaultyResource(LocalWarehouseResource):
    """Opens a faulty warehouse."""

    def open(self) -> Warehouse:
        return FaultyWarehouse(Path(self.home), self.database, self.environment)
