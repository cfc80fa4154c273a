"""What somebody else deletes from Glue, before a run or in the midst of one: never a new history, and mended by `repair`."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from seq_assets.cli.commands import cli
from seq_assets.environments import current_environment
from seq_assets.errors import SeqAssetsError
from seq_assets_tests.athena.breaking import RAW, TRAIN, Place, Trials, applied, place_of

if TYPE_CHECKING:
    from seq_assets_tests.athena.stack import Stack

pytestmark = pytest.mark.athena


@pytest.fixture(scope="module")
def _place(athena_stack: "Stack", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place_of(athena_stack, "staging", tmp_path_factory.mktemp("gone")) as place:
        yield place


@pytest.fixture
def place(_place: Place) -> Iterator[Place]:
    """A place that is whole before each test."""
    with applied(_place.settings):
        yield _place


def delete_table(place: Place, table: str) -> None:
    """Deletes a table, of which the objects stay."""
    place.client.glue.delete_table(DatabaseName=place.settings["SEQ_ASSETS_DATABASE"], Name=table)


def delete_database(place: Place) -> None:
    """Deletes the database, with all of its tables."""
    place.client.glue.delete_database(Name=place.settings["SEQ_ASSETS_DATABASE"])


def ingest_while(place: Place, somebody: Callable[[], None]) -> None:
    """Ingests while somebody does something, once."""
    waiting = [somebody]

    def progress(stage: str, rows: int) -> None:
        if stage.startswith("sort and write") and waiting:
            waiting.pop()()

    current_environment().warehouse().execute(place.plan, force=True, progress=progress)


@pytest.mark.parametrize(
    ("somebody", "in_mid_run"),
    [
        (lambda place: delete_table(place, RAW.table), False),
        (lambda place: delete_table(place, RAW.table), True),
        (lambda place: delete_table(place, TRAIN.table), False),
        (delete_database, False),
        (delete_database, True),
    ],
    ids=["raw", "raw in mid-run", "sequences", "database", "database in mid-run"],
)
def test_what_is_deleted_from_glue_is_refused_and_repaired(
    place: Place, somebody: Callable[[Place], None], in_mid_run: bool
) -> None:
    before = {version.id for version in current_environment().warehouse().versions(RAW)}
    if in_mid_run:
        with pytest.raises(SeqAssetsError, match="seq-assets repair"):
            ingest_while(place, lambda: somebody(place))
    else:
        somebody(place)
        with pytest.raises(SeqAssetsError, match="seq-assets repair"):
            place.build()
    assert CliRunner().invoke(cli, ["repair"]).exit_code == 0
    trials = Trials(place)
    assert trials.attempt("the next run", lambda: None, place.build) is None
    assert set(trials.figures().values()) == {0}
    assert before < {version.id for version in current_environment().warehouse().versions(RAW)}


def test_a_table_of_another_kind_in_the_place_of_one_that_was_deleted_is_named_by_repair(place: Place) -> None:
    delete_table(place, TRAIN.table)
    place.client.glue.create_table(DatabaseName=place.settings["SEQ_ASSETS_DATABASE"], TableInput={"Name": TRAIN.table})
    refused = "has a table of one of our names that is none of Iceberg"
    result = CliRunner().invoke(cli, ["repair"])
    assert (result.exit_code, refused in result.stderr) == (1, True), result.stderr
    with pytest.raises(SeqAssetsError, match=refused):
        place.build()
    delete_table(place, TRAIN.table)
    assert CliRunner().invoke(cli, ["repair"]).exit_code == 0


def test_a_second_catalog_over_the_same_objects_begins_no_second_history(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another account, or as here another region, has a Glue of its own."""
    before = place.keys()
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with pytest.raises(SeqAssetsError, match=r"the catalog does not list .*seq-assets repair"):
        place.build()
    assert place.keys() == before
