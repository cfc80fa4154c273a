"""What two versions of a table differ in, one entity at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from seq_assets_tests.reference.windows import Row


@dataclass
class Differences:
    """Entities of each kind, in their order, and altered entities by column."""

    added: list[Any] = field(default_factory=list)
    removed: list[Any] = field(default_factory=list)
    altered: list[Any] = field(default_factory=list)
    unchanged: list[Any] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)


def differences(before: Sequence[Row], after: Sequence[Row], entity: str, columns: Sequence[str]) -> Differences:
    """Compares the rows of each entity: an entity is altered where a column's values, in order, are others."""
    found = Differences(columns=dict.fromkeys(columns, 0))
    everybody = {row[entity] for row in [*before, *after]}
    for each in sorted(everybody, key=lambda value: value.encode() if isinstance(value, str) else value):
        old = [row for row in before if row[entity] == each]
        new = [row for row in after if row[entity] == each]
        if not old:
            found.added.append(each)
        elif not new:
            found.removed.append(each)
        else:
            changed = [name for name in columns if [row[name] for row in old] != [row[name] for row in new]]
            (found.altered if changed else found.unchanged).append(each)
            for name in changed:
                found.columns[name] += 1
    return found
