"""A team's project that embeds the platform: its assets receive what is published, and what is its own stays its own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest

from seq_assets import SequenceDataset
from seq_assets.client.datasets import dataset_of
from seq_assets.environments import Environment, current_environment
from seq_assets.io_managers.plan_io_manager import FORCE_TAG
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Version
from seq_assets_tests.assets.building import NO_TELEMETRY, Runner
from tutoring.definitions import build
from tutoring.json_files import JsonFiles

pytestmark = pytest.mark.slow

CELL: Final = "answers|20"
SMOOTHING: Final = 5.0
TOSSING_A_COIN: Final = 0.693


def newest(environment: Environment, dataset: Dataset) -> Version:
    return environment.warehouse().versions(dataset)[0]


def newest_train(environment: Environment) -> Version:
    return newest(environment, Dataset.sequenced("answers", "train", 20))


def stored(environment: Environment, asset: str, key: str) -> Any:
    """What the team's own I/O manager has kept."""
    return json.loads((environment.home / "tutoring" / asset / f"{key}.json").read_text(encoding="utf-8"))


def test_all_definitions_of_the_project_are_loadable(team: Runner) -> None:
    dg.Definitions.validate_loadable(team.definitions)
    keys = {key.to_user_string() for key in team.definitions.resolve_asset_graph().get_all_asset_keys()}
    assert keys > {"raw_observations", "rejected_observations", "sequenced_train", "sequenced_validation"}


# What assets downstream receive


def test_an_asset_downstream_of_sequences_receives_their_newest_version(team: Runner, environment: Environment) -> None:
    assert team.assets(["skill_difficulty"], CELL).success
    first = stored(environment, "skill_difficulty", CELL)["version"]
    assert first == newest_train(environment).id
    assert team.sequence(CELL, **{FORCE_TAG: "true"}).success
    assert team.assets(["skill_difficulty"], CELL).success
    assert stored(environment, "skill_difficulty", CELL)["version"] == newest_train(environment).id != first


def test_what_it_learns_is_what_the_train_observations_say(team: Runner, environment: Environment) -> None:
    assert team.assets(["skill_difficulty"], CELL).success
    found = stored(environment, "skill_difficulty", CELL)
    observations = dataset_of(environment.warehouse(), newest(environment, Dataset.raw("answers"))).to_pandas()
    train = observations[observations.subset == "train"]
    counts = train.groupby("skillid").correct.agg(["sum", "size"])
    expected = (counts["sum"] + SMOOTHING * train.correct.mean()) / (counts["size"] + SMOOTHING)
    assert found["rates"] == pytest.approx({str(skill): rate for skill, rate in expected.items()})
    assert 0 < found["loss"] < TOSSING_A_COIN


def test_an_asset_downstream_of_observations_receives_all_of_its_model(team: Runner, environment: Environment) -> None:
    assert team.assets(["answers_per_pupil"], "answers").success
    counted = stored(environment, "answers_per_pupil", "answers")
    assert sum(counted.values()) == newest(environment, Dataset.raw("answers")).rows


def test_an_asset_of_several_partitions_receives_a_dict(environment: Environment, team: Runner) -> None:
    received: dict[str, int] = {}

    @dg.asset(ins={"sequenced_train": dg.AssetIn(partition_mapping=dg.SpecificPartitionsPartitionMapping([CELL]))})
    def overview(sequenced_train: dict[str, SequenceDataset]) -> None:
        received.update({key: dataset.version for key, dataset in sequenced_train.items()})

    definitions = dg.Definitions.merge(build(environment), dg.Definitions([overview]))
    assert Runner(definitions, team.instance).assets(["overview"], None).success
    assert received == {CELL: newest_train(environment).id}


def test_an_asset_of_some_cells_receives_these(environment: Environment, team: Runner) -> None:
    received: dict[str, int] = {}

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition([CELL]))
    def short(context: dg.AssetExecutionContext, sequenced_train: SequenceDataset) -> None:
        received[context.partition_key] = sequenced_train.version

    definitions = dg.Definitions.merge(build(environment), dg.Definitions([short]))
    assert Runner(definitions, team.instance).assets(["short"], CELL).success
    assert received == {CELL: newest_train(environment).id}


def test_a_cell_that_is_not_published_is_named_with_what_to_do(team: Runner) -> None:
    run = team.assets(["skill_difficulty"], "answers|50")
    message = str(run.failure("skill_difficulty").description)
    assert "sequenced_train, partition answers|50: nothing is published. Materialize sequenced_train" in message


def test_handles_are_bound_to_the_warehouse_of_the_run(team: Runner, environment: Environment, tmp_path: Path) -> None:
    """And neither to the environment of the definitions nor to that of the process."""
    elsewhere = replace(environment, home=tmp_path / "elsewhere")
    key = "seq_assets_warehouse"
    theirs = {key: (build(elsewhere).resources or {})[key]}
    before = newest_train(environment)
    with dg.DagsterInstance.ephemeral(settings=NO_TELEMETRY) as instance:
        moved = Runner(build(environment, theirs), instance)
        assert moved.ingest("answers").success
        assert moved.sequence(CELL).success
        assert moved.assets(["skill_difficulty"], CELL).success
    assert stored(environment, "skill_difficulty", CELL)["version"] == newest_train(elsewhere).id != before.id
    assert newest_train(environment) == before
    assert not current_environment().home.exists()


# What is the team's own


def test_the_teams_io_manager_keeps_what_its_assets_return(team: Runner, environment: Environment) -> None:
    assert isinstance((team.definitions.resources or {})["io_manager"], JsonFiles)
    assert team.assets(["skill_difficulty", "hardest_skills"], CELL).success
    rates = stored(environment, "skill_difficulty", CELL)["rates"]
    hardest = stored(environment, "hardest_skills", CELL)
    assert [rates[skill] for skill in hardest] == sorted(rates.values())[:3]
    kept = {file.relative_to(environment.home / "tutoring").parts[0] for file in environment.home.glob("tutoring/*/*")}
    assert kept <= {"skill_difficulty", "hardest_skills", "answers_per_pupil"}


def test_the_teams_executor_runs_all_jobs(team: Runner) -> None:
    assert {job.executor_def.name for job in team.definitions.resolve_all_job_defs()} == {"multiprocess"}


@pytest.mark.parametrize("name", ["ingest", "sequence", "check_observations", "check_sequences"])
def test_a_job_of_the_team_cannot_have_the_name_of_one_of_the_platform(environment: Environment, name: str) -> None:
    own = dg.Definitions(jobs=[dg.define_asset_job(name, dg.AssetSelection.assets("skill_difficulty"))])
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=name):
        dg.Definitions.validate_loadable(dg.Definitions.merge(build(environment), own))


# What runs by itself


def test_new_sequences_are_requested_once_and_unchanged_ones_never(team: Runner) -> None:
    def requested(cursor: Any) -> tuple[set[str | None], Any]:
        chosen = dg.AssetSelection.assets("skill_difficulty")
        result = dg.evaluate_automation_conditions(team.definitions, team.instance, chosen, cursor=cursor)
        return set(result.get_requested_partitions(dg.AssetKey("skill_difficulty"))), result.cursor

    assert team.assets(["skill_difficulty"], CELL).success
    _, cursor = requested(None)
    assert team.sequence(CELL).success
    again, cursor = requested(cursor)
    assert again == set(), "the same version, published again, is no news"
    assert team.sequence(CELL, **{FORCE_TAG: "true"}).success
    anew, cursor = requested(cursor)
    assert anew == {CELL}
