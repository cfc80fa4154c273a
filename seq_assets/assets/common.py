"""What all assets have in common: their group, the table that explains their metadata, and what a run can be told."""

from typing import Final

import dagster as dg
from pydantic import Field

from seq_assets.io_managers.glossary import glossary

GROUP: Final = "seq_assets"
"""Of all assets: several groups would show as closed boxes, and hide the graph at first sight."""
DOCS: Final = {"docs": dg.MetadataValue.md(glossary())}
"""Metadata of every asset, not a link: what explains it opens wherever the platform is installed."""


class BuildConfig(dg.Config):
    """How a run builds its partitions."""

    force: bool = Field(
        default=False,
        description="Build even where source, model file and raw version are those of the newest version: a new version with "
        "the same content, for example where files of the newest were lost. The run's tag seq_assets/force=true does the same.",
    )
