"""What `gc` does in production alone: leftovers in the Glue catalog, unfinished uploads, and the permissions it needs."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from seq_assets.environments import current_environment
from seq_assets.warehouse.athena.external_tables import ExternalTables
from seq_assets.warehouse.athena.warehouse import AthenaWarehouse
from seq_assets.warehouse.interface import Garbage
from seq_assets.warehouse.retention import Retention
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.athena.test_production_docs import allowed_by, recorded_actions
from seq_assets_tests.warehouse.building import let_time_pass

pytestmark = pytest.mark.athena


def collect(warehouse: AthenaWarehouse, later: timedelta) -> Garbage:
    return warehouse.collect_garbage(Retention(now=datetime.now(UTC) + later))


@pytest.fixture
def warehouse(production: AthenaClient) -> AthenaWarehouse:
    """That of the stack's place."""
    found = current_environment().warehouse()
    assert isinstance(found, AthenaWarehouse)
    return found


def make_scratch_table(glue: Any, database: str, folder: str) -> str:
    """As a killed process leaves one."""
    with ExternalTables(glue, database, are_left=True).over(folder, [("x", "int")]) as table:
        return table.rsplit(".", maxsplit=1)[-1].strip('"')


def test_scratch_of_the_catalog_goes_by_name_place_and_age_within_the_policies(
    warehouse: AthenaWarehouse, athena: AthenaClient
) -> None:
    glue, database, root = athena.glue, warehouse.cloud.database, warehouse.storage.root
    left = make_scratch_table(glue, database, f"{root}/scratch/{uuid.uuid4().hex}")
    of_others = make_scratch_table(glue, database, "s3://elsewhere/scratch/x")
    names = [f"{database}_sequence_{uuid.uuid4().hex}" for _ in range(2)]
    for name, folder in zip(names, (f"{root}/scratch/{names[0]}/t", "s3://elsewhere/x"), strict=True):
        glue.create_database(DatabaseInput={"Name": name})
        make_scratch_table(glue, name, folder)
    assert collect(warehouse, timedelta(0)) == Garbage(), "all of it is young"
    # What is as old as the lease of `gc` counts as made after it.
    let_time_pass(warehouse.storage)
    # The stack says of every upload that it was begun in 2010.
    client, key = athena.s3, f"{root.split('/', maxsplit=3)[3]}/plain_raw_observations/data/x"
    upload = client.create_multipart_upload(Bucket=warehouse.cloud.bucket, Key=key)["UploadId"]
    client.upload_part(Bucket=warehouse.cloud.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"1234567")
    with recorded_actions() as actions:
        found = collect(warehouse, timedelta(days=2))
    assert [(one.kind, one.number, one.bytes) for one in found.removed] == [
        ("scratch tables", 1, 0),
        ("scratch databases", 1, 0),
        ("unfinished uploads", 1, 7),
    ]
    tables = {table["Name"] for table in glue.get_tables(DatabaseName=database)["TableList"]}
    assert (left in tables, of_others in tables) == (False, True)
    there = {one["Name"] for page in glue.get_paginator("get_databases").paginate() for one in page["DatabaseList"]}
    assert [name in there for name in names] == [False, True]
    assert {"glue:GetDatabases", "glue:DeleteDatabase", "s3:AbortMultipartUpload"} <= actions, "all is recorded"
    assert actions - allowed_by("build.json") - allowed_by("gc.json") == set()
    assert collect(warehouse, timedelta(days=2)) == Garbage()
