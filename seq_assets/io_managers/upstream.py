"""What an asset downstream asks for: which upstream partitions, and in which form.

Belongs here: reading Dagster's input context. Not here: how a handle is made of a version (`plan_io_manager`, `Present`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_origin

import dagster as dg

from seq_assets.errors import InputError, NotPublishedError
from seq_assets.io_managers.metadata import RAW_KEY, REJECTED_KEY
from seq_assets.io_managers.partition_keys import split_cell_key
from seq_assets.models import SUBSETS, Subset
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import RawObservations, Version, Warehouse

_SEQUENCED: Final[Mapping[dg.AssetKey, Subset]] = {dg.AssetKey(f"sequenced_{subset}"): subset for subset in SUBSETS}


@dataclass(frozen=True)
class Upstream:
    """The partitions of an asset of the platform that a downstream asset reads.

    Attributes:
        asset: The upstream asset.
        keys: Its partition keys, in their order.
        asked_for: What the input is annotated with; `typing.Any` where it is not.
    """

    asset: dg.AssetKey
    keys: Sequence[str]
    asked_for: Any

    @property
    def is_dict(self) -> bool:
        """Whether handles come by partition key."""
        return len(self.keys) != 1 or _is_mapping(self.asked_for)

    def raw_observations(self, warehouse: Warehouse) -> RawObservations:
        """The newest raw version of each model that has one."""
        newest = {model: next(iter(warehouse.versions(Dataset.raw(model))), None) for model in self.keys}
        return RawObservations({model: version for model, version in newest.items() if version is not None})

    def newest(self, warehouse: Warehouse) -> dict[str, Version]:
        """The newest version of each partition.

        Raises:
            NotPublishedError: Naming every partition that has none.
        """
        found: dict[str, Version] = {}
        missing: list[str] = []
        for key in self.keys:
            try:
                found[key] = self._newest(warehouse, key)
            except NotPublishedError:
                missing.append(key)
        if missing:
            asset = self.asset.to_user_string()
            raise NotPublishedError(
                f"{asset}, partition {', '.join(missing)}: nothing is published. Materialize {asset} for it first, in this "
                "environment."
            )
        return found

    def _newest(self, warehouse: Warehouse, key: str) -> Version:
        if self.asset == RAW_KEY:
            return warehouse.find(Dataset.raw(key))
        if self.asset == REJECTED_KEY:
            return warehouse.find(Dataset.rejected(key), warehouse.find(Dataset.raw(key)).metadata["rejected_version"])
        model, length = split_cell_key(key)
        return warehouse.find(Dataset.sequenced(model, _SEQUENCED[self.asset], length))


def upstream_of(context: dg.InputContext) -> Upstream:
    """What an input reads.

    Raises:
        InputError: The upstream asset is none of the platform's, or none of its partitions is read.
    """
    asset = context.asset_key
    if asset not in (RAW_KEY, REJECTED_KEY, *_SEQUENCED):
        known = ", ".join(key.to_user_string() for key in (RAW_KEY, REJECTED_KEY, *_SEQUENCED))
        raise InputError(
            f"{asset.to_user_string()}: the I/O manager of seq_assets reads {known}. Give the asset an I/O manager of its own."
        )
    keys = set(context.asset_partition_keys) if context.has_asset_partitions else set()
    if not keys:
        raise InputError(
            f"{asset.to_user_string()}: no partition of it is read. Give the asset downstream its partitions, or a partition "
            "mapping that leads to some."
        )
    ordered = [key for key in context.asset_partitions_def.get_partition_keys() if key in keys]
    return Upstream(asset, ordered, context.dagster_type.typing_type)


def _is_mapping(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, Mapping)
