"""Asset checks: what holds of the published versions, per partition, at any time.

The blocking conditions were verified before publication (write, audit, publish): the checks of a run that materialized a
version, changed or not, show what its audit found; in any other run, they are verified again on what is published. The others
(`judgements`) only warn or report an error; they block nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

from seq_assets.assets.judgements import Result, cell_up_to_date, drift, pad_ratio, raw_up_to_date, with_empty_subsets
from seq_assets.assets.partitions import Grid
from seq_assets.errors import SeqAssetsError
from seq_assets.io_managers.damage import damage_logged
from seq_assets.io_managers.data_versions import newest_materializations
from seq_assets.io_managers.partition_keys import split_cell_key
from seq_assets.io_managers.plan_io_manager import FORCE_TAG, WAREHOUSE_POOL
from seq_assets.io_managers.resources import WarehouseResource
from seq_assets.models import SUBSETS, Subset
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Finding, Version, Warehouse

LogException: TypeAlias = Callable[[str], None]
Judgements: TypeAlias = Mapping[str, Callable[[], list[Result]]]

_DESCRIPTIONS: Final = {
    "contract": "Every accepted value meets the model's contract, and not too many records were rejected.",
    "nothing_lost": "Every observation is accounted for; un-padding the sequences gives back the raw observations, in order.",
    "no_leakage": "Every observation is in the subset that the split's rule says; of a raw model, no subset is empty.",
    "well_formed": "Columns, order, sizes, masks and pad values are as documented.",
    "pad_ratio": "There are sequences, and the share of padding stays within the bounds of the model file.",
    "up_to_date": "Source, model file and raw observations are still those that the newest version was made from.",
    "drift": "The newest version is as near to the one before it as the model file's checks.drift says.",
}
_BLOCKING_RAW: Final = ("contract", "nothing_lost", "no_leakage", "well_formed")
_BLOCKING_SEQUENCE: Final = ("nothing_lost", "no_leakage", "well_formed")
RAW_CHECKS: Final = (*_BLOCKING_RAW, "up_to_date", "drift")
SEQUENCE_CHECKS: Final = (*_BLOCKING_SEQUENCE, "pad_ratio", "up_to_date", "drift")


def build_checks(grid: Grid) -> list[dg.AssetChecksDefinition]:
    """The checks of the raw observations and of both subsets' sequences."""
    return [_raw_checks(grid), *(_sequence_checks(grid, subset) for subset in SUBSETS)]


