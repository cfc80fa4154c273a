"""Generated models and sources: the local engine, the reference and Trino give the same, row for row.

`SEQ_ASSETS_TEST_SEED` repeats a run; its seed is printed with what was covered, and noted on every failure.
"""

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

from seq_assets.models import ModelSpec, Subset
from seq_assets.models.spec import WindowSpec
from seq_assets.sequencing.plans import SequencePlan
from seq_assets.sequencing.schemas import VOCABULARY_SCHEMA
from seq_assets.sequencing.windows import window_of
from seq_assets_tests.athena.fixtures import SHOWN_AT_THE_END, AthenaClient
from seq_assets_tests.athena.parity.comparing import (
    Side,
    assert_as_the_reference_says,
    assert_ingested_alike,
    assert_published_alike,
    cloud_side,
    exactly,
    kernel_sequences,
    local_side,
    trino_sequences,
)
from seq_assets_tests.athena.parity.dimensions import Coverage
from seq_assets_tests.athena.parity.generating import FEWEST_CASES, PlannedCase, PlannedSource, planned_sources
from seq_assets_tests.reference import Definition, accounting, histories, sequences
from seq_assets_tests.reference.pipeline import Ingested, definition_of, ingest
from seq_assets_tests.test_pipeline import assert_metrics

pytestmark = pytest.mark.athena

PARTS: Final = 6
IN_STAGING: Final = (0, 7, 14)
"""Staging computes as the local environment does, so that a few sources are enough."""
CASES_PER_QUERY: Final = 10
SMALLEST_HARD_SHARE: Final = 0.3


@cache
def seed() -> int:
    return int(os.environ.get("SEQ_ASSETS_TEST_SEED") or random.SystemRandom().randrange(2**32))


@cache
def sources() -> list[PlannedSource]:
    return planned_sources(seed())


@cache
def coverage() -> Coverage:
    """What this run has compared so far."""
    return Coverage()


