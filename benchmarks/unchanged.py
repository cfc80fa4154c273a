"""What `seq-assets materialize` costs where nothing has changed, for a team of many small models.

Belongs here: such a home, and one measured process over it. Sources are tiny, so that nothing but looking is measured.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.measuring import Measurement, measure
from benchmarks.report import seconds, table

MODELS: Final = 50
LENGTHS: Final = (2, 3, 4, 5, 6, 7, 8, 10)
MOST_CPU_SECONDS: Final = 20.0
"""What it may take on the machine of the README."""


def run(folder: Path, models: int, times: int) -> tuple[str, Any]:
    """Builds the home where it is missing, and measures; returns a table and the numbers."""
    place = folder / "unchanged" / str(models)
    settings = {"SEQ_ASSETS_HOME": str(place / "home"), "SEQ_ASSETS_MODELS": str(place / "models")}
    if not (place / "home" / "built").exists():
        shutil.rmtree(place, ignore_errors=True)
        write_models(place / "models", models)
        measure(["-m", "seq_assets", "materialize"], settings)
        (place / "home" / "built").touch()
    measured = [measure(["-m", "seq_assets", "materialize"], settings) for _ in range(times)]
    shown = table([dict(_row(models, measurement)) for measurement in measured])
    return shown, [vars(measurement) for measurement in measured]


def write_models(folder: Path, models: int) -> None:
    """Writes that many models of one tiny source, each with all lengths."""
    folder.mkdir(parents=True)
    answers = [(pupil, time) for pupil in range(1, 11) for time in range(pupil)]
    lines = [f"{pupil},{time},{(pupil + time) % 7},{time % 2}" for pupil, time in answers]
    (folder / "answers.csv").write_text("\n".join(["pupil,time,skill,correct", *lines]) + "\n", encoding="utf-8")
    for number in range(models):
        content = {
            "name": f"model_{number:03}",
            "source": {"location": "answers.csv"},
            "entity": "pupil",
            "order_by": ["time"],
            "columns": {
                "pupil": {"type": "int64"},
                "time": {"type": "int64"},
                "skill": {"type": "int32"},
                "correct": {"type": "int8", "is_in": [0, 1]},
            },
            "features": {"skill": {"pad_value": -1}, "correct": {"pad_value": 0}},
            "sequence_lengths": list(LENGTHS),
        }
        (folder / f"{content['name']}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _row(models: int, measurement: Measurement) -> Iterator[tuple[str, object]]:
    yield "models × lengths, all unchanged", f"{models} × {len(LENGTHS)}"
    yield "CPU", seconds(measurement.cpu_seconds)
    yield "wall", seconds(measurement.seconds)
    yield "CPU wanted", f"< {seconds(MOST_CPU_SECONDS)}"
    yield "met", "yes" if measurement.cpu_seconds < MOST_CPU_SECONDS else "**no**"
