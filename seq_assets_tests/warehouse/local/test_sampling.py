"""A look at the first records of a source: they are those of the files, in their order, and no more is read."""

import pytest

from seq_assets.errors import SourceError
from seq_assets.warehouse.interface import SourceSample
from seq_assets_tests.warehouse.building import Workspace

HEADER = "pupil,time,item\n"


def sample_of(workspace: Workspace, location: str, most_records: int = 100) -> SourceSample:
    """What a look at the first records says."""
    spec = workspace.model(source={"location": location})
    return workspace.warehouse.sample_source(workspace.ingest_plan(spec), most_records)


def counted(sample: SourceSample) -> tuple[int, dict[str, int]]:
    """The records of a sample, and those rejected by reason."""
    assert sample.accounting is not None
    return sample.accounting.read, dict(sample.accounting.rejected_by_reason)


def test_malformed_records_further_on_are_not_among_the_first(workspace: Workspace) -> None:
    workspace.write("source.csv", HEADER + "1,2,3\n" * 1_000 + "1,2\n" * 1_000)
    assert counted(sample_of(workspace, "source.csv")) == (100, {})


def test_malformed_records_at_the_beginning_are(workspace: Workspace) -> None:
    workspace.write("source.csv", HEADER + "1,2\n" * 30 + "1,2,3\n" * 1_000)
    assert counted(sample_of(workspace, "source.csv")) == (100, {"malformed": 30})


def test_a_source_of_malformed_records_alone_is_looked_at(workspace: Workspace) -> None:
    workspace.write("source.csv", HEADER + "1,2\n" * 300)
    assert counted(sample_of(workspace, "source.csv")) == (100, {"malformed": 100})


@pytest.mark.parametrize("first", ["a", "b"])
def test_files_after_the_first_records_are_not_opened(workspace: Workspace, first: str) -> None:
    for name in "ab":
        broken = "pupil\n" if name != first else HEADER
        workspace.write(f"days/{name}.csv", broken + "1,2,3\n" * 100)
    if first == "a":
        sample = sample_of(workspace, "days")
        assert (counted(sample), sample.described) == ((100, {}), "2 files (csv)")
    else:
        with pytest.raises(SourceError, match="has no column"):
            sample_of(workspace, "days")


def test_files_of_neither_subset_are_refused_before_any_is_read(workspace: Workspace) -> None:
    workspace.write("days/a.csv", HEADER + "1,2,3\n")
    spec = workspace.model(source={"location": "days"}, split={"strategy": "location"})
    with pytest.raises(SourceError, match="allowed: files below train/ and validation/ only"):
        workspace.warehouse.sample_source(workspace.ingest_plan(spec), 100)


def test_subsets_by_location_are_accounted_for(workspace: Workspace) -> None:
    workspace.write("days/train/a.csv", HEADER + "1,2,3\n")
    workspace.write("days/validation/a.csv", HEADER + "1,2,3\n2,3,4\n")
    spec = workspace.model(source={"location": "days"}, split={"strategy": "location"})
    accounting = workspace.warehouse.sample_source(workspace.ingest_plan(spec), 100).accounting
    assert accounting is not None
    assert (accounting.train, accounting.validation) == (1, 2)
