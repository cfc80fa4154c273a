"""What Dagster needs in order to show what is stale: a data version for each partition, and what it was made from.

Dagster records one data version for all partitions of a run, so that a run over several of them would make each of them look
changed, or none. Therefore the I/O manager records the materializations itself, with the tags that are made here, and Dagster's
own are left out.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.events import DagsterEventType

from seq_assets.io_managers.metadata import RAW_KEY
from seq_assets.sequencing.plans import SEMANTICS, SequencePlan

CODE_VERSION: Final = str(SEMANTICS)
"""Of all assets: what another program would compute otherwise is stale."""
RECORDED_BY_IO_MANAGER: Final = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
"""Metadata of an output. It is what Dagster marks outputs with whose events are recorded already; nothing public says so."""


def raw_data_version(version: str) -> dict[str, str]:
    """The tags of a materialization that has no asset upstream: what it published."""
    return {
        CODE_VERSION_TAG: CODE_VERSION,
        DATA_VERSION_TAG: version,
        DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
    }


def cell_data_version(plan: SequencePlan, version: str, raw_event: int | None) -> dict[str, str]:
    """The tags of a materialization of sequences: what it published, and which raw observations it was made from.

    Args:
        plan: What it was made by.
        version: What it published.
        raw_event: Of the newest materialization of the raw observations, as `newest_materializations` has it.
    """
    return raw_data_version(version) | {
        get_input_data_version_tag(RAW_KEY): str(plan.raw_version),
        get_input_event_pointer_tag(RAW_KEY): NULL_EVENT_POINTER if raw_event is None else str(raw_event),
    }


def newest_materializations(instance: dg.DagsterInstance, asset: dg.AssetKey, partitions: Iterable[str]) -> Mapping[str, int]:
    """The ids that Dagster's log gives to the newest materializations of partitions, those that have one, in one query."""
    return instance.get_latest_storage_id_by_partition(asset, DagsterEventType.ASSET_MATERIALIZATION, set(partitions))
