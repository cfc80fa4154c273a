"""Sensors: a source that has changed leads to raw observations, and these lead to sequences.

Belongs here: what is started by an event. Not here: what is started at a time (`schedules`), and what only tells (`failures`).

Why `new_observations` is a sensor and not an automation condition on the sequences: to a condition every materialization
upstream is news, also one that says "unchanged", as most of those of the daily schedule do.
"""

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import dagster as dg
from pydantic import BaseModel, ValidationError

from seq_assets.assets.automation.jobs import INGEST_JOB, SEQUENCE_JOB
from seq_assets.assets.automation.status import sensor_status
from seq_assets.assets.partitions import Grid, range_tags
from seq_assets.assets.raw_observations import plan_ingest
from seq_assets.environments import Environment
from seq_assets.errors import SeqAssetsError
from seq_assets.io_managers.dead_runs import end_dead_runs
from seq_assets.io_managers.metadata import RAW_KEY
from seq_assets.io_managers.resources import WarehouseResource
from seq_assets.models import SUBSETS, ModelSpec
from seq_assets.sequencing.plans import IngestPlan, SequencePlan
from seq_assets.warehouse.interface import Warehouse

SECONDS_BETWEEN_LOOKS: Final = 60
SECONDS_TO_LOOK: Final = 30
"""In which sources are listed; Dagster gives a tick up after 60."""
SECONDS_BETWEEN_LOOKS_FOR_THE_DEAD: Final = 20
PLANS_TAG: Final = "seq_assets/plans"
"""Of a run of sequences: a hash of all that decides its result."""
_MOST_TEXT: Final = 300


def build_sensors(environment: Environment, grid: Grid) -> list[dg.SensorDefinition]:
    """From sources to raw observations, and from there to sequences; and from runs that have died to an end of them."""
    status = sensor_status(environment)
    return [_source_files(grid, status), _new_observations(grid, status), _dead_runs()]


class SourcesSeen(BaseModel):
    """The cursor of `source_files`.

    Attributes:
        states: What each model's source and file looked like when it was last requested, or first seen to be so.
        problems: A hash of what kept a model from being looked at, so that it is logged once.
        ticks: How many times runs were requested: a source that returns to an earlier state is a new request.
    """

    states: dict[str, str] = {}
    problems: dict[str, str] = {}
    ticks: int = 0


@dataclass(frozen=True)
class _Look:
    """What a look at all sources found.

    Attributes:
        states: A hash of each model's source and of what its file says, by model.
        problems: Why the others could not be looked at.
    """

    states: Mapping[str, str]
    problems: Mapping[str, str]


def _source_files(grid: Grid, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="source_files",
        job_name=INGEST_JOB,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=status,
        description="Ingests the models whose source or model file has changed, neighbours in one run. A source that cannot be "
        "listed is named, and looked at again.",
    )
    def source_files(context: dg.SensorEvaluationContext, seq_assets_warehouse: WarehouseResource) -> dg.SensorResult:
        seen = _seen(context)
        found = _look(seq_assets_warehouse.open(), grid)
        problems = {model: _hash(text) for model, text in found.problems.items()}
        for model, text in found.problems.items():
            if seen.problems.get(model) != problems[model]:
                context.log.warning(f"{model} is left out until this is mended: {text}")
        changed = [model for model, state in found.states.items() if seen.states.get(model) != state]
        # A model that cannot be looked at is remembered as it was, one that is gone is forgotten.
        states = {model: state for model, state in seen.states.items() if model in problems} | dict(found.states)
        cursor = SourcesSeen(states=states, problems=problems, ticks=seen.ticks + bool(changed)).model_dump_json()
        if not changed:
            return dg.SensorResult(skip_reason=_nothing_new(found), cursor=cursor)
        ranges = grid.model_ranges(changed)
        return dg.SensorResult([_ingest_request(models, found.states, seen.ticks) for models in ranges], cursor=cursor)

    return source_files


def _seen(context: dg.SensorEvaluationContext) -> SourcesSeen:
    if not context.cursor:
        return SourcesSeen()
    try:
        return SourcesSeen.model_validate_json(context.cursor)
    except ValidationError:
        context.log.warning("The cursor is not one of this sensor's; every source counts as new.")
        return SourcesSeen()


def _look(warehouse: Warehouse, grid: Grid) -> _Look:
    """At every model's source, which is listed and not read."""
    plans = {model: plan_ingest(grid, model) for model in grid.registry.names}
    listed = _listed(warehouse, {model: plan for model, plan in plans.items() if isinstance(plan, IngestPlan)})
    states, problems = {}, {}
    for model, plan in plans.items():
        source = listed.get(model)
        if not isinstance(plan, IngestPlan):
            problems[model] = plan.message
        elif source is None:
            problems[model] = (
                f"its source {plan.location} has not been listed within {SECONDS_TO_LOOK} seconds; see whether it can be "
                "reached from here, and that not too many files are there"
            )
        elif isinstance(source, (SeqAssetsError, OSError)):
            problems[model] = str(source)
        elif isinstance(source, Exception):
            raise source
        else:
            states[model] = _hash(source, plan.identity, *_cell_identities(plan.spec, plan.spec.lengths, raw_version=0))
    return _Look(states, problems)