@contextmanager
def noted(source: int, what: object) -> Iterator[None]:
    """Notes on a failure how to repeat it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"SEQ_ASSETS_TEST_SEED={seed()}, source {source}, {what}")
        raise


@pytest.mark.parametrize("part", range(PARTS))
def test_generated_cases_are_alike_everywhere(athena: AthenaClient, tmp_path: Path, part: int) -> None:
    local, production, staging = sides(athena, tmp_path)
    for number in range(part, len(sources()), PARTS):
        source, name = sources()[number], f"m{number}"
        source.write(tmp_path / "models" / name)
        model = {**source.model, "name": name, "source": {"location": name, **source.model["source"]}}
        expected = ingest(model, source.records)
        spec = local.workspace.model(**model)
        environments = [local, production] + [staging] * (number in IN_STAGING)
        with noted(number, source.values):
            definition = definition_of(model, spec.lengths[0], expected.vocabulary)
            assert_publications_are_alike(environments, spec, expected, definition, subset_of(source.cases[0]))
        generator = random.Random(f"{seed()} {number}")
        for start in range(0, len(source.cases), CASES_PER_QUERY):
            cases = source.cases[start : start + CASES_PER_QUERY]
            with noted(number, [case.values for case in cases]):
                assert_cases_are_alike(local, production, spec, model, expected, cases, generator)


def sides(athena: AthenaClient, folder: Path) -> tuple[Side, Side, Side]:
    """The three environments, on the same model files and sources."""
    (folder / "models").mkdir()
    return (
        local_side(folder / "models", folder / "home"),
        cloud_side("prod", folder / "models", athena),
        cloud_side("staging", folder / "models", athena),
    )


def assert_publications_are_alike(
    environments: Sequence[Side], spec: ModelSpec, expected: Ingested, definition: Definition, subset: Subset
) -> None:
    """Everything that an ingest publishes, and the sequences of the model file."""
    length, rows = definition.sequence_length, expected.rows[subset]
    for side in environments:
        with side.entered():
            raw = side.workspace.ingest(spec).version
            published = side.workspace.sequence(spec, subset, length).version
        assert_as_the_reference_says(side, spec, expected)
        for name, wanted in expected.metrics.items():
            assert_metrics(raw.metadata["metrics"][name], wanted)
        assert published.metadata["accounting"] == accounting(rows, definition)
        assert exactly(side.sequences(spec, subset, length).to_pylist()) == exactly(sequences(rows, definition))
    for other in environments[1:]:
        assert_ingested_alike(environments[0], other, spec)
        assert_published_alike(environments[0], other, spec, length, [subset])


def assert_cases_are_alike(
    local: Side,
    production: Side,
    spec: ModelSpec,
    model: Mapping[str, Any],
    expected: Ingested,
    cases: Sequence[PlannedCase],
    generator: random.Random,
) -> None:
    """The sequences of several cases on one raw version: of the kernel, of one query on Trino, of the reference."""
    vocabulary = pa.Table.from_pylist(list(expected.vocabulary), VOCABULARY_SCHEMA.stored())
    plans = [plan_of(case, spec, local) for case in cases]
    with production.entered():
        on_trino = trino_sequences(production, plans)
    for case, plan, found in zip(cases, plans, on_trino, strict=True):
        definition, rows = definition_of_case(case, model, expected), expected.rows[plan.subset]
        wanted = exactly(sequences(rows, definition))
        made, counted = kernel_sequences(local, plan, vocabulary, generator.choice([1, 2, 7, 1000]))
        assert exactly(made) == wanted, case
        assert asdict(counted) == accounting(rows, definition), case
        assert exactly(found) == wanted, case
        coverage().note(case.values, is_hard(spec, expected, plan))


def subset_of(case: PlannedCase) -> Subset:
    return "validation" if case.values["subset"] == "validation" else "train"


def plan_of(case: PlannedCase, spec: ModelSpec, side: Side) -> SequencePlan:
    plan = SequencePlan.of(spec, subset_of(case), 1, side.raw(spec).id)
    features = {feature.name: feature for feature in plan.features}
    return replace(
        plan,
        features=tuple(features[name] for name in case.features),
        window=window_of(WindowSpec.model_validate({"mode": case.values["window"], "stride": case.stride})),
        sequence_length=case.sequence_length,
        padding_side="left" if case.values["side"] == "left" else "right",
        min_length=case.min_length,
    )


def definition_of_case(case: PlannedCase, model: Mapping[str, Any], expected: Ingested) -> Definition:
    """The same in the words of the reference."""
    features = {name: model["features"][name] for name in case.features}
    window = {"mode": case.values["window"], "stride": case.stride}
    asked = {"features": features, "window": window, "padding": {"side": case.values["side"]}, "min_length": case.min_length}
    return definition_of({**model, **asked}, case.sequence_length, expected.vocabulary)


def is_hard(spec: ModelSpec, expected: Ingested, plan: SequencePlan) -> bool:
    """Whether the plan's rows have ties and a history longer than the sequence length, and their source has dirt."""
    found = histories(expected.rows[plan.subset], spec.entity).values()
    keys = [tuple(row[name] for name in (spec.entity, *spec.order_by)) for history in found for row in history]
    has_ties = bool(spec.order_by) and len(set(keys)) < len(keys)
    return has_ties and any(len(history) > plan.sequence_length for history in found) and bool(expected.rejected)


def test_every_pair_of_values_has_been_compared(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    found = coverage()
    if sum(item.name.startswith("test_generated_cases") for item in request.session.items) < PARTS:
        pytest.skip("only all parts together cover all pairs")
    record_property(SHOWN_AT_THE_END, f"SEQ_ASSETS_TEST_SEED={seed()}\n{found.table()}")
    assert found.cases >= FEWEST_CASES
    assert not found.missing
    assert found.hard >= SMALLEST_HARD_SHARE * found.cases
