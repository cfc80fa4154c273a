"""A small school for tests of the graph: model files, their source, and runs of the graph over them.

Here belong helpers that several test modules share. Not here: what a test expects.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import dagster as dg
import yaml
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG, PARTITION_NAME_TAG

from seq_assets.assets import build_definitions
from seq_assets.assets.partitions import Grid
from seq_assets.environments import Environment
from seq_assets.models.spec import EnvironmentName
from seq_assets.warehouse.local.warehouse import LocalWarehouse

PUPILS: Final = 20
ANSWERS: Final = 200
COLUMNS: Final[Mapping[str, Any]] = {
    "pupil": {"type": "int64"},
    "time": {"type": "int64"},
    "skill": {"type": "int32"},
    "correct": {"type": "int8", "is_in": [0, 1]},
}
FEATURES: Final[Mapping[str, Any]] = {"skill": {"pad_value": -1}, "correct": {"pad_value": 0}}
NO_TELEMETRY: Final = {"telemetry": {"enabled": False}}
"""Of an instance: nothing is sent anywhere."""
BROKEN_FILE: Final = "name: broken\nsourc: {location: answers.csv}\n"


@dataclass(frozen=True)
class School:
    """A folder of model files with their sources, and the local environment over it.

    Attributes:
        folder: Holds `models/` with the sources beside the model files, and `home/`.
    """

    folder: Path

    @property
    def models_folder(self) -> Path:
        """Where model files and sources are."""
        return self.folder / "models"

    @property
    def environment(self) -> Environment:
        """The local environment over the folder."""
        return Environment("local", self.folder / "home", self.models_folder, "seq_assets_local")

    @property
    def warehouse(self) -> LocalWarehouse:
        """The warehouse that the graph publishes to."""
        return LocalWarehouse(self.folder / "home")

    def add_source(self, name: str = "answers.csv", wrong_answers: int = 0) -> None:
        """Writes the answers of 20 pupils, 1 to 19 each, whose first ones break the contract of `correct` if asked for."""
        histories = [pupil for pupil in range(1, PUPILS) for _ in range(pupil)]
        pupils = [*histories, *[PUPILS] * (ANSWERS - len(histories))]
        lines = [
            f"{pupil},{time},{(pupil + time) % 7},{2 if time < wrong_answers else time % 2}"
            for time, pupil in enumerate(pupils)
        ]
        file = self.models_folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(["pupil,time,skill,correct", *lines]) + "\n", encoding="utf-8")

    def add_model(self, name: str, sequence_lengths: Iterable[int] = (5, 10), **fields: Any) -> None:
        """Writes a model file on `answers.csv`; without lengths it is a raw model."""
        lengths = list(sequence_lengths)
        content = {
            "name": name,
            "owner": "team:learning",
            "source": {"location": "answers.csv"},
            "entity": "pupil",
            "order_by": ["time"],
            "columns": dict(COLUMNS),
            "features": dict(FEATURES) if lengths else {},
            "sequence_lengths": lengths,
            **fields,
        }
        self.add_file(name, yaml.safe_dump(content, sort_keys=False))

    def add_file(self, name: str, text: str = BROKEN_FILE) -> None:
        """Writes any text as a model file; by default one with mistakes."""
        self.models_folder.mkdir(parents=True, exist_ok=True)
        (self.models_folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    def copied_to(self, folder: Path) -> "School":
        """A copy, with all that is published, which a test may change: cheaper than to publish again."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return School(folder)

    def grid(self) -> Grid:
        """The partitions over the model files as they are now."""
        return Grid(self.environment.registry(), "local")

    def definitions(
        self, resources: Mapping[str, Any] | None = None, environment: EnvironmentName = "local", **settings: Any
    ) -> dg.Definitions:
        """The graph over the model files as they are now, as an environment of that name and with these settings has it."""
        return build_definitions(replace(self.environment, name=environment, **settings), resources=resources)


