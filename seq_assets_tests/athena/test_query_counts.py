"""How many queries production takes, each of which costs a second and ten megabytes, and how often it waits for them.

What stands in the history is asserted query by query, so that one more is seen at once; `docs/production.md` has the numbers.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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

AUDIT: Final = ["contract, nothing_lost, no_leakage", "well_formed"]
METRICS: Final = "moments, labels"
FILES: Final = "accounting, counts of columns"
TABLE: Final = "accounting, records of the source, ties, counts of columns"
ROWS: Final = ["train rows", "validation rows", "rejected rows"]
WITH_ALL: Final = ["values", "first rejected", "values for the audit"]

_SAID: Final = re.compile(r"(?:UNLOAD \()?/\* (\w+): ([\w, ]+) \*/ ")


@pytest.fixture
def workspace(production: AthenaClient, tmp_path: Path) -> Workspace:
    """An empty database of production, and a folder of model files."""
    folder = tmp_path / "models"
    folder.mkdir()
    return Workspace(folder, current_environment().warehouse())


@dataclass
class History:
    """What the queries of some time say of themselves, in the order in which they were started.

    Attributes:
        said: Which table each is about, and what it is for.
        rounds: How many were started each time before anybody waited for the last of them.
    """

    said: list[tuple[str, str]] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    running: set[str] = field(default_factory=set)

    def started(self, sql: str, query_id: str) -> None:
        found = _SAID.match(sql)
        assert found is not None, f"a query that does not say what it is for: {sql[:200]}"
        self.said.append((found[1], found[2]))
        if not self.running:
            self.rounds.append(0)
        self.rounds[-1] += 1
        self.running.add(query_id)

    def purposes(self, *tables: str) -> list[str]:
        """What the queries are for, which are about these tables alone."""
        assert {table for table, _ in self.said} == set(tables)
        return [purpose for _, purpose in self.said]


@contextmanager
def history() -> Iterator[History]:
    """What is asked of Athena meanwhile."""
    from seq_assets_tests.athena.api import AthenaApi

    found = History()
    answer = AthenaApi.answer

    def noted(self: Any, operation: str, body: bytes, *arguments: Any) -> Any:
        status, content = answer(self, operation, body, *arguments)
        if operation == "StartQueryExecution":
            found.started(json.loads(body)["QueryString"], content["QueryExecutionId"])
        elif operation == "GetQueryExecution" and content["QueryExecution"]["Status"]["State"] == "SUCCEEDED":
            found.running.discard(content["QueryExecution"]["QueryExecutionId"])
        return status, content

    with patch.object(AthenaApi, "answer", noted):
        yield found


def spec_of(workspace: Workspace, athena: AthenaClient, kind: str, features: Any, is_rejecting: bool) -> ModelSpec:
    """A model with seven columns on a table of 40 rows, or on the file of it; one row is rejected, or none."""
    location = hive_table(athena) if kind == "table" else f"{athena.folder}/answers/"
    put(athena, "answers/part.parquet", ANSWERS, use_deprecated_int96_timestamps=True)
    item = {"type": "int16", "nullable": not is_rejecting}
    fields = {"features": features, "columns": {**MODEL["columns"], "item": item}, "sequence_lengths": [4, 8]}
    return model(workspace, location, **fields)


@pytest.mark.parametrize(
    ("kind", "features", "is_rejecting", "expected", "rounds"),
    [
        ("files", WITHOUT_VOCABULARY, False, ["stage", FILES, *ROWS, *AUDIT, METRICS], [1, 4, 3]),
        ("files", WITH_VOCABULARY, True, ["stage", FILES, *ROWS, *AUDIT, METRICS, *WITH_ALL], [1, 4, 4, 1, 1]),
        ("table", WITHOUT_VOCABULARY, False, ["stage", TABLE, *ROWS, *AUDIT, METRICS], [1, 4, 3]),
        ("table", WITH_VOCABULARY, True, ["stage", TABLE, *ROWS, *AUDIT, METRICS, *WITH_ALL], [1, 4, 4, 1, 1]),
    ],
    ids=["files", "files, vocabulary, rejected rows", "table", "table, vocabulary, rejected rows"],
)
def test_the_queries_of_an_ingest(
    production: AthenaClient,
    workspace: Workspace,
    kind: str,
    features: Any,
    is_rejecting: bool,
    expected: list[str],
    rounds: list[int],
) -> None:
    spec = spec_of(workspace, production, kind, features, is_rejecting)
    with history() as asked:
        published = workspace.ingest(spec).version
    tables = ["plain_raw_observations", *(["plain_vocabulary"] if spec.encoded else [])]
    assert asked.purposes(*tables) == expected
    assert asked.rounds == rounds
    assert len(expected) <= MOST_PER_INGEST
    assert published.rows == 40 - is_rejecting
    remembered = [": ".join(one) for one in asked.said if one[1] != "values for the audit"]
    assert sorted(published.metadata["athena"]["purposes"]) == sorted(remembered)

    with history() as asked:
        assert workspace.ingest(spec).unchanged
    assert asked.said == []


def test_the_queries_of_the_sequences_of_one_subset_and_length(production: AthenaClient, workspace: Workspace) -> None:
    spec = spec_of(workspace, production, "files", WITH_VOCABULARY, is_rejecting=True)
    workspace.ingest(spec)
    audit = ["nothing_lost", "accounting, no_leakage, well_formed"]
    with history() as first:
        published = workspace.sequence(spec, "train", 4).version
    assert first.purposes("plain_raw_observations", "plain_sequenced_train_4") == ["sequences", "lengths of histories", *audit]
    assert first.rounds == [1, 1, 2]
    assert len(first.said) <= MOST_PER_LENGTH
    assert sorted(published.metadata["athena"]["purposes"]) == sorted(": ".join(one) for one in first.said)

    with history() as further:
        workspace.sequence(spec, "train", 8)
    assert further.purposes("plain_sequenced_train_8") == ["sequences", *audit], "lengths of histories are known by then"
    assert further.rounds == [1, 2]


def test_the_queries_of_the_checks_of_what_is_published(production: AthenaClient, workspace: Workspace) -> None:
    spec = spec_of(workspace, production, "files", WITHOUT_VOCABULARY, is_rejecting=False)
    raw = workspace.ingest(spec).version
    sequences = workspace.sequence(spec, "train", 4).version
    with history() as asked:
        assert all(not finding.problems for finding in workspace.warehouse.inspect(raw))
    assert (asked.purposes("plain_raw_observations"), asked.rounds) == (AUDIT, [2])
    with history() as asked:
        assert all(not finding.problems for finding in workspace.warehouse.inspect(sequences))
    expected = ["nothing_lost", "no_leakage, well_formed"]
    assert (asked.purposes("plain_sequenced_train_4"), asked.rounds) == (expected, [2])
