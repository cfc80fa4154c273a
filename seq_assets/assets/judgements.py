"""What the checks say that warn and block nothing: pad ratios, what is empty or out of date, and drift.

Belongs here: comparing what is published with the bounds of the model file, with what is there now, and with the version
before. Not here: the blocking conditions (the warehouses), and how results become Dagster's events (`checks`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import dagster as dg
import pyarrow.compute as pc

from seq_assets.assets.emptiness import empty_sequences, empty_subset
from seq_assets.assets.partitions import Grid
from seq_assets.assets.raw_observations import plan_ingest
from seq_assets.assets.sequenced import plan_cell
from seq_assets.errors import SeqAssetsError
from seq_assets.io_managers.partition_keys import cell_key
from seq_assets.models import SUBSETS, ModelSpec, Subset
from seq_assets.models.spec import DriftBounds
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.advice import advise, longest_within
from seq_assets.sequencing.plans import Dataset, IngestPlan, RefusedPlan, SequencePlan
from seq_assets.warehouse.interface import RawObservations, Version, Warehouse, said_of_lost

_AGAIN: Final = "materialize it again"


@dataclass(frozen=True)
class Result:
    """What one check says of one partition."""

    check: str
    passed: bool
    metadata: Mapping[str, Any]
    description: str | None = None
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


def warning(check: str, metadata: Mapping[str, Any], problems: Sequence[str]) -> Result:
    """Passed without problems, else a warning that names them."""
    return Result(check, not problems, metadata, "\n".join(problems) or None, dg.AssetCheckSeverity.WARN)


def pad_ratio(warehouse: Warehouse, grid: Grid, dataset: Dataset) -> Result:
    """The newest version's ratio beside its bounds, how it is spread, and what the other lengths have."""
    try:
        spec = grid.registry[dataset.model]
        version = warehouse.find(dataset)
    except SeqAssetsError as error:
        return Result("pad_ratio", False, {}, str(error))
    bounds, ratio = spec.checks.pad_ratio, ratio_of(version)
    plan = SequencePlan.from_json(version.metadata["plan"])
    raw = warehouse.find(Dataset.raw(plan.model), plan.raw_version)
    histories = warehouse.histories(raw, plan.subset)
    mostly_padding = round(advise(plan, histories).mostly_padding_ratio, 6)
    metadata: dict[str, Any] = {
        "version": version.id,
        "pad_ratio": ratio,
        "warn": bounds.warn,
        "max": bounds.max,
        "mostly_padding": mostly_padding,
    }
    for length in spec.lengths:
        others = warehouse.versions(replace(dataset, sequence_length=length))
        if length != dataset.sequence_length and others:
            metadata[f"pad_ratio_{length}"] = ratio_of(others[0])
    if not version.rows:
        accounting = SequenceAccounting(**version.metadata["accounting"])
        ingest = IngestAccounting(**raw.metadata["accounting"])
        problem = empty_sequences(spec, plan, ingest, accounting, histories.longest)
        return warning("pad_ratio", metadata, [] if problem is None else [problem])
    name = bounds.exceeded(ratio)
    if name is None:
        return Result("pad_ratio", True, metadata)
    bound = getattr(bounds, name)
    fitting = longest_within(plan, histories, bound)
    metadata["longest_within"] = fitting or "none"
    shorter = f"a length of {fitting} meets the bound" if fitting else "no shorter length meets the bound"
    return Result(
        "pad_ratio",
        False,
        metadata,
        f"{ratio:.1%} of all positions are padding, above checks.pad_ratio.{name} ({bound:.1%}); {mostly_padding:.1%} of the "
        f"sequences are padding in at least half of their positions. Choose a shorter sequence length ({shorter}; seq-assets "
        f"advise {dataset.model} shows all), or raise the bound.",
        dg.AssetCheckSeverity.ERROR if name == "max" else dg.AssetCheckSeverity.WARN,
    )


def with_empty_subsets(warehouse: Warehouse, grid: Grid, model: str, result: Result) -> Result:
    """The result of a check of a raw model's observations, which warns of a subset that came out empty if nothing is worse.

    Of a model with sequences, their own check says it.
    """
    spec = grid.registry.specs.get(model)
    if spec is None or not spec.is_raw or not result.passed:
        return result
    accounting = warehouse.find(Dataset.raw(model)).metadata["accounting"]
    ingest = IngestAccounting(**accounting)
    problems = [empty_subset(spec, subset, ingest) for subset in SUBSETS if not accounting[subset]]
    said = [problem for problem in problems if problem is not None]
    return warning(result.check, result.metadata, said) if said else result


def ratio_of(version: Version) -> float:
    """The pad ratio of a version of sequences, as the UI shows it."""
    return round(SequenceAccounting(**version.metadata["accounting"]).pad_ratio, 6)


def raw_up_to_date(warehouse: Warehouse, grid: Grid, model: str) -> Result:
    """Whether the newest raw observations are of the source and of the model file as they are now."""
    try:
        version = warehouse.find(Dataset.raw(model))
    except SeqAssetsError as error:
        return warning("up_to_date", {}, [str(error)])
    return warning("up_to_date", {"version": version.id}, list(_stale_raw(warehouse, grid, version)))


def cell_up_to_date(warehouse: Warehouse, grid: Grid, subset: Subset, dataset: Dataset) -> Result:
    """Whether the newest sequences are of the newest raw observations and of the model file as it is now."""
    raw_dataset = Dataset.raw(dataset.model)
    try:
        version, raw = warehouse.find(dataset), warehouse.find(raw_dataset)
    except SeqAssetsError as error:
        return warning("up_to_date", {}, [str(error)])
    key = cell_key(dataset.model, dataset.sequence_length or 0)
    plan = plan_cell(grid, subset, key, RawObservations({dataset.model: raw}))
    reasons = [*_stale_cell(version, plan), *_lost(warehouse, version)]
    if not isinstance(plan, RefusedPlan):
        reasons += [f"{raw_dataset.table}: {reason}" for reason in _stale_raw(warehouse, grid, raw)]
    metadata = {"version": version.id, "raw_version": version.raw_version, "newest_raw_version": raw.id}
    return warning("up_to_date", metadata, reasons)


