"""The graph over the bundled models, as text: a change of it shows up in review.

Renew the text after a change that is meant: `python -m seq_assets_tests.assets.test_graph`, and read the difference.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph, AssetNode

from seq_assets.assets import build_definitions
from seq_assets.environments import Environment
from seq_assets.io_managers.glossary import glossary
from seq_assets.io_managers.metadata import RAW_KEY
from seq_assets.models import bundled_models_folder
from seq_assets_tests.assets.building import School

SNAPSHOT: Final = Path(__file__).parent / "graph_snapshot.txt"
RENEW: Final = "python -m seq_assets_tests.assets.test_graph"


def bundled_graph() -> dg.Definitions:
    """The graph over the bundled models; nothing of it is run, so its home need not exist."""
    return build_definitions(Environment("local", Path("home"), bundled_models_folder(), "seq_assets_local"))


def describe(definitions: dg.Definitions) -> str:
    """A graph as text: all that people and scripts see of it before anything runs."""
    graph = definitions.resolve_asset_graph()
    lines = [line for key in sorted(graph.get_all_asset_keys()) for line in _asset(graph, graph.get(key))]
    for job in sorted(definitions.resolve_all_job_defs(), key=lambda job: job.name):
        lines += _job(job)
    for schedule in definitions.schedules or ():
        assert isinstance(schedule, dg.ScheduleDefinition)
        lines += [f"schedule {schedule.name}", f"  {_first_sentence(schedule.description)}"]
        lines += [f"  at: {schedule.cron_schedule} {schedule.execution_timezone}", f"  job: {schedule.job_name}", ""]
    for sensor in definitions.sensors or ():
        lines += [f"sensor {sensor.name}", f"  {_first_sentence(sensor.description)}"]
        lines += [f"  jobs: {', '.join(target.job_name for target in sensor.targets)}", ""]
    return "\n".join([*lines, f"resources: {', '.join(sorted(definitions.resources or {}))}"]) + "\n"


def _asset(graph: AssetGraph, node: AssetNode) -> Iterator[str]:
    yield f"asset {node.key.to_user_string()}"
    yield f"  {_first_sentence(node.description)}"
    yield f"  group: {node.group_name}"
    yield f"  owners: {', '.join(node.owners) or 'none in common'}"
    yield f"  kinds: {', '.join(sorted(node.kinds))}"
    tags = {name: value for name, value in node.tags.items() if not name.startswith("dagster/kind/")}
    yield f"  tags: {', '.join(f'{name}={value}' for name, value in sorted(tags.items()))}"
    yield f"  partitions: {', '.join(_keys(node.partitions_def))}"
    yield f"  code version: {node.code_version}"
    yield f"  pools: {', '.join(sorted(node.pools or ()))}"
    policy = node.backfill_policy
    yield f"  backfill: {policy.policy_type.name.lower() if policy else 'no policy'}"
    others = sorted(key.to_user_string() for key in node.execution_set_asset_keys - {node.key})
    yield f"  made with: {', '.join(others) or 'no other'}"
    for parent in sorted(node.parent_keys):
        mapping = node.partition_mappings.get(parent)
        yield f"  reads {parent.to_user_string()}, by {type(mapping).__name__ if mapping else 'the default mapping'}"
    for key in sorted(node.check_keys, key=lambda key: key.name):
        check = graph.get(key)
        yield f"  check {key.name}{' (blocking)' if check.blocking else ''}, by {_partitions(check.partitions_def)}"
        yield f"    {_first_sentence(check.description)}"
    yield ""


def _job(job: dg.JobDefinition) -> Iterator[str]:
    if job.name.startswith("__"):
        return
    yield f"job {job.name}"
    yield f"  {_first_sentence(job.description)}"
    yield f"  partitions: {_partitions(job.partitions_def)}"
    yield f"  assets: {', '.join(sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys))}"
    yield f"  checks: {len(job.asset_layer.asset_graph.asset_check_keys)}"
    yield ""


def _first_sentence(text: str | None) -> str:
    return f"{text.split('. ', maxsplit=1)[0].rstrip('.')}." if text else "no description"


def _keys(partitions: dg.PartitionsDefinition | None) -> list[str]:
    return list(partitions.get_partition_keys()) if partitions else []


def _partitions(partitions: dg.PartitionsDefinition | None) -> str:
    return f"{len(_keys(partitions))} partitions"


def test_a_broken_model_file_is_named_on_the_page_of_raw_observations(tmp_path: Path) -> None:
    school = School(tmp_path)
    school.add_model("dkt")
    school.add_file("broken")
    graph = school.definitions().resolve_asset_graph()
    description = str(graph.get(RAW_KEY).description)
    assert "**Broken model files, whose partitions fail:**\n- " in description
    assert f"- {school.models_folder / 'broken.yaml'}: sourc: found an unknown field" in description
    (school.models_folder / "broken.yaml").unlink()
    os.mkfifo(school.models_folder / "pipe.yaml")
    graph = school.definitions().resolve_asset_graph()
    assert "pipe.yaml: found a named pipe (FIFO)" in str(graph.get(RAW_KEY).description)
    (school.models_folder / "pipe.yaml").unlink()
    assert "Broken" not in str(school.definitions().resolve_asset_graph().get(RAW_KEY).description)


def test_the_assets_have_an_owner_where_all_models_have_that_one(tmp_path: Path) -> None:
    school = School(tmp_path)
    school.add_model("dkt", owner="team:learning")
    school.add_model("sakt", owner="team:learning")
    assert owners(school) == {("team:learning",)}
    school.add_model("irt", owner="team:assessment")
    assert owners(school) == {()}, "an asset's owners would be shown on every partition"
    school.add_model("irt", owner=None)
    assert owners(school) == {()}


def owners(school: School) -> set[tuple[str, ...]]:
    """The owners of the assets."""
    graph = school.definitions().resolve_asset_graph()
    return {tuple(graph.get(key).owners) for key in graph.get_all_asset_keys()}


def test_what_explains_the_metadata_of_an_asset_is_in_its_own_metadata() -> None:
    graph = bundled_graph().resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        assert graph.get(key).metadata["docs"] == dg.MetadataValue.md(glossary())


def test_the_launchpad_explains_what_a_run_can_be_told() -> None:
    for name in ("raw_observations", "sequenced_train", "sequenced_validation"):
        op = bundled_graph().resolve_assets_def(name).node_def
        assert isinstance(op, dg.OpDefinition)
        shape = op.config_schema.config_type
        assert isinstance(shape, dg.Shape)
        force = shape.fields["force"]
        assert (force.is_required, force.default_value) == (False, False)
        assert str(force.description).startswith("Build even where source, model file and raw version are those of")


def test_the_graph_is_the_one_in_the_snapshot() -> None:
    assert describe(bundled_graph()) == SNAPSHOT.read_text(encoding="utf-8"), f"If the change is meant, renew it: {RENEW}"


if __name__ == "__main__":
    SNAPSHOT.write_text(describe(bundled_graph()), encoding="utf-8")
    print(f"{SNAPSHOT} is renewed; read its difference.")
