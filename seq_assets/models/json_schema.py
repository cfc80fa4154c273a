"""The JSON Schema of a model file, for editors: `python -m seq_assets.models.json_schema` writes it beside this module."""

import json
from pathlib import Path

from seq_assets.models.spec import ModelSpec

SCHEMA_FILE = Path(__file__).parent / "model.schema.json"


def model_json_schema() -> str:
    """The schema as JSON text."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | ModelSpec.model_json_schema(by_alias=True)
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(model_json_schema(), encoding="utf-8")