def _listed(warehouse: Warehouse, plans: Mapping[str, IngestPlan]) -> Mapping[str, str | Exception]:
    """What each model's source looks like, or why that cannot be said; nothing of one that takes too long.

    Each place is listed in a thread of its own, so that one that does not answer holds up no other, and no tick: Dagster gives
    a tick up after a minute, with all its models.
    """
    found: dict[str, str | Exception] = {}
    end = time.monotonic() + SECONDS_TO_LOOK

    def list_sources(models: Sequence[str]) -> None:
        for model in models:
            if time.monotonic() > end:
                return
            try:
                found[model] = warehouse.source_fingerprint(plans[model])
            except Exception as error:
                found[model] = error

    places = sorted(plans, key=lambda model: _place(plans[model].location))
    threads = [
        threading.Thread(target=list_sources, args=[list(models)], daemon=True)
        for _, models in groupby(places, key=lambda model: _place(plans[model].location))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    return dict(found)


def _place(location: str) -> str:
    """Of what has a scheme, that with the bucket or the database; all files of this machine are in one place."""
    scheme, separator, rest = location.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if separator else ""


def _cell_identities(spec: ModelSpec, lengths: Iterable[int], raw_version: int) -> Iterator[str]:
    """What decides the sequences of a model of these lengths, for one version of its raw observations."""
    for length in lengths:
        for subset in SUBSETS:
            yield SequencePlan.of(spec, subset, length, raw_version).identity


def _nothing_new(found: _Look) -> str:
    problems = [f"{model} is left out: {_shortened(text)}" for model, text in found.problems.items()]
    return "\n".join([f"Nothing has changed in the sources of {len(found.states)} models.", *problems])


def _ingest_request(models: Sequence[str], states: Mapping[str, str], ticks: int) -> dg.RunRequest:
    key = _hash(str(ticks), *(f"{model} {states[model]}" for model in models))
    return dg.RunRequest(f"{models[0]}...{models[-1]}@{key}", tags=range_tags(models))


def _new_observations(grid: Grid, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_observations",
        job_name=SEQUENCE_JOB,
        minimum_interval_seconds=30,
        default_status=status,
        description="Cuts a model's new raw observations into sequences of all its lengths. Lengths that were cut from them "
        "already, as the model file now says, are left.",
    )
    def new_observations(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        new = _new_versions(context.instance, after=int(context.cursor or 0))
        requests = [request for version in new if (request := _request(context.instance, grid, version)) is not None]
        cursor = str(max((version.storage_id for version in new), default=context.cursor or 0))
        if requests:
            return dg.SensorResult(requests, cursor=cursor)
        models = ", ".join(version.model for version in new)
        reason = f"Nothing is missing that {models} would lead to." if new else "No raw observations are new."
        return dg.SensorResult(skip_reason=reason, cursor=cursor)

    return new_observations


def _dead_runs() -> dg.SensorDefinition:
    @dg.sensor(
        name="dead_runs",
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS_FOR_THE_DEAD,
        # Everywhere: it requests nothing, and without it two runs that were killed would stall the queue for ever.
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Ends as canceled the runs of this host whose process has died. They would count as running for ever, and "
        "keep others in the queue.",
    )
    def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        ended = end_dead_runs(context.instance)
        for run_id in ended:
            context.log.warning(f"The run {run_id} was ended as canceled: the process that executed it has died.")
        return dg.SkipReason(f"Ended as canceled: {', '.join(ended)}." if ended else "No run of this host is dead.")

    return dead_runs


@dataclass(frozen=True)
class _NewVersion:
    """The newest materialization of a model's raw observations.

    Attributes:
        model: The model.
        storage_id: The number of the event.
        version: What it published, or what stands unchanged.
    """

    model: str
    storage_id: int
    version: int


def _new_versions(instance: dg.DagsterInstance, after: int) -> list[_NewVersion]:
    """Of each model that has been materialized after an event, the newest; of many in between, only that one counts."""
    newest = instance.get_latest_storage_id_by_partition(RAW_KEY, dg.DagsterEventType.ASSET_MATERIALIZATION, after_cursor=after)
    if not newest:
        return []  # no numbers at all would be no filter
    numbers = sorted(newest.values())
    records = instance.fetch_materializations(dg.AssetRecordsFilter(RAW_KEY, storage_ids=numbers), limit=len(numbers))
    return [found for record in reversed(records.records) if (found := _new_version(record)) is not None]


def _new_version(record: dg.EventLogRecord) -> _NewVersion | None:
    """None where somebody reported a materialization by hand, which published nothing."""
    materialization = record.asset_materialization
    version = materialization.metadata.get("version") if materialization else None
    # A version is text; homes of before hold numbers.
    if not isinstance(version, dg.TextMetadataValue | dg.IntMetadataValue) or record.partition_key is None:
        return None
    text = str(version.value)
    return _NewVersion(record.partition_key, record.storage_id, int(text)) if text.isdecimal() else None


def _request(instance: dg.DagsterInstance, grid: Grid, new: _NewVersion) -> dg.RunRequest | None:
    """A run of a model's cells; None where it has none, or where their result stands or is being made."""
    cells = grid.cells_of(new.model)
    if not cells:
        return None
    spec = grid.registry[new.model]
    plans = _hash(*_cell_identities(spec, spec.lengths, new.version))
    if _stands(instance, plans):
        return None
    # What failed may be asked for again, but by another event.
    return dg.RunRequest(f"{plans}@{new.storage_id}", tags={**range_tags(cells), PLANS_TAG: plans})


def _stands(instance: dg.DagsterInstance, plans: str) -> bool:
    """Whether the last run of these plans has not failed."""
    last = instance.get_runs(dg.RunsFilter(tags={PLANS_TAG: plans}), limit=1)
    return bool(last) and last[0].status not in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"
