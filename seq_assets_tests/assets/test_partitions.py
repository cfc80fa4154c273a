"""The grid's keys, and the ranges of it that hold just what a model declares."""

import time
from itertools import combinations
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from hypothesis import given
from hypothesis import strategies as st

from seq_assets.assets.partitions import Grid
from seq_assets.errors import SettingsError
from seq_assets.io_managers.partition_keys import cell_key
from seq_assets.models import ModelRegistry, ModelSpec
from seq_assets_tests.assets.building import School

LENGTHS = st.sets(st.integers(1, 10_000), min_size=1, max_size=8)


def spec(name: str, lengths: set[int]) -> ModelSpec:
    """A model that differs from others in its lengths only."""
    return ModelSpec.model_validate(
        {
            "name": name,
            "source": {"location": "answers.csv"},
            "entity": "pupil",
            "columns": {"pupil": {"type": "int64"}},
            "features": {"pupil": {"pad_value": -1}},
            "sequence_lengths": sorted(lengths),
        }
    )


def grid_of(**lengths: set[int]) -> Grid:
    """The grid of models with these lengths."""
    specs = {name: spec(name, chosen) for name, chosen in lengths.items()}
    return Grid(ModelRegistry(specs, {}, {name: Path(f"{name}.yaml") for name in specs}), "local")


def keys_in(grid: Grid, ranges: list[tuple[str, str]]) -> list[str]:
    """The keys that Dagster takes from ranges."""
    return [key for first, last in ranges for key in grid.cells.get_partition_keys_in_range(dg.PartitionKeyRange(first, last))]


def fewest_ranges(everything: list[str], wanted: set[str]) -> int:
    """The least number of stretches of a list that hold the wanted elements and no other, by trying all of them."""
    stretches = [
        set(everything[first:last])
        for first, last in combinations(range(len(everything) + 1), 2)
        if set(everything[first:last]) <= wanted
    ]
    return next(
        count
        for count in range(len(wanted) + 1)
        if any(set().union(*chosen) == wanted for chosen in combinations(stretches, count))
    )


@given(st.data())
def test_cell_ranges_hold_the_asked_cells_and_no_other_in_the_fewest_ranges(data: st.DataObject) -> None:
    grid = grid_of(first=data.draw(LENGTHS), second=data.draw(LENGTHS))
    cells = list(grid.cells.get_partition_keys())
    asked = data.draw(st.sets(st.sampled_from(cells)))

    ranges = grid.cell_ranges(asked)

    assert [key for keys in ranges for key in keys] == [key for key in cells if key in asked]
    assert keys_in(grid, [(keys[0], keys[-1]) for keys in ranges]) == [key for keys in ranges for key in keys]
    if len(cells) <= 8:
        assert len(ranges) == fewest_ranges(cells, asked)


def test_the_cells_of_a_model_are_one_range_whatever_lengths_others_have() -> None:
    grid = grid_of(mine={5, 10, 50, 100}, other={20})
    assert grid.cell_ranges(grid.cells_of("mine")) == [["mine|5", "mine|10", "mine|50", "mine|100"]]


def test_all_cells_are_one_range() -> None:
    grid = grid_of(first={5, 100}, second={20}, third={1})
    assert grid.cell_ranges(grid.cells.get_partition_keys()) == [["first|5", "first|100", "second|20", "third|1"]]


def test_what_is_no_cell_is_in_no_range() -> None:
    assert grid_of(mine={5}).cell_ranges(["mine|6", "other|5"]) == []


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), LENGTHS, min_size=1))
def test_the_cells_are_what_models_declare_model_by_model_with_ascending_lengths(lengths: dict[str, set[int]]) -> None:
    declared = [(model, length) for model in sorted(lengths) for length in sorted(lengths[model])]
    assert list(grid_of(**lengths).cells.get_partition_keys()) == [cell_key(*cell) for cell in declared]


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # of the partition mapping
def test_a_cell_reads_the_raw_observations_of_its_model_and_these_lead_to_all_its_cells() -> None:
    grid = grid_of(first={5, 10}, second={50})
    upstream = grid.model_to_cells.get_upstream_mapped_partitions_result_for_partitions(
        DefaultPartitionsSubset({"first|5", "first|10"}), grid.cells, grid.models
    )
    assert set(upstream.partitions_subset.get_partition_keys()) == {"first"}
    assert not upstream.required_but_nonexistent_subset.get_partition_keys()
    downstream = grid.model_to_cells.get_downstream_partitions_for_partitions(
        DefaultPartitionsSubset({"first"}), grid.models, grid.cells
    )
    assert set(downstream.get_partition_keys()) == {"first|5", "first|10"}


def test_broken_and_raw_models_have_a_partition_and_no_cell(school: School) -> None:
    school.add_model("good", [5])
    school.add_model("raw", [])
    school.add_file("broken")
    grid = school.grid()
    assert list(grid.models.get_partition_keys()) == ["broken", "good", "raw"]
    assert list(grid.cells.get_partition_keys()) == ["good|5"]
    dg.Definitions.validate_loadable(school.definitions())


@pytest.mark.parametrize("stem", ["we|ird", "[a]", "a,b", "a...b", "Ünï", "två ord"])
def test_a_broken_file_of_any_name_gets_a_key_that_dagster_takes(school: School, stem: str) -> None:
    school.add_model("good", [5])
    school.add_file(stem)
    keys = list(school.grid().models.get_partition_keys())
    assert len(keys) == 2
    dg.Definitions.validate_loadable(school.definitions())


def test_a_graph_of_raw_models_alone_has_no_cells_and_loads(school: School) -> None:
    school.add_model("raw", [])
    dg.Definitions.validate_loadable(school.definitions())
    assert not school.grid().cells.get_partition_keys()


def test_a_folder_without_model_files_is_an_error_that_names_it(school: School) -> None:
    with pytest.raises(SettingsError) as error:
        school.definitions()
    assert str(school.models_folder) in str(error.value)
    assert "SEQ_ASSETS_MODELS" in str(error.value)


def test_fifty_models_of_eight_lengths_load_in_no_time(school: School) -> None:
    for number in range(50):
        school.add_model(f"m{number:02}", range(10, 90, 10))
    began = time.process_time()
    repository = school.definitions().get_repository_def()
    keys = {key.to_user_string(): repository.asset_graph.get(key) for key in repository.asset_graph.get_all_asset_keys()}
    loaded = time.process_time() - began
    partitions = keys["sequenced_train"].partitions_def
    assert partitions is not None
    assert len(partitions.get_partition_keys()) == 400
    assert loaded < 2, "a tenth of it is usual"