def _raw_checks(grid: Grid) -> dg.AssetChecksDefinition:
    asset = "raw_observations"

    @dg.multi_asset_check(
        name="check_raw_observations", specs=_specs(asset, RAW_CHECKS, grid.models), can_subset=True, pool=WAREHOUSE_POOL
    )
    def check(
        context: dg.AssetCheckExecutionContext, seq_assets_warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        opened = seq_assets_warehouse.open()
        published = partial(_published_models, opened, grid)
        with opened.at_rest(), damage_logged(context.log):
            inspections = _inspections(context, opened, asset, _partitions(context, published))
            results = {model: _raw_results(inspection, grid, model) for model, inspection in inspections.items()}
        yield from _evaluations(context, asset, inspections, results)

    return check


def _sequence_checks(grid: Grid, subset: Subset) -> dg.AssetChecksDefinition:
    asset = f"sequenced_{subset}"

    @dg.multi_asset_check(
        name=f"check_{asset}", specs=_specs(asset, SEQUENCE_CHECKS, grid.cells), can_subset=True, pool=WAREHOUSE_POOL
    )
    def check(
        context: dg.AssetCheckExecutionContext, seq_assets_warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        opened = seq_assets_warehouse.open()
        published = partial(_published_cells, opened, grid, subset)
        with opened.at_rest(), damage_logged(context.log):
            inspections = _inspections(context, opened, asset, _partitions(context, published))
            results = {key: _cell_results(inspection, grid, subset, key) for key, inspection in inspections.items()}
        yield from _evaluations(context, asset, inspections, results)

    return check


def _specs(asset: str, names: tuple[str, ...], partitions: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    # Without its partitions, a check of one partition would read all of them.
    return [dg.AssetCheckSpec(name, asset=asset, description=_described(name), partitions_def=partitions) for name in names]


def _described(name: str) -> str:
    verified = " Verified before publication, too: what fails is not published." if name in _BLOCKING_RAW else ""
    return _DESCRIPTIONS[name] + verified


def _partitions(context: dg.AssetCheckExecutionContext, published: Callable[[], list[str]]) -> Sequence[str]:
    """The partitions of the run; all that are published where it has none, as when the UI executes all checks of an asset."""
    run = context.op_execution_context
    return run.partition_keys if run.has_partition_key or run.has_partition_key_range else published()


def _published_models(warehouse: Warehouse, grid: Grid) -> list[str]:
    return [model for model in grid.registry.names if warehouse.versions(Dataset.raw(model))]


def _published_cells(warehouse: Warehouse, grid: Grid, subset: Subset) -> list[str]:
    cells = ((key, *split_cell_key(key)) for key in grid.cells.get_partition_keys())
    return [key for key, model, length in cells if warehouse.versions(Dataset.sequenced(model, subset, length))]


def _evaluations(
    context: dg.AssetCheckExecutionContext,
    asset: str,
    inspections: "Mapping[str, _Inspection]",
    results: Mapping[str, Iterable[Result]],
) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
    """The results that the run asked for, by partition, as Dagster's events of that partition.

    An ordinary result would be recorded without its partition in a run over several of them. What failed comes last, because
    that is what Dagster shows for the asset as a whole.
    """
    evaluations = [
        evaluation
        for partition, found in results.items()
        for evaluation in _of_partition(context, asset, partition, inspections[partition].materialization, found)
    ]
    yield from sorted(evaluations, key=lambda evaluation: not evaluation.passed)
    # An evaluation is no output to Dagster, which would log that the check "did not yield or return expected outputs".
    for key in context.selected_asset_check_keys:
        yield dg.Output(None, context.job_def.asset_layer.get_op_output_name(key))


def _of_partition(
    context: dg.AssetCheckExecutionContext,
    asset: str,
    partition: str,
    record: dg.EventLogRecord | None,
    results: Iterable[Result],
) -> Iterator[dg.AssetCheckEvaluation]:
    # What a result is about: without it, Dagster takes the result for one of an older materialization, and shows none.
    target = record and AssetCheckEvaluationTargetMaterializationData(
        storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
    )
    for result in results:
        key = dg.AssetCheckKey(dg.AssetKey(asset), result.check)
        if key in context.selected_asset_check_keys:
            yield dg.AssetCheckEvaluation(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=result.passed,
                metadata=_shown(result.metadata),
                target_materialization_data=target,
                severity=result.severity,
                description=result.description,
                partition=partition,
            )


def _shown(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Versions as text: the UI plots the numbers of checks over time, of which the name of a version is none."""
    return {name: str(value) if name.endswith("version") else value for name, value in metadata.items()}


@dataclass(frozen=True)
class _Inspection:
    """How the versions of one partition are looked at.

    Attributes:
        warehouse: Has them.
        run: The run of the checks.
        materialization: The partition's newest; None before the first.
        log_exception: Logs the exception that is being handled.
    """

    warehouse: Warehouse
    run: str
    materialization: dg.EventLogRecord | None
    log_exception: LogException

    def conditions(self, dataset: Dataset, names: tuple[str, ...]) -> list[Result]:
        """The blocking conditions on the newest version of a table."""
        try:
            version = self.warehouse.find(dataset)
        except SeqAssetsError as error:
            return [Result(name, False, {}, str(error)) for name in names]
        unreadable = [Result(name, False, {"version": version.id}) for name in names]
        return self.judged(dataset, unreadable, lambda: _results(version, self._findings(version)))

    def said(self, dataset: Dataset, judgements: Judgements) -> Iterator[Result]:
        """What the judgements say."""
        for name, judge in judgements.items():
            yield from self.judged(dataset, [Result(name, False, {})], judge)

    def judged(self, dataset: Dataset, unreadable: list[Result], judge: Callable[[], list[Result]]) -> list[Result]:
        """What a judgement says, or that nothing can be said, so that other partitions of the run keep their results.

        A file that is lost or broken, which each engine says in its own way, fails the checks of its own partition only.
        """
        try:
            return judge()
        except Exception as error:
            self.log_exception(f"{dataset.table} could not be inspected")
            message = (
                f"{dataset.table} could not be inspected: {type(error).__name__}: {error}. If its files are lost or broken, "
                f"restore them, or materialize the partition in a run with the tag {FORCE_TAG}=true."
            )
            return [replace(result, description=message) for result in unreadable]

    def _findings(self, version: Version) -> Sequence[Finding]:
        """What the audit found, where this run materialized the version, changed or not; else its files are read again."""
        record = self.materialization
        if record is not None and record.run_id == self.run and record.asset_materialization is not None:
            metadata = record.asset_materialization.metadata
            shown = metadata.get("version")
            if shown is not None and shown.value == str(version.id):
                return version.findings
        return self.warehouse.inspect(version)


def _inspections(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, asset: str, partitions: Sequence[str]
) -> dict[str, _Inspection]:
    run = context.op_execution_context.run_id
    newest = _newest_records(context.instance, dg.AssetKey(asset), partitions)
    return {partition: _Inspection(warehouse, run, newest.get(partition), context.log.exception) for partition in partitions}


def _newest_records(
    instance: dg.DagsterInstance, asset: dg.AssetKey, partitions: Sequence[str]
) -> Mapping[str | None, dg.EventLogRecord]:
    """The newest materializations of partitions, those that have one, in few queries."""
    ids = list(newest_materializations(instance, asset, partitions).values())
    if not ids:
        return {}
    wanted = dg.AssetRecordsFilter(asset, storage_ids=ids)
    return {record.partition_key: record for record in instance.fetch_materializations(wanted, limit=len(ids)).records}


def _results(version: Version, findings: Iterable[Finding]) -> list[Result]:
    return [
        Result(finding.check, finding.passed, {"version": version.id, **finding.numbers}, "\n".join(finding.problems) or None)
        for finding in findings
    ]


def _raw_results(inspection: _Inspection, grid: Grid, model: str) -> list[Result]:
    dataset, warehouse = Dataset.raw(model), inspection.warehouse
    judgements: Judgements = {
        "up_to_date": lambda: [raw_up_to_date(warehouse, grid, model)],
        "drift": lambda: [drift(warehouse, grid, dataset)],
    }
    conditions = [
        with_empty_subsets(warehouse, grid, model, result) if result.check == "no_leakage" else result
        for result in inspection.conditions(dataset, _BLOCKING_RAW)
    ]
    return [*conditions, *inspection.said(dataset, judgements)]


def _cell_results(inspection: _Inspection, grid: Grid, subset: Subset, key: str) -> list[Result]:
    model, length = split_cell_key(key)
    dataset, warehouse = Dataset.sequenced(model, subset, length), inspection.warehouse
    judgements: Judgements = {
        "pad_ratio": lambda: [pad_ratio(warehouse, grid, dataset)],
        "up_to_date": lambda: [cell_up_to_date(warehouse, grid, subset, dataset)],
        "drift": lambda: [drift(warehouse, grid, dataset)],
    }
    return [*inspection.conditions(dataset, _BLOCKING_SEQUENCE), *inspection.said(dataset, judgements)]
