"""The contract's SQL on the real engine: records become what the reference says, and the audit finds what is wrong."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq_assets.models import SUBSETS, ColumnType, ModelSpec, parse_model
from seq_assets.sequencing.accounting import IngestAccounting
from seq_assets.sequencing.schemas import REJECTED_SCHEMA, raw_schema
from seq_assets.warehouse.athena.audit_raw import raw_checks
from seq_assets.warehouse.athena.casts import Carrier
from seq_assets.warehouse.athena.client import AthenaClient
from seq_assets.warehouse.athena.ingest_sql import (
    MEASURES,
    accounting_of,
    accounting_question,
    raw_query,
    rejected_query,
    stage_query,
    ties_question,
)
from seq_assets.warehouse.athena.queries import AthenaQueries, found_by
from seq_assets.warehouse.athena.sql import quoted, text_literal
from seq_assets.warehouse.rules.metrics import ColumnMetrics, count_questions
from seq_assets.warehouse.rules.questions import only_rows
from seq_assets_tests.athena import fixtures
from seq_assets_tests.athena.test_client import client_of
from seq_assets_tests.athena.values import values_table
from seq_assets_tests.reference import examples
from seq_assets_tests.reference.contract import stands_for
from seq_assets_tests.reference.files import Record
from seq_assets_tests.reference.pipeline import Ingested, ingest
from seq_assets_tests.reference_cases.contracts import contracts
from seq_assets_tests.reference_cases.sources import Shape

pytestmark = pytest.mark.athena

PATIENT = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)
Row = dict[str, Any]


def spec_of(content: Mapping[str, Any]) -> ModelSpec:
    named = {"name": "m", "source": {"location": "x.csv"}} | dict(content)
    return parse_model(yaml.safe_dump(named, sort_keys=False, allow_unicode=True), "m.yaml")


# Any contract and any records


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, list[Record]]]:
    """A model file and the records of its source."""
    contract = draw(contracts())
    names = ["train/b", "validation/é", "validation/a"]
    shape = Shape(contract, dict.fromkeys(names, 25), draw(st.sampled_from([0.0, 0.02, 0.1])), draw(st.randoms()))
    files = {name: [_record(shape, number) for number in range(1, 26)] for name in names}
    return contract.content, files


def _record(shape: Shape, number: int) -> Record:
    if shape.generator.random() < 0.02:
        return Record(number, malformed="it's, malformed")
    texts = {shape.source(name): shape.text(name) for name in shape.columns}
    return Record(number, {name: None if text in ("", "NA") else text for name, text in texts.items()})


def records_of(spec: ModelSpec, files: Mapping[str, Sequence[Record]]) -> str:
    """The records as the reader brings them."""
    rows = []
    for index, name in enumerate(sorted(files, key=str.encode)):
        for record in files[name]:
            detail = None if record.malformed is None else f"what is wrong with {record.number}"
            texts = [
                record.malformed,
                detail,
                *(record.values.get(str(column.from_ or key)) for key, column in spec.columns.items()),
            ]
            shown = ", ".join("CAST(NULL AS varchar)" if text is None else text_literal(text) for text in texts)
            rows.append(f"({index}, {text_literal(name)}, BIGINT '{record.number}', {shown})")
    columns = ", ".join(quoted(name) for name in spec.columns)
    return (
        f"(SELECT *, CAST(NULL AS varchar) AS _unreadable, CAST(NULL AS varchar) AS _too_long FROM (VALUES {', '.join(rows)}) "
        f"AS records(_file, _name, _row, _malformed, _detail, {columns}))"
    )


@settings(deadline=None, max_examples=examples(8), suppress_health_check=PATIENT)
@given(case=cases())
def test_any_records_become_what_the_reference_says(
    athena: fixtures.AthenaClient, case: tuple[dict[str, Any], dict[str, list[Record]]]
) -> None:
    content, files = case
    spec, expected = spec_of(content), ingest(content, files)
    client = client_of(athena)
    query = stage_query(spec, records_of(spec, files), dict.fromkeys(spec.columns, Carrier.TEXT), ())
    stage = f"(SELECT * FROM ({query}))"
    assert _raw(client, spec, stage) == _expected_raw(spec, expected)
    rejected = client.rows(f'SELECT * FROM ({rejected_query(stage)}) ORDER BY file, "row"')
    assert _rejected_keys(rejected) == _rejected_keys([vars(row) for row in expected.rejected])
    shown = {(row["file"], row["row"], row["column"]): row["value"] for row in rejected}
    assert all(stands_for(shown[row.file, row.row, row.column], row.value) for row in expected.rejected)
    for row in rejected:
        assert row["detail"] == (f"what is wrong with {row['row']}" if row["reason"] == "malformed" else None)
    [counted] = only_rows(AthenaQueries(client, "m"), [accounting_question(stage)])
    assert asdict(accounting_of(counted, expected.accounting["read"])) == expected.accounting


def _raw(client: AthenaClient, spec: ModelSpec, stage: str) -> list[str]:
    # A real is shown by fewer digits than it needs as a double.
    columns = [
        f"CAST({quoted(name)} AS double) AS {quoted(name)}" if column.type is ColumnType.FLOAT32 else quoted(name)
        for name, column in spec.columns.items()
    ]
    queries = [f"({raw_query(spec, stage, subset)})" for subset in SUBSETS]
    rows = client.rows(f"SELECT {', '.join(columns)}, subset, _file, _row, _position FROM ({' UNION ALL '.join(queries)})")
    return sorted(repr(list(row.values())) for row in rows)


def _expected_raw(spec: ModelSpec, expected: Ingested) -> list[str]:
    names = [*spec.columns, "subset", "_file", "_row", "_position"]
    return sorted(repr([row[name] for name in names]) for subset in SUBSETS for row in expected.rows[subset])


def _rejected_keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(repr([row[name] for name in ("file", "row", "column", "reason")]) for row in rows)


# What stands in the finished files

SPEC = spec_of(
    {
        "entity": "pupil",
        "order_by": ["time"],
        "columns": {
            "pupil": {"type": "int64"},
            "time": {"type": "timestamp"},
            "score": {"type": "float32", "nullable": True, "has_acceptable_percentage_of_nulls": 0.5, "is_lower_than": 9},
            "name": {"type": "string", "has_unique_values": True},
        },
        "split": {"strategy": "column", "column": "pupil", "train": [1, 2], "validation": [3]},
        "checks": {"rejected_ratio": {"max": 0.5}},
    }
)
RAW = raw_schema((name, column.type, column.nullable) for name, column in SPEC.columns.items())
ROWS: list[Row] = [
    {
        **{"pupil": pupil, "time": time, "score": 0.1 if time else None, "name": f"é{pupil}{time}"},
        **{"subset": "validation" if pupil == 3 else "train", "_file": "f", "_row": 10 * pupil + time, "_position": time},
    }
    for pupil in (1, 2, 3)
    for time in range(4)
]
REJECTED: list[Row] = [
    {"file": "f", "row": 2, "column": "name", "value": None, "detail": None, "reason": "null"},
    {"file": "f", "row": 2, "column": "time", "value": "x", "detail": None, "reason": "unreadable"},
    {"file": "é", "row": 1, "column": None, "value": "a,b", "detail": "1 field expected, 2 found", "reason": "malformed"},
]
ACCOUNTING = IngestAccounting(
    read=14, accepted=12, rejected=2, train=8, validation=4, rejected_by_reason={"malformed": 1, "unreadable": 1}
)


def queries_of(athena: fixtures.AthenaClient) -> AthenaQueries:
    return AthenaQueries(client_of(athena), "m_raw_observations")


def problems(
    athena: fixtures.AthenaClient,
    rows: Sequence[Row] = ROWS,
    accounting: IngestAccounting = ACCOUNTING,
    spec: ModelSpec = SPEC,
    source_has_positions: bool = True,
) -> dict[str, tuple[str, ...]]:
    raw, rejected = values_table(RAW, rows), values_table(REJECTED_SCHEMA, REJECTED)
    queries = queries_of(athena)
    findings = found_by(queries, raw_checks(queries, spec, raw, rejected, accounting, source_has_positions))
    assert [finding.check for finding in findings] == ["contract", "nothing_lost", "no_leakage", "well_formed"]
    return {finding.check: finding.problems for finding in findings if finding.problems}


def changed(index: int, **cells: Any) -> list[Row]:
    return [row | cells if number == index else row for number, row in enumerate(ROWS)]


def test_what_is_right_has_no_problems_and_the_first_rejected_are_in_the_order_of_source_and_contract(
    athena: fixtures.AthenaClient,
) -> None:
    raw, rejected = values_table(RAW, ROWS), values_table(REJECTED_SCHEMA, REJECTED)
    queries = queries_of(athena)
    findings = found_by(queries, raw_checks(queries, SPEC, raw, rejected, ACCOUNTING, True))
    assert [finding.problems for finding in findings] == [(), (), (), ()]
    assert str(findings[0].numbers["first_rejected"]).split("\n") == [
        "f, row 2, column 'time', value 'x': unreadable",
        "f, row 2, column 'name', value None: null",
        "é, row 1, 'a,b': malformed (1 field expected, 2 found)",
    ]


@pytest.mark.parametrize(
    ("rows", "check", "problem"),
    [
        (changed(0, time=None), "contract", "1 accepted rows break columns.time.nullable"),
        (changed(1, score=9.5), "contract", "1 accepted rows break columns.score.is_lower_than"),
        (changed(1, name="é10"), "contract", "1 accepted rows repeat a value (the first: 'é10')"),
        ([row | {"score": None} for row in ROWS], "contract", "found a share of 1; allowed: at most 0.5"),
        (ROWS[:-1], "nothing_lost", "validation: the files hold 3, the ingest counted 4"),
        (changed(1, _row=10), "nothing_lost", "records: the files hold 11, the ingest counted 12"),
        (changed(4, subset="validation"), "no_leakage", "1 observations are in the wrong subset"),
        (changed(1, time=0, _row=9), "well_formed", "1 rows are out of order"),
        (changed(3, _position=4), "well_formed", "1 rows have a wrong _position"),
    ],
)
def test_one_wrong_thing_is_found(athena: fixtures.AthenaClient, rows: list[Row], check: str, problem: str) -> None:
    assert any(problem in found for found in problems(athena, rows)[check])


def test_too_many_rejected_records_are_told_with_their_reasons(athena: fixtures.AthenaClient) -> None:
    strict = spec_of({**SPEC.model_dump(mode="json", by_alias=True, exclude_none=True), "checks": {}})
    (told,) = problems(athena, spec=strict)["contract"]
    assert "2 of 14 records were rejected (malformed 1, unreadable 1)" in told
    assert "  1 malformed: source.format" in told


def test_rows_of_a_table_may_tie_only_where_the_model_says_so(athena: fixtures.AthenaClient) -> None:
    tied = [row | {"_row": None, "time": min(row["time"], 2)} for row in ROWS]
    said = SPEC.model_copy(update={"ties": "any"})
    assert problems(athena, tied, source_has_positions=False) == {"well_formed": ("3 rows are out of order",)}
    assert problems(athena, tied, spec=said, source_has_positions=False) == {}
    stage = f"(SELECT *, CAST(NULL AS varchar) AS _rejections FROM {values_table(RAW, tied)})"
    assert only_rows(queries_of(athena), [ties_question(SPEC, stage)]) == [{"ties": 6}]


def test_lost_rows_of_a_table_are_found_without_positions(athena: fixtures.AthenaClient) -> None:
    many = replace(ACCOUNTING, read=17, rejected=5, rejected_by_reason={"malformed": 5})
    found = problems(athena, ROWS[1:], many, source_has_positions=False)["nothing_lost"]
    assert any("accepted: the files hold 11" in problem for problem in found)
    assert "rejected: the files hold 3 rows, the ingest counted 5 records" in found


def test_metrics_are_the_same_as_of_any_engine(athena: fixtures.AthenaClient) -> None:
    queries, rows = queries_of(athena), values_table(RAW, ROWS)
    metrics = ColumnMetrics(MEASURES, SPEC, rows, only_rows(queries, count_questions(MEASURES, SPEC, rows)))
    found = metrics.of(queries.answers(metrics.questions()))
    tenth = 0.10000000149011612
    assert found["score"] == {
        **{"count": 9, "unique": 1, "min": tenth, "max": tenth, "mean": tenth, "variance": 0.0, "standard_deviation": 0.0},
        "labels": {tenth: 9},
    }
    assert {**found["pupil"], "standard_deviation": 0} == {
        **{"count": 12, "unique": 3, "min": 1, "max": 3, "mean": 2.0, "variance": pytest.approx(8 / 11)},
        **{"standard_deviation": 0, "labels": {1: 4, 2: 4, 3: 4}},
    }
    assert json.loads(json.dumps(found["name"]))["unique"] == 12
