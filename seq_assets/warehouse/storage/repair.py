"""Mending: tables that the catalog has lost, or whose metadata is broken, are registered again from what is whole.

Belongs here: which metadata file is to stand, in which order tables are mended, and what is said of it. Not here: what is
damaged (`iceberg_tables`), or a catalog that is damaged as a whole (`local.catalog`).
"""

from collections.abc import Iterable, Mapping
from typing import Final

from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Repair, TableRepair, Version
from seq_assets.warehouse.storage.iceberg_tables import Damage, Tables
from seq_assets.warehouse.storage.table_metadata import MetadataFile

_ORDER: Final = ("vocabulary", "rejected_observations", "raw_observations")
"""What others name comes before them, so that nobody meanwhile reads a version without what it names."""


def repair_tables(tables: Tables, hints: Mapping[str, str] | None = None) -> Repair:
    """Registers the damaged tables of a database again, each from its newest whole metadata.

    Args:
        tables: The tables.
        hints: Of tables that the catalog does not list, the metadata file that an older catalog named, where that is known.

    Raises:
        LostRaceError: Another repair has mended one of them meanwhile; what was mended before stays so.
    """
    mended = [
        _mend(tables, dataset, damage, (hints or {}).get(dataset.table))
        for dataset in sorted(tables.datasets_anywhere(), key=_order)
        if (damage := tables.damage(dataset)) is not None
    ]
    return Repair(tables=tuple(mended), missing=tuple(_missing(tables, mended)))


def _order(dataset: Dataset) -> tuple[int, str]:
    return _ORDER.index(dataset.kind) if dataset.kind in _ORDER else len(_ORDER), dataset.table


def _mend(tables: Tables, dataset: Dataset, damage: Damage, hint: str | None) -> TableRepair:
    given_up: list[str] = []
    for file in _candidates(tables, dataset, damage, hint):
        why = tables.why_not_whole(dataset, file)
        if why is None:
            versions = tuple(version.id for version in tables.register(dataset, damage, file))
            return TableRepair(dataset, damage.found, f"{file.name} stands", True, versions, tuple(given_up))
        given_up.append(f"{file.name}: {why}")
    if damage.never_had_a_version:
        tables.forget(dataset)
        return TableRepair(dataset, damage.found, "the catalog lists it no more, because it never had a version", True)
    return TableRepair(dataset, damage.found, "nothing, because none of its metadata is whole", False, (), tuple(given_up))


def _candidates(tables: Tables, dataset: Dataset, damage: Damage, hint: str | None) -> list[MetadataFile]:
    """The likeliest first; that of an older catalog was committed, which others of the same number may not be."""
    files = tables.older_metadata(dataset, damage)
    hinted = None if hint is None else MetadataFile.at(hint)
    return sorted(files, key=lambda file: hinted is None or file.name != hinted.name)


def _missing(tables: Tables, mended: Iterable[TableRepair]) -> Iterable[str]:
    """What is still missing of the models whose tables were mended."""
    models = set()
    for repair in mended:
        models.add(repair.dataset.model)
        if not repair.is_repaired:
            yield (
                f"{repair.dataset.table} could not be repaired: put back what is missing of {tables.location(repair.dataset)}. "
                "Or have it begin anew: move that folder away, and take the table out of the catalog (in Glue, delete it; "
                "locally, move catalog.db away, and run `seq-assets repair` again for the other tables)."
            )
    damaged = {repair.dataset for repair in mended if not repair.is_repaired}
    for dataset in tables.datasets_anywhere():
        if dataset.model in models and dataset not in damaged:
            yield from _missing_versions(tables, dataset, damaged)


def _missing_versions(tables: Tables, dataset: Dataset, damaged: set[Dataset]) -> Iterable[str]:
    """The versions of others that the newest version of a table names, and that are not there."""
    for newest in tables.versions(dataset)[:1]:
        for named, version in _named(newest):
            there = () if named in damaged else tuple(other.id for other in tables.versions(named))
            if version not in there:
                yield (
                    f"{dataset.table}, version {newest.id}, names the version {version} of {named.table}, which is not there: "
                    f"materialize {dataset.model} with --force."
                )


def _named(version: Version) -> Iterable[tuple[Dataset, int]]:
    """The versions of other tables that a version names."""
    model, metadata = version.dataset.model, version.metadata
    if version.raw_version is not None:
        yield Dataset.raw(model), version.raw_version
    for kind, dataset in (("rejected", Dataset.rejected(model)), ("vocabulary", Dataset.vocabulary(model))):
        if (named := metadata.get(f"{kind}_version")) is not None:
            yield dataset, int(named)
