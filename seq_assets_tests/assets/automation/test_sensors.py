"""What the sensors request, evaluated without a daemon: from listed sources, and from recorded materializations."""

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from seq_assets.assets.automation import sensors
from seq_assets.client.datasets import dataset_of
from seq_assets.io_managers.metadata import RAW_KEY
from seq_assets.io_managers.plan_io_manager import WAREHOUSE_KEY
from seq_assets.models.spec import EnvironmentName
from seq_assets.sequencing.plans import IngestPlan
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.assets.building import School, range_tags

SENSORS = ("source_files", "new_observations")


class Kept(logging.Handler):
    """Keeps what a sensor logs."""

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def tick(
    school: School, sensor: str, cursor: str | None, instance: dg.DagsterInstance | None = None, log: Kept | None = None
) -> SensorExecutionData:
    """One evaluation of a sensor of the graph over the model files as they are now."""
    return evaluated(school, school.definitions(), sensor, cursor, instance, log)


def evaluated(
    school: School,
    definitions: dg.Definitions,
    sensor: str,
    cursor: str | None = None,
    instance: dg.DagsterInstance | None = None,
    log: Kept | None = None,
) -> SensorExecutionData:
    """One evaluation of a sensor of a graph, on the school's warehouse."""
    resources = {WAREHOUSE_KEY: school.environment.resources(dataset_of)[WAREHOUSE_KEY]}
    with dg.build_sensor_context(instance, cursor=cursor, definitions=definitions, resources=resources) as context:
        if log is not None:
            context.log.addHandler(log)
        return definitions.resolve_sensor_def(sensor).evaluate_tick(context)


def ranges(evaluation: SensorExecutionData) -> list[dict[str, str]]:
    """The range of partitions of each run that is requested."""
    return [
        {name: value for name, value in request.tags.items() if name.startswith("dagster/asset_partition_range")}
        for request in evaluation.run_requests or []
    ]


def run_keys(evaluation: SensorExecutionData) -> list[str | None]:
    return [request.run_key for request in evaluation.run_requests or []]


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("name", ["local", "staging", "prod"])
def test_sensors_are_on_in_prod_and_off_elsewhere(school: School, name: EnvironmentName, sensor: str) -> None:
    school.add_model("a")
    status = school.definitions(environment=name).resolve_sensor_def(sensor).default_status
    assert status.name == ("RUNNING" if name == "prod" else "STOPPED")