@dataclass(frozen=True)
class Run:
    """One finished run, as its instance recorded it.

    Attributes:
        success: Whether all its steps succeeded.
        run_id: Its name in the instance.
        events: All that happened, also what a failed step recorded before it failed.
        messages: What was logged.
    """

    success: bool
    run_id: str
    events: tuple[dg.DagsterEvent, ...]
    messages: tuple[str, ...]

    @property
    def steps(self) -> set[str]:
        """The steps that were started."""
        return {str(event.step_key) for event in self.events if event.event_type == dg.DagsterEventType.STEP_START}

    def materialized(self, asset: str) -> dict[str, dict[str, Any]]:
        """The metadata of what was recorded as materialized of an asset, by partition."""
        return {
            str(event.partition): plain(event.step_materialization_data.materialization.metadata)
            for event in self.events
            if event.is_step_materialization and event.asset_key == dg.AssetKey(asset)
        }

    def checks(self, asset: str) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
        """The results of the checks of an asset, by check and partition."""
        evaluations = [
            event.asset_check_evaluation_data
            for event in self.events
            if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ]
        return {
            (evaluation.check_name, str(evaluation.partition)): evaluation
            for evaluation in evaluations
            if evaluation.asset_key == dg.AssetKey(asset)
        }

    def failure(self, step: str) -> dg.Failure:
        """What a step failed with, which must be words for people."""
        failures = [event.step_failure_data for event in self.events if event.is_step_failure and event.step_key == step]
        assert len(failures) == 1, f"{step} fails once"
        data = failures[0].user_failure_data
        assert data is not None, f"{step} fails with a message"
        return dg.Failure(data.description, data.metadata)


@dataclass(frozen=True)
class Runner:
    """Runs parts of a graph in this process.

    Attributes:
        definitions: The graph.
        instance: Records the runs.
    """

    definitions: dg.Definitions
    instance: dg.DagsterInstance

    def job(self, name: str, first: str, last: str | None = None, **tags: str) -> Run:
        """Runs a job on one partition, or on the range of partitions that ends with `last`."""
        return self._run(self.definitions.resolve_job_def(name), first, last, tags)

    def assets(self, names: Iterable[str], first: str | None, last: str | None = None, **tags: str) -> Run:
        """Runs assets without their checks."""
        return self._run(self._subset(names), first, last, tags)

    def configured(self, names: Iterable[str], step: str, config: Mapping[str, Any], first: str) -> Run:
        """The same, where one of the steps is told something, as in the launchpad."""
        return self._run(self._subset(names), first, None, {}, {step: {"config": dict(config)}})

    def _subset(self, names: Iterable[str]) -> dg.JobDefinition:
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return job.get_subset(asset_selection={dg.AssetKey(name) for name in names}, asset_check_selection=set())

    def ingest(self, first: str, last: str | None = None, **tags: str) -> Run:
        """Runs the assets of the first step, without their checks."""
        return self.assets(["raw_observations", "rejected_observations"], first, last, **tags)

    def sequence(self, first: str, last: str | None = None, **tags: str) -> Run:
        """Runs the assets of the second step, without their checks."""
        return self.assets(["sequenced_train", "sequenced_validation"], first, last, **tags)

    def checks(self, keys: Iterable[dg.AssetCheckKey], first: str | None, last: str | None = None) -> Run:
        """Runs checks alone, on what is published; of all partitions where none is named."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return self._run(job.get_subset(asset_selection=set(), asset_check_selection=set(keys)), first, last, {})

    def _run(
        self,
        job: dg.JobDefinition,
        first: str | None,
        last: str | None,
        tags: Mapping[str, str],
        ops: Mapping[str, Any] | None = None,
    ) -> Run:
        # As the UI does: `partition_key` would refuse a run of checks alone.
        one = {} if first is None else {PARTITION_NAME_TAG: first}
        chosen = one if first is None or last is None else range_tags(first, last)
        result = job.execute_in_process(
            instance=self.instance,
            tags={**tags, **chosen},
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, "ops": ops or {}},
        )
        # The result itself lacks what a failed step recorded.
        entries = self.instance.all_logs(result.run_id)
        events = (entry.dagster_event for entry in entries)
        messages = tuple(entry.user_message for entry in entries if entry.dagster_event is None)
        return Run(result.success, result.run_id, tuple(event for event in events if event is not None), messages)


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags of a run over a range of partitions."""
    return {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}


def check_keys(asset: str, names: Iterable[str]) -> list[dg.AssetCheckKey]:
    """The keys of checks of one asset."""
    return [dg.AssetCheckKey(dg.AssetKey(asset), name) for name in names]


def plain(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    """Metadata as plain values."""
    return {name: value.value for name, value in metadata.items()}
