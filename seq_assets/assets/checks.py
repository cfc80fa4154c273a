"""Asset checks: what holds of the published versions, per partition, at any time.

The blocking conditions were verified before publication (write, audit, publish); here they are verified again on what is
published. `pad_ratio` only warns or reports an error; it blocks nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

from seq_assets.assets.partitions import Grid, split_cell_key
from seq_assets.errors import SeqAssetsError
from seq_assets.io_managers import FORCE_TAG, WarehouseResource
from seq_assets.models import SUBSETS, Subset
from seq_assets.sequencing.accounting import SequenceAccounting
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Version, Warehouse

_DESCRIPTIONS: Final = {
    "contract": "Every accepted value meets the model's contract, and not too many records were rejected.",
    "nothing_lost": "Every observation is accounted for; un-padding the sequences gives back the raw observations, in order.",
    "no_leakage": "Every observation is in the subset that the split's rule says.",
    "well_formed": "Columns, order, sizes, masks and pad values are as documented.",
    "pad_ratio": "The share of padding stays within the bounds of the model file.",
}
RAW_CHECKS: Final = ("contract", "nothing_lost", "no_leakage", "well_formed")
SEQUENCE_CHECKS: Final = ("nothing_lost", "no_leakage", "well_formed", "pad_ratio")


def build_checks(grid: Grid) -> list[dg.AssetChecksDefinition]:
    """The checks of the raw observations and of both subsets' sequences."""
    return [_raw_checks(grid), *(_sequence_checks(grid, subset) for subset in SUBSETS)]


def _raw_checks(grid: Grid) -> dg.AssetChecksDefinition:
    asset = "raw_observations"

    @dg.multi_asset_check(name="check_raw_observations", specs=_specs(asset, RAW_CHECKS, grid.models), can_subset=True)
    def check(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.AssetCheckEvaluation]:
        opened = warehouse.open()
        for model in context.op_execution_context.partition_keys:
            results = _inspected(opened, Dataset.raw(model), RAW_CHECKS, context.log.exception)
            yield from _evaluations(context, asset, model, results)

    return check


def _sequence_checks(grid: Grid, subset: Subset) -> dg.AssetChecksDefinition:
    asset = f"sequenced_{subset}"

    @dg.multi_asset_check(name=f"check_{asset}", specs=_specs(asset, SEQUENCE_CHECKS, grid.cells), can_subset=True)
    def check(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.AssetCheckEvaluation]:
        opened = warehouse.open()
        for key in context.op_execution_context.partition_keys:
            results = _cell_results(opened, grid, subset, key, context.log.exception)
            yield from _evaluations(context, asset, key, results)

    return check


def _specs(asset: str, names: tuple[str, ...], partitions: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    # Without its partitions, a check of one partition would read all of them.
    return [dg.AssetCheckSpec(name, asset=asset, description=_DESCRIPTIONS[name], partitions_def=partitions) for name in names]


@dataclass(frozen=True)
class _Result:
    """What one check says of one partition."""

    check: str
    passed: bool
    metadata: Mapping[str, Any]
    description: str | None = None
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


def _evaluations(
    context: dg.AssetCheckExecutionContext, asset: str, partition: str, results: Iterable[_Result]
) -> Iterator[dg.AssetCheckEvaluation]:
    """The results that the run asked for, as Dagster's events of that partition.

    An ordinary result would be recorded without its partition in a run over several of them.
    """
    target = _newest_materialization(context.instance, dg.AssetKey(asset), partition)
    for result in results:
        key = dg.AssetCheckKey(dg.AssetKey(asset), result.check)
        if key in context.selected_asset_check_keys:
            yield dg.AssetCheckEvaluation(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=result.passed,
                metadata=dict(result.metadata),
                target_materialization_data=target,
                severity=result.severity,
                description=result.description,
                partition=partition,
            )


def _newest_materialization(
    instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str
) -> AssetCheckEvaluationTargetMaterializationData | None:
    """What a result is about: without it, Dagster takes the result for one of an older materialization, and shows none."""
    found = instance.fetch_materializations(dg.AssetRecordsFilter(asset, asset_partitions=[partition]), limit=1).records
    if not found:
        return None
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=found[0].storage_id, run_id=found[0].run_id, timestamp=found[0].timestamp
    )


def _inspected(
    warehouse: Warehouse, dataset: Dataset, names: tuple[str, ...], log_exception: Callable[[str], None]
) -> list[_Result]:
    """The blocking conditions on the newest version of a table."""
    try:
        version = warehouse.find(dataset)
        findings = warehouse.inspect(version)
    except SeqAssetsError as error:
        return [_Result(name, False, {}, str(error)) for name in names]
    except Exception as error:
        # A file that is lost or broken, which each engine says in its own way, fails the checks of its own partition only.
        log_exception(f"{dataset.table} could not be inspected")
        message = (
            f"{dataset.table} could not be inspected: {type(error).__name__}: {error}. If its files are lost or broken, "
            f"restore them, or materialize the partition in a run with the tag {FORCE_TAG}=true."
        )
        return [_Result(name, False, {}, message) for name in names]
    return [
        _Result(finding.check, finding.passed, {"version": version.id, **finding.numbers}, "\n".join(finding.problems) or None)
        for finding in findings
    ]


def _cell_results(
    warehouse: Warehouse, grid: Grid, subset: Subset, key: str, log_exception: Callable[[str], None]
) -> list[_Result]:
    model, length = split_cell_key(key)
    spec = grid.registry.specs.get(model)
    if spec is not None and length not in spec.lengths:
        skipped = f"{model} does not declare the length {length}"
        return [_Result(name, True, {"skipped": skipped}) for name in SEQUENCE_CHECKS]
    dataset = Dataset.sequenced(model, subset, length)
    results = _inspected(warehouse, dataset, SEQUENCE_CHECKS[:-1], log_exception)
    return [*results, _pad_ratio(warehouse, grid, dataset)]


def _pad_ratio(warehouse: Warehouse, grid: Grid, dataset: Dataset) -> _Result:
    """Compares the newest version's ratio with the bounds of the model file, and shows the other lengths' ratios."""
    try:
        bounds = grid.registry[dataset.model].checks.pad_ratio
        version = warehouse.find(dataset)
    except SeqAssetsError as error:
        return _Result("pad_ratio", False, {}, str(error))
    ratio = _ratio(version)
    metadata: dict[str, Any] = {"version": version.id, "pad_ratio": ratio, "warn": bounds.warn, "max": bounds.max}
    for length in grid.registry[dataset.model].lengths:
        others = warehouse.versions(replace(dataset, sequence_length=length))
        if length != dataset.sequence_length and others:
            metadata[f"pad_ratio_{length}"] = _ratio(others[0])
    if ratio <= bounds.warn:
        return _Result("pad_ratio", True, metadata)
    is_error = ratio > bounds.max
    name, bound = ("max", bounds.max) if is_error else ("warn", bounds.warn)
    return _Result(
        "pad_ratio",
        False,
        metadata,
        f"{ratio:.1%} of all positions are padding, above checks.pad_ratio.{name} ({bound:.1%}); choose a shorter "
        "sequence length, or raise the bound.",
        dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
    )


def _ratio(version: Version) -> float:
    return round(SequenceAccounting(**version.metadata["accounting"]).pad_ratio, 6)
