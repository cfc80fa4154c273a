"""Jobs: the selections of assets that people, schedules, sensors and the command line run.

One run takes assets of one partitions definition, so there are two.
"""

from typing import Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

INGEST_JOB: Final = "ingest"
SEQUENCE_JOB: Final = "sequence"


def build_jobs() -> list[UnresolvedAssetJobDefinition]:
    """The two steps of the platform, each with its checks."""
    observations = dg.AssetSelection.assets("raw_observations", "rejected_observations")
    sequences = dg.AssetSelection.assets("sequenced_train", "sequenced_validation")
    return [
        dg.define_asset_job(INGEST_JOB, observations, description="Read, check, split and sort each model's source."),
        dg.define_asset_job(SEQUENCE_JOB, sequences, description="Cut raw observations into padded sequences."),
    ]