class TestSourceFiles:
    """Sources and model files that are new or changed are ingested."""

    @staticmethod
    def tick(school: School, cursor: str | None = None, log: Kept | None = None) -> SensorExecutionData:
        return tick(school, "source_files", cursor, log=log)

    @staticmethod
    def listing(monkeypatch: pytest.MonkeyPatch, listed: Callable[[IngestPlan], str]) -> None:
        """Has the warehouse list sources in another way."""
        monkeypatch.setattr(LocalWarehouse, "source_fingerprint", lambda _, plan: listed(plan))

    @pytest.fixture
    def models(self, school: School) -> School:
        """Models `a`, `b` and `d` on one source, and `c` on a folder of its own."""
        for name in ("a", "b", "d"):
            school.add_model(name)
        school.add_source("folder/monday.csv")
        school.add_model("c", source={"location": "folder"})
        return school

    @pytest.fixture
    def seen(self, models: School) -> str | None:
        """The cursor after everything was seen."""
        return self.tick(models).cursor

    def test_at_first_all_models_are_requested_in_one_run(self, models: School) -> None:
        assert ranges(self.tick(models)) == [range_tags("a", "d")]

    def test_what_was_seen_is_not_requested_again(self, models: School, seen: str | None) -> None:
        again = self.tick(models, seen)
        assert ranges(again) == []
        assert again.skip_message == "Nothing has changed in the sources of 4 models."
        assert again.cursor == seen

    def test_several_new_files_of_a_model_are_one_run_of_it(self, models: School, seen: str | None) -> None:
        for day in ("tuesday", "wednesday"):
            models.add_source(f"folder/{day}.csv")
        changed = self.tick(models, seen)
        assert ranges(changed) == [range_tags("c", "c")]
        assert ranges(self.tick(models, changed.cursor)) == []

    def test_neighbours_are_one_run_and_what_is_between_others_is_left_out(self, models: School, seen: str | None) -> None:
        models.add_source()
        assert ranges(self.tick(models, seen)) == [range_tags("a", "b"), range_tags("d", "d")]

    def test_a_new_model_is_requested(self, models: School, seen: str | None) -> None:
        models.add_model("bb")
        assert ranges(self.tick(models, seen)) == [range_tags("bb", "bb")]

    @pytest.mark.parametrize(
        ("fields", "requested"),
        [
            (
                {"columns": {"pupil": {"type": "int64"}, "time": {"type": "int64"}}, "features": {"time": {"pad_value": 0}}},
                True,
            ),
            ({"sequence_lengths": [5, 10, 20]}, True),
            ({"window": {"mode": "last"}}, True),
            ({"description": "Another one."}, False),
            ({"checks": {"pad_ratio": {"warn": 0.9}}}, False),
        ],
    )
    def test_a_model_file_is_requested_when_it_asks_for_other_data(
        self, models: School, seen: str | None, fields: dict[str, Any], requested: bool
    ) -> None:
        models.add_model("b", **fields)
        assert ranges(self.tick(models, seen)) == [range_tags("b", "b")] * requested

    @pytest.mark.parametrize(
        ("fault", "said"),
        [("missing", "No source file at 'folder'"), ("empty", "is empty (0 bytes)"), ("mixed", "files of several formats")],
    )
    def test_a_source_that_cannot_be_listed_is_named_once_and_stops_no_other_model(
        self, models: School, seen: str | None, fault: str, said: str
    ) -> None:
        folder, file = models.models_folder / "folder", models.models_folder / "folder" / "monday.csv"
        kept = file.rename(folder / "_kept")
        if fault == "empty":
            file.touch()
        elif fault == "mixed":
            models.add_source("folder/monday.csv")
            (folder / "tuesday.json").write_text("{}")
        models.add_source()
        log = Kept()
        first = self.tick(models, seen, log)
        second = self.tick(models, first.cursor, log)

        assert ranges(first) == [range_tags("a", "b"), range_tags("d", "d")]
        assert ranges(second) == []
        assert second.skip_message is not None
        assert second.skip_message.count("c is left out") == second.skip_message.count(said) == 1
        assert len([message for message in log.messages if said in message]) == 1

        for found in folder.iterdir():
            if found != kept:
                found.unlink()
        kept.rename(file)
        third = self.tick(models, second.cursor)
        assert ranges(third) == [], "it is what was seen before"
        models.add_source("folder/tuesday.csv")
        assert ranges(self.tick(models, third.cursor)) == [range_tags("c", "c")]

    @pytest.mark.slow
    def test_a_place_that_does_not_answer_is_left_out_in_time_and_stops_no_model_that_is_elsewhere(
        self, models: School, seen: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answering = threading.Event()

        def listed(plan: IngestPlan) -> str:
            if plan.location.startswith("s3://silent/"):
                answering.wait()
            return plan.location

        self.listing(monkeypatch, listed)
        monkeypatch.setattr(sensors, "SECONDS_TO_LOOK", 1)
        for name, bucket in {"b": "silent", "bb": "silent", "bc": "loud"}.items():
            models.add_model(name, source={"location": f"s3://{bucket}/{name}/"})
        try:
            first = self.tick(models)
            second = self.tick(models, first.cursor)
        finally:
            answering.set()
        assert ranges(first) == [range_tags("a", "a"), range_tags("bc", "d")]
        assert str(second.skip_message).count("has not been listed within 1 seconds") == 2
        assert ranges(self.tick(models, second.cursor)) == [range_tags("b", "bb")]

    def test_a_mistake_of_the_program_fails_the_tick(self, models: School, monkeypatch: pytest.MonkeyPatch) -> None:
        def listed(plan: IngestPlan) -> str:
            raise RuntimeError("a mistake of the program")

        self.listing(monkeypatch, listed)
        with pytest.raises(RuntimeError, match="a mistake of the program"):
            self.tick(models)

    def test_broken_model_files_are_left_out_and_named(self, models: School, seen: str | None) -> None:
        models.add_file("b", "name: b\nentitty: pupil\n")
        models.add_source()
        first = self.tick(models, seen)
        assert ranges(first) == [range_tags("a", "a"), range_tags("d", "d")]
        assert "did you mean 'entity'" in str(self.tick(models, first.cursor).skip_message)
        models.add_model("b")
        assert ranges(self.tick(models, first.cursor)) == [range_tags("b", "b")]

    def test_a_tick_that_is_repeated_makes_no_other_runs(self, models: School, seen: str | None) -> None:
        models.add_source()
        assert run_keys(self.tick(models, seen)) == run_keys(self.tick(models, seen)) != []

    def test_a_source_that_returns_to_an_earlier_state_is_another_run(self, models: School, seen: str | None) -> None:
        folder = models.models_folder / "folder"
        file = folder / "monday.csv"
        keys: list[str | None] = []
        cursor = seen
        for _ in range(2):
            kept = file.rename(folder / "_kept")
            models.add_source("folder/monday.csv")
            for replaced in (False, True):
                if replaced:
                    kept.replace(file)
                evaluation = self.tick(models, cursor)
                keys += run_keys(evaluation)
                cursor = evaluation.cursor
        assert len(keys) == len(set(keys)) == 4

    def test_models_that_are_gone_leave_the_cursor(self, models: School, seen: str | None) -> None:
        for name in ("a", "b", "c"):
            (models.models_folder / f"{name}.yaml").unlink()
        assert set(json.loads(str(self.tick(models, seen).cursor))["states"]) == {"d"}

    def test_a_cursor_of_another_hand_makes_every_source_new(self, models: School) -> None:
        assert ranges(self.tick(models, "rewind, please")) == [range_tags("a", "d")]

    def test_fifty_models_are_looked_at_in_no_time(self, school: School) -> None:
        for number in range(50):
            for day in range(4):
                school.add_source(f"folder_{number}/{day}.csv")
            school.add_model(f"m{number:02}", range(10, 90, 10), source={"location": f"folder_{number}"})
        definitions = school.definitions()
        definitions.get_repository_def()
        began = time.process_time()
        evaluation = evaluated(school, definitions, "source_files")
        assert time.process_time() - began < 1, "a tenth of it is usual"
        assert ranges(evaluation) == [range_tags("m00", "m49")]
        assert len(str(evaluation.cursor)) < 50 * 40


class TestNewObservations:
    """Raw observations that are new are cut into sequences."""

    @pytest.fixture
    def models(self, school: School) -> School:
        """`a` with a length of `b` between its own, `b` and the raw model `c`."""
        school.add_model("a", [5, 10, 50])
        school.add_model("b", [20])
        school.add_model("c", [])
        return school

    @staticmethod
    def publish(instance: dg.DagsterInstance, model: str, version: int | None, as_number: bool = False) -> None:
        """Records a materialization as the I/O manager does (or once did), or, without a version, as a hand in the UI does."""
        metadata = {} if version is None else {"version": version if as_number else str(version)}
        instance.report_runless_asset_event(dg.AssetMaterialization(RAW_KEY, partition=model, metadata=metadata))

    @staticmethod
    def tick(school: School, instance: dg.DagsterInstance, cursor: str | None = None) -> SensorExecutionData:
        return tick(school, "new_observations", cursor, instance)

    @staticmethod
    def run(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
        """Records a run of what was requested."""
        instance.add_run(dg.DagsterRun("sequence", tags=request.tags, status=status))

    def test_without_raw_observations_nothing_is_requested(self, models: School, instance: dg.DagsterInstance) -> None:
        evaluation = self.tick(models, instance)
        assert (ranges(evaluation), evaluation.skip_message) == ([], "No raw observations are new.")

    @pytest.mark.parametrize("as_number", [False, True], ids=["", "as homes of before hold it"])
    def test_exactly_the_declared_cells_of_the_model_are_requested_in_one_run(
        self, models: School, instance: dg.DagsterInstance, as_number: bool
    ) -> None:
        self.publish(instance, "a", 1, as_number)
        first = self.tick(models, instance)
        assert ranges(first) == [range_tags("a|5", "a|50")]
        [request] = first.run_requests or []
        assert request.tags.items() >= {"model": "a", "sequence_length": "5, 10, 50"}.items()
        assert ranges(self.tick(models, instance, first.cursor)) == []

    def test_several_models_each_have_a_run_of_their_own(self, models: School, instance: dg.DagsterInstance) -> None:
        for model in ("a", "b", "c"):
            self.publish(instance, model, 1)
        assert ranges(self.tick(models, instance)) == [
            range_tags("a|5", "a|50"),
            range_tags("b|20", "b|20"),
        ]

    @pytest.mark.parametrize("model", ["c", "broken", "gone"])
    def test_raw_broken_and_unknown_models_lead_to_nothing(
        self, models: School, instance: dg.DagsterInstance, model: str
    ) -> None:
        models.add_file("broken")
        self.publish(instance, model, 1)
        evaluation = self.tick(models, instance)
        assert ranges(evaluation) == []
        assert model in str(evaluation.skip_message)
        assert self.tick(models, instance, evaluation.cursor).skip_message == "No raw observations are new."

    def test_a_report_by_hand_leads_to_nothing(self, models: School, instance: dg.DagsterInstance) -> None:
        self.publish(instance, "b", None)
        assert ranges(self.tick(models, instance)) == []

    def test_of_several_versions_only_the_newest_counts(self, models: School, instance: dg.DagsterInstance) -> None:
        self.publish(instance, "b", 2)
        [alone] = self.tick(models, instance).run_requests or []
        for version in (1, 2):
            self.publish(instance, "b", version)
        [newest] = self.tick(models, instance).run_requests or []
        assert newest.tags == alone.tags

    @pytest.mark.parametrize("status", ["NOT_STARTED", "STARTED", "SUCCESS"])
    def test_what_stands_or_is_being_made_is_not_requested_again_for_an_unchanged_version(
        self, models: School, instance: dg.DagsterInstance, status: str
    ) -> None:
        self.publish(instance, "b", 1)
        first = self.tick(models, instance)
        [request] = first.run_requests or []
        self.run(instance, request, dg.DagsterRunStatus[status])
        self.publish(instance, "b", 1)
        second = self.tick(models, instance, first.cursor)
        assert ranges(second) == []
        self.publish(instance, "b", 2)
        assert ranges(self.tick(models, instance, second.cursor)) == [range_tags("b|20", "b|20")]

    @pytest.mark.parametrize("status", ["FAILURE", "CANCELED"])
    def test_what_failed_is_requested_again_by_the_next_ingest_and_not_before(
        self, models: School, instance: dg.DagsterInstance, status: str
    ) -> None:
        self.publish(instance, "b", 1)
        first = self.tick(models, instance)
        [request] = first.run_requests or []
        self.run(instance, request, dg.DagsterRunStatus[status])
        assert ranges(self.tick(models, instance, first.cursor)) == []
        self.publish(instance, "b", 1)
        [again] = self.tick(models, instance, first.cursor).run_requests or []
        assert again.tags == request.tags
        assert again.run_key != request.run_key

    def test_a_model_file_that_asks_for_other_sequences_has_them_made_of_an_unchanged_version(
        self, models: School, instance: dg.DagsterInstance
    ) -> None:
        self.publish(instance, "a", 1)
        first = self.tick(models, instance)
        for request in first.run_requests or []:
            self.run(instance, request, dg.DagsterRunStatus.SUCCESS)
        models.add_model("a", [5, 10, 50, 100])
        self.publish(instance, "a", 1)
        assert ranges(self.tick(models, instance, first.cursor)) == [range_tags("a|5", "a|100")]

    def test_a_tick_that_is_repeated_makes_no_other_runs(self, models: School, instance: dg.DagsterInstance) -> None:
        self.publish(instance, "a", 1)
        assert run_keys(self.tick(models, instance)) == run_keys(self.tick(models, instance))
