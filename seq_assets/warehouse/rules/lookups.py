"""Long lists of accepted values: tables that are looked up, because a query has a largest size and is slow to plan.

Belongs here: which columns have such a list, and the table that holds it. Not here: how an engine is given a table.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import pyarrow as pa

from seq_assets.models import ModelSpec
from seq_assets.models.columns import Validation
from seq_assets.sequencing.schemas import stored_type

MOST_LISTED: Final = 1_000
"""Values that a query names."""
VALUE: Final = "value"
"""The only column of each table."""

Lookups: TypeAlias = Mapping[str, str]
"""By column of the contract: the table of its accepted values, as queries name it."""
NO_LOOKUPS: Final[Lookups] = MappingProxyType({})


def looked_up(spec: ModelSpec) -> list[str]:
    """The columns of the contract whose accepted values are many."""
    return [name for name, column in spec.columns.items() if column.is_in is not None and len(column.is_in) > MOST_LISTED]


def lookup_table(spec: ModelSpec, name: str) -> pa.Table:
    """The accepted values of a column, each once, in the stored type."""
    column = spec.columns[name]
    values = dict.fromkeys(dict(column.validations())[Validation.IS_IN])
    return pa.table({VALUE: pa.array(values, stored_type(column.type))})
