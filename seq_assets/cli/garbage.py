"""The command that removes what nobody needs any more: `gc`."""

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from seq_assets.cli.shown import JSON_OPTION, echo_table
from seq_assets.environments import current_environment

if TYPE_CHECKING:
    from seq_assets.warehouse.interface import Garbage

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION: Final = re.compile(r"([0-9]{1,5})([smhd])")


class _Duration(click.ParamType[timedelta]):
    """A number of seconds, minutes, hours or days; not so many days that there was no such year."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration that a text means."""
        match = _DURATION.fullmatch(str(value))
        if match is None:
            allowed = "a whole number below 100000 and s, m, h or d, such as 90m, 24h or 7d"
            self.fail(f"found {value!r}; allowed: {allowed}", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.command()
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    help="Of every model, keep this many of the newest versions of each table, whatever the model files say; default: what "
    "each model file has as `keep`, and all where it has none.",
)
@click.option(
    "--older-than",
    type=_Duration(),
    default="24h",
    show_default=True,
    help="Only what was written, or replaced by a newer version, longer ago: 90m, 24h, 7d.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@JSON_OPTION
def gc(keep: int | None, older_than: timedelta, dry_run: bool, as_json: bool) -> None:
    """Removes versions beyond those that are kept, files that nobody needs, and what killed processes have left.

    A version stays with all that it needs: the raw observations that sequences were cut from, what these were published with,
    and the vocabulary that theirs continues. Versions with a tag stay, too. So does whatever a running process may be using, on
    whichever machine, at most a week; a shorter --older-than than 24h is for when nothing runs. Safe at any time, also while
    others read and publish, and when it is stopped and run again.

    Exit code 1 where tables were left alone because they are damaged.
    """
    from seq_assets.warehouse.retention import Retention

    environment = current_environment()
    retention = (
        Retention.of_models(environment.registry().specs, older_than)
        if keep is None
        else Retention(keep_of_others=keep, older_than=older_than)
    )
    found = environment.warehouse().collect_garbage(retention, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(_described(found, dry_run), indent=2))
    else:
        _echo(found, dry_run)
    for sentence in found.spared:
        click.echo(sentence, err=True)
    if found.spared:
        raise click.exceptions.Exit(1)


def _described(found: "Garbage", dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "versions": [
            {"table": version.dataset.table, "version": str(version.id), "committed_at": version.committed_at.isoformat()}
            for version in found.expired
        ],
        "removed": _rows(found),
        "bytes": found.bytes,
        "left_alone": list(found.spared),
    }


def _rows(found: "Garbage") -> list[dict[str, Any]]:
    return [{"what": one.kind, "of": one.place, "number": one.number, "bytes": one.bytes} for one in found.removed]


def _echo(found: "Garbage", dry_run: bool) -> None:
    if not found.expired and not found.removed:
        click.echo("Nothing to remove.")
        return
    by_table: dict[str, int] = {}
    for version in found.expired:
        by_table[version.dataset.table] = by_table.get(version.dataset.table, 0) + 1
    versions = [{"what": "versions", "of": table, "number": number, "bytes": None} for table, number in by_table.items()]
    echo_table([*versions, *_rows(found)])
    done = "Would be removed" if dry_run else "Removed"
    files = sum(one.number for one in found.removed)
    click.echo(f"{done}: {len(found.expired):,} versions, {files:,} files, {found.bytes:,} bytes.")