def _stale_raw(warehouse: Warehouse, grid: Grid, version: Version) -> Iterator[str]:
    plan = plan_ingest(grid, version.dataset.model)
    if not isinstance(plan, IngestPlan):
        yield plan.message
        return
    try:
        if warehouse.source_fingerprint(plan) != version.metadata["source_fingerprint"]:
            yield f"the source {plan.location} has changed since {version.committed_at:%Y-%m-%d %H:%M:%S} UTC; {_AGAIN}"
    except SeqAssetsError as error:
        yield str(error)
    yield from _lost(warehouse, version)
    if plan.identity != version.metadata["identity"].rpartition(":")[0]:
        yield f"the model file has changed since: {_changed_parts(version, plan.spec)}; {_AGAIN}"


def _changed_parts(version: Version, spec: ModelSpec) -> str:
    made = ModelSpec.model_validate(version.metadata["model"])
    before, now = _deciding_parts(made), _deciding_parts(spec)
    return ", ".join(part for part in now if before[part] != now[part]) or "what this program makes of it"


def _deciding_parts(spec: ModelSpec) -> dict[str, Any]:
    """What of a model file decides its raw observations; the order of columns does, too."""
    return {
        "source": spec.source,
        "columns": [(name, column.model_copy(update={"description": None})) for name, column in spec.columns.items()],
        "entity": spec.entity,
        "order_by": spec.order_by,
        "split": spec.split,
        "features": [(name, spec.fill_value(name), spec.min_counts[name]) for name in spec.encoded],
        "checks.rejected_ratio": spec.checks.rejected_ratio,
    }


def _lost(warehouse: Warehouse, version: Version) -> Iterator[str]:
    lost = warehouse.lost_with(version)
    if lost:
        yield f"{said_of_lost(lost)}; {_AGAIN}"


def _stale_cell(version: Version, plan: SequencePlan | RefusedPlan) -> Iterator[str]:
    if not isinstance(plan, SequencePlan):
        yield plan.message
        return
    made = SequencePlan.from_json(version.metadata["plan"])
    if made.raw_version != plan.raw_version:
        yield f"it was made from the raw version {made.raw_version}, the newest is {plan.raw_version}; {_AGAIN}"
    changed = [
        field.name
        for field in fields(plan)
        if field.name != "raw_version" and getattr(plan, field.name) != getattr(made, field.name)
    ]
    if changed:
        yield f"the model file has changed since: {', '.join(changed)}; {_AGAIN}"


def drift(warehouse: Warehouse, grid: Grid, dataset: Dataset) -> Result:
    """How far the newest version is from the one before it, beside the bounds of the model file."""
    try:
        bounds = grid.registry[dataset.model].checks.drift
        newest, *earlier = warehouse.versions(dataset) or [warehouse.find(dataset)]
    except SeqAssetsError as error:
        return warning("drift", {}, [str(error)])
    if not earlier:
        return warning("drift", {"version": newest.id, "compared": "the first version"}, [])
    before = earlier[0]
    # Rounded, so that a change is not above a bound that is as large as it.
    changes = {name: round(change, 6) for name, change in _changes(warehouse, before, newest)}
    problems = [
        f"{name} changed by {changes[name]:.4g} from version {before.id} to {newest.id}; allowed: checks.drift.{name}, "
        f"{bound:g}. Look at what changed, or raise the bound."
        for name in DriftBounds.model_fields
        if name in changes and (bound := getattr(bounds, name)) is not None and changes[name] > bound
    ]
    return warning("drift", {"version": newest.id, "previous_version": before.id, **changes}, problems)


def _changes(warehouse: Warehouse, before: Version, after: Version) -> Iterator[tuple[str, float]]:
    yield "rows", abs(after.rows - before.rows) / before.rows if before.rows else float(after.rows > 0)
    if after.dataset.sequence_length is not None:
        yield "pad_ratio", abs(ratio_of(after) - ratio_of(before))
        return
    yield "label_share", max(_label_changes(before.metadata["metrics"], after.metadata["metrics"]), default=0.0)
    new_values = _new_values(warehouse, before, after)
    if new_values is not None:
        yield "new_values", new_values


def _label_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[float]:
    """Of each label of each column that has labels in both versions: the change of its share."""
    for column in before.keys() & after.keys():
        old, new = before[column].get("labels"), after[column].get("labels")
        if old and new:
            all_old, all_new = sum(old.values()), sum(new.values())
            yield from (abs(new.get(label, 0) / all_new - old.get(label, 0) / all_old) for label in old.keys() | new.keys())


def _new_values(warehouse: Warehouse, before: Version, after: Version) -> float | None:
    """The largest share, over encoded features, of train observations whose value the vocabulary before does not have."""
    old, new = warehouse.vocabulary(before), warehouse.vocabulary(after)
    if old is None or new is None:
        return None
    shares = []
    for feature in pc.unique(new["feature"]).to_pylist():
        values = new.filter(pc.equal(new["feature"], feature))
        known = old.filter(pc.equal(old["feature"], feature))["value"]
        counted = pc.sum(values["count"]).as_py() or 0
        fresh = pc.sum(values.filter(pc.invert(pc.is_in(values["value"], value_set=known)))["count"]).as_py() or 0
        shares.append(fresh / counted if counted else 0.0)
    return max(shares, default=0.0)
