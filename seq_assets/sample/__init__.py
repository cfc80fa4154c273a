"""The bundled sample data: one small, made-up school, so that everything can be tried without any data of one's own.

Here belong the data that ship with the package, the program that makes them, and the lookup behind `sample://<name>`.
Here does not belong how a source is read (that is the same for a sample as for any other file), nor real data, nor
data that only a test needs.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

SAMPLES: Mapping[str, Path] = MappingProxyType({"school": Path(__file__).with_name("school.parquet")})
"""Where each sample lies, by the name that follows `sample://`."""


def school_path() -> Path:
    """Return the path of the sample school, a Parquet file with one row per answer (`sample://school`)."""
    return SAMPLES["school"]
