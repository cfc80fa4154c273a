"""How many queries production takes, each of which costs a second and ten megabytes; `docs/production.md` has these numbers.

What stands in the history is asserted query by query, so that one more is seen at once.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest

from seq_assets.environments import current_environment
from seq_assets.models import ModelSpec
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.athena.test_glue_tables import ANSWERS, MODEL, hive_table, model, put
from seq_assets_tests.warehouse.building import Workspace

pytestmark = pytest.mark.athena

MOST_PER_INGEST: Final = 12
MOST_PER_LENGTH: Final = 5

WITHOUT_VOCABULARY: Final = {"item": {"pad_value": -1, "fill_null": 0}}
WITH_VOCABULARY: Final = {"score": {"pad_value": -1}, "name": {"encode": "vocabulary"}, "passed": {"encode": "vocabulary"}}

AUDIT: Final = "contract, nothing_lost, no_leakage"
FILES: Final = "accounting, counts of columns"
TABLE: Final = "accounting, records of the source, ties, counts of columns"
ROWS: Final = ["train rows", "validation rows", "rejected rows"]
VALUES: Final = ["values", "values for the audit"]

_SAID: Final = re.compile(r"(?:UNLOAD \()?/\* (\w+): ([\w, ]+) \*/ ")


@pytest.fixture
def workspace(production: AthenaClient, tmp_path: Path) -> Workspace:
    """An empty database of production, and a folder of model files."""
    folder = tmp_path / "models"
    folder.mkdir()
    return Workspace(folder, current_environment().warehouse())


@contextmanager
def history() -> Iterator[list[tuple[str, str]]]:
    """What the queries that are started meanwhile say of themselves: which table they are about, and what they are for."""
    from seq_assets_tests.athena.api import AthenaApi

    said: list[tuple[str, str]] = []
    answer = AthenaApi.answer

    def noted(self: Any, operation: str, body: bytes, *arguments: Any) -> Any:
        if operation == "StartQueryExecution":
            found = _SAID.match(json.loads(body)["QueryString"])
            assert found is not None, f"a query that does not say what it is for: {body.decode()[:200]}"
            said.append((found[1], found[2]))
        return answer(self, operation, body, *arguments)

    with patch.object(AthenaApi, "answer", noted):
        yield said


def purposes(said: list[tuple[str, str]], *tables: str) -> list[str]:
    """What the queries are for, which are about these tables alone."""
    assert {table for table, _ in said} == set(tables)
    return [purpose for _, purpose in said]


def spec_of(workspace: Workspace, athena: AthenaClient, kind: str, features: Any, is_rejecting: bool) -> ModelSpec:
    """A model with seven columns on a table of 40 rows, or on the file of it; one row is rejected, or none."""
    location = hive_table(athena) if kind == "table" else f"{athena.folder}/answers/"
    put(athena, "answers/part.parquet", ANSWERS, use_deprecated_int96_timestamps=True)
    item = {"type": "int16", "nullable": not is_rejecting}
    fields = {"features": features, "columns": {**MODEL["columns"], "item": item}, "sequence_lengths": [4, 8]}
    return model(workspace, location, **fields)


@pytest.mark.parametrize(
    ("kind", "features", "is_rejecting", "expected"),
    [
        ("files", WITHOUT_VOCABULARY, False, ["stage", FILES, *ROWS, AUDIT, "well_formed", "moments, labels"]),
        (
            "files",
            WITH_VOCABULARY,
            True,
            ["stage", FILES, *ROWS, AUDIT, "first rejected", "well_formed", "moments, labels", *VALUES],
        ),
        ("table", WITHOUT_VOCABULARY, False, ["stage", TABLE, *ROWS, AUDIT, "well_formed", "moments, labels"]),
        (
            "table",
            WITH_VOCABULARY,
            True,
            ["stage", TABLE, *ROWS, AUDIT, "first rejected", "well_formed", "moments, labels", *VALUES],
        ),
    ],
    ids=["files", "files, vocabulary, rejected rows", "table", "table, vocabulary, rejected rows"],
)
def test_the_queries_of_an_ingest(
    production: AthenaClient, workspace: Workspace, kind: str, features: Any, is_rejecting: bool, expected: list[str]
) -> None:
    spec = spec_of(workspace, production, kind, features, is_rejecting)
    with history() as said:
        published = workspace.ingest(spec).version
    tables = ["plain_raw_observations", *(["plain_vocabulary"] if spec.encoded else [])]
    assert purposes(said, *tables) == expected
    assert len(said) <= MOST_PER_INGEST
    assert published.rows == 40 - is_rejecting
    remembered = [": ".join(one) for one in said if one[1] != "values for the audit"]
    assert published.metadata["athena"]["purposes"] == remembered

    with history() as said:
        assert workspace.ingest(spec).unchanged
    assert said == []


def test_the_queries_of_the_sequences_of_one_subset_and_length(production: AthenaClient, workspace: Workspace) -> None:
    spec = spec_of(workspace, production, "files", WITH_VOCABULARY, is_rejecting=True)
    workspace.ingest(spec)
    with history() as first:
        published = workspace.sequence(spec, "train", 4).version
    audit = ["accounting, no_leakage, well_formed", "nothing_lost"]
    assert purposes([one for one in first if one[0] != "plain_raw_observations"], "plain_sequenced_train_4") == [
        "sequences",
        *audit,
    ]
    assert [one for one in first if one[0] == "plain_raw_observations"] == [("plain_raw_observations", "lengths of histories")]
    assert len(first) <= MOST_PER_LENGTH
    assert published.metadata["athena"]["purposes"] == [": ".join(one) for one in first]

    with history() as further:
        workspace.sequence(spec, "train", 8)
    assert purposes(further, "plain_sequenced_train_8") == ["sequences", *audit], "lengths of histories are known by then"


def test_the_queries_of_the_checks_of_what_is_published(production: AthenaClient, workspace: Workspace) -> None:
    spec = spec_of(workspace, production, "files", WITHOUT_VOCABULARY, is_rejecting=False)
    raw = workspace.ingest(spec).version
    sequences = workspace.sequence(spec, "train", 4).version
    with history() as said:
        assert all(not finding.problems for finding in workspace.warehouse.inspect(raw))
    assert purposes(said, "plain_raw_observations") == [AUDIT, "well_formed"]
    with history() as said:
        assert all(not finding.problems for finding in workspace.warehouse.inspect(sequences))
    assert purposes(said, "plain_sequenced_train_4") == ["nothing_lost", "no_leakage, well_formed"]
