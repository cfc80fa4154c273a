"""The JSON Schema that editors use."""

import json

from seq_assets.models import ModelSpec
from seq_assets.models.json_schema import SCHEMA_FILE, model_json_schema


def test_the_shipped_schema_is_current() -> None:
    remedy = "run `python -m seq_assets.models.json_schema`"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == model_json_schema(), remedy


def test_the_schema_knows_every_field_and_allows_no_other() -> None:
    schema = json.loads(model_json_schema())
    assert set(schema["properties"]) == set(ModelSpec.model_fields)
    parts = [schema, *(part for part in schema["$defs"].values() if part.get("type") == "object")]
    assert [part.get("additionalProperties") for part in parts] == [False] * len(parts)


def test_the_schema_names_fields_as_the_file_does() -> None:
    column = json.loads(model_json_schema())["$defs"]["ColumnSpec"]["properties"]
    assert "from" in column
    assert "from_" not in column
