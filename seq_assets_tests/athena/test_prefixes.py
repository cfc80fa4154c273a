"""Where tables are in a bucket: prefixes that look like partitions, and several environments below one."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seq_assets.environments import current_environment
from seq_assets.errors import ConflictError
from seq_assets_tests.athena.breaking import RAW, Place, applied, place_of, torn

if TYPE_CHECKING:
    from seq_assets_tests.athena.stack import Stack

pytestmark = pytest.mark.athena


def test_no_engine_takes_a_column_from_a_prefix_that_looks_like_a_partition(athena_stack: "Stack", tmp_path: Path) -> None:
    """Neither Athena's tables over files nor its own files: the items, and the subsets, are those of the source."""
    prefix = "item=9/subset=validation/pupil=3/sequence_size=1"
    with place_of(athena_stack, "prod", tmp_path, SEQ_ASSETS_PREFIX=prefix) as place:
        warehouse = current_environment().warehouse()
        raw = warehouse.find(RAW)
        assert raw.files[0].startswith(f"s3://{place.client.bucket}/{prefix}/")
        assert torn(warehouse) == ""
        found = place.client.rows(f'SELECT sum(item) FROM "{place.settings["SEQ_ASSETS_DATABASE"]}"."{RAW.table}"')
        assert found == [[str(sum(range(20)))]]


def objects_below(place: Place, prefix: str) -> dict[str, str]:
    """The objects below a prefix, with their ETags."""
    pages = place.client.s3.get_paginator("list_objects_v2").paginate(Bucket=place.client.bucket, Prefix=prefix)
    return {one["Key"]: one["ETag"] for page in pages for one in page.get("Contents", ())}


def test_environments_with_databases_of_their_own_share_a_prefix_without_harm(athena_stack: "Stack", tmp_path: Path) -> None:
    first_folder, second_folder = tmp_path / "first", tmp_path / "second"
    first_folder.mkdir()
    second_folder.mkdir()
    with place_of(athena_stack, "staging", first_folder) as first:
        prefix = first.settings["SEQ_ASSETS_PREFIX"]
        before = objects_below(first, f"{first.root}/")
        with place_of(athena_stack, "staging", second_folder, SEQ_ASSETS_PREFIX=prefix) as second:
            second.build()
            assert torn(current_environment().warehouse()) == ""
            with applied(first.settings):
                assert objects_below(first, f"{first.root}/") == before
                first.build()
                assert torn(current_environment().warehouse()) == ""
            assert torn(current_environment().warehouse()) == ""


def test_the_database_of_another_environment_is_refused_before_anything_is_written(
    athena_stack: "Stack", tmp_path: Path
) -> None:
    with place_of(athena_stack, "staging", tmp_path) as place:
        before = objects_below(place, f"{place.root}/")
        with applied({**place.settings, "SEQ_ASSETS_ENV": "prod"}):
            warehouse = current_environment().warehouse()
            with pytest.raises(ConflictError, match="the environment 'staging', not to 'prod'; set SEQ_ASSETS_DATABASE"):
                warehouse.execute(place.plan, force=True)
        assert objects_below(place, f"{place.root}/") == before


def test_a_table_of_somebody_else_that_has_one_of_our_names_is_refused_by_name(athena_stack: "Stack", tmp_path: Path) -> None:
    with place_of(athena_stack, "staging", tmp_path) as place:
        database = place.settings["SEQ_ASSETS_DATABASE"]
        place.client.glue.delete_table(DatabaseName=database, Name=RAW.table)
        columns = {"Columns": [{"Name": "x", "Type": "int"}], "Location": f"s3://{place.client.bucket}/elsewhere/"}
        table = {"Name": RAW.table, "TableType": "EXTERNAL_TABLE", "Parameters": {}, "StorageDescriptor": columns}
        place.client.glue.create_table(DatabaseName=database, TableInput=table)
        for work in (place.build, lambda: current_environment().warehouse().versions(RAW)):
            with pytest.raises(ConflictError, match=rf"{database} has a table of one of our names .*{RAW.table}"):
                work()
