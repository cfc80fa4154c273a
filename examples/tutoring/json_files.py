"""The team's own I/O manager: a JSON file per asset and partition."""

import json
from pathlib import Path
from typing import Any

import dagster as dg


class JsonFiles(dg.ConfigurableIOManager):
    """Keeps what assets return below a folder."""

    folder: str

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Writes the file anew."""
        file = self._file(context)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(obj), encoding="utf-8")

    def load_input(self, context: dg.InputContext) -> Any:
        """Reads the file."""
        return json.loads(self._file(context).read_text(encoding="utf-8"))

    def _file(self, context: dg.OutputContext | dg.InputContext) -> Path:
        key = context.asset_partition_key if context.has_asset_partitions else "all"
        return Path(self.folder, *context.asset_key.path, f"{key}.json")
