"""The graph as a Dagster component: a `dg` project gets the platform by one `defs.yaml`.

Belongs here: what a `defs.yaml` may say, and what `dg scaffold` writes. Not here: the graph (`seq_assets.assets`), and what
settings mean (`seq_assets.environments`).
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

import dagster as dg
from pydantic import Field

from seq_assets.assets import build_definitions
from seq_assets.environments import Environment, current_environment
from seq_assets.errors import ModelFileError, SettingsError

_VARIABLES: Final = {
    "models": "SEQ_ASSETS_MODELS",
    "environment": "SEQ_ASSETS_ENV",
    "home": "SEQ_ASSETS_HOME",
    "database": "SEQ_ASSETS_DATABASE",
    "bucket": "SEQ_ASSETS_BUCKET",
    "prefix": "SEQ_ASSETS_PREFIX",
    "workgroup": "SEQ_ASSETS_WORKGROUP",
}
"""The variable that each attribute stands for."""
_ONLY_CHECKED: Final = "DAGSTER_IS_DEFS_VALIDATION_CLI"
"""Dagster's variable: definitions are loaded to be checked (`dg check defs`), and nothing will run."""
_DEFS_YAML: Final = """\
type: {type}

attributes:
  models: models  # the folder of model files; a relative path starts at this file's folder
  # Each of these beats its environment variable, SEQ_ASSETS_ENV for the first, SEQ_ASSETS_<NAME> for the others.
  # environment: "{{{{ env.DEPLOYMENT }}}}"  # local (the default), staging or prod
  # home: ../../../data  # where local tables live
  # database: learning
  # bucket: my-bucket  # this and the next of staging and prod, the last of prod
  # prefix: platform
  # workgroup: primary
"""
_EXAMPLE_MODEL: Final = """\
# One file is one model; `seq-assets validate FILE` shows every mistake at once. The file's name is free, the model's is not.
name: example
description: What the model is for.
owner: team:learning
source:
  location: sample://school  # the bundled sample; yours: a path or glob from here, s3://bucket/prefix/, glue://database/table
entity: pupilid  # whose observations form one history
order_by: [timestamp]  # ties keep the order of the source
columns:  # the contract: only these are read
  pupilid: {type: int64}
  timestamp: {type: timestamp}
  skillid: {type: int32}
  correct: {type: int8, is_in: [0, 1]}
features:  # each becomes <name>_sequence
  skillid: {pad_value: -1}
  correct: {pad_value: 0}
split: {strategy: entity_hash, validation_fraction: 0.2, seed: 0}
window: {mode: chunk}  # chunk | sliding | last | first | prefix
padding: {side: right}
sequence_lengths: [50]
"""


class SequenceModelsScaffolder(dg.Scaffolder):
    """Writes a commented `defs.yaml` and a commented model file, which can be materialized as they are."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Writes both; where Python is asked for, Dagster's own `component.py` in place of the first."""
        if request.scaffold_format == "yaml":
            text = _DEFS_YAML.format(type=request.type_name)
            (request.target_path / "defs.yaml").write_text(text, encoding="utf-8")
        else:
            dg.scaffold_component(request)
        models = request.target_path / "models"
        models.mkdir(exist_ok=True)
        (models / "example.yaml").write_text(_EXAMPLE_MODEL, encoding="utf-8")


@dg.scaffold_with(SequenceModelsScaffolder)
class SequenceModels(dg.Component, dg.Model, dg.Resolvable):
    """Raw observations and sequences of every model of a folder, one YAML file each.

    A setting that is left out comes from the environment's variables, as everywhere in the platform. A relative path starts at
    the folder of the `defs.yaml` (or `component.py`).
    """

    models: str = Field("models", description="The folder of model files.")
    environment: str | None = Field(None, description="local, staging or prod; default: SEQ_ASSETS_ENV, else local.")
    home: str | None = Field(None, description="Where local tables live; default: SEQ_ASSETS_HOME.")
    database: str | None = Field(None, description="The tables' namespace; default: SEQ_ASSETS_DATABASE.")
    bucket: str | None = Field(None, description="Of staging and prod: the tables' bucket; default: SEQ_ASSETS_BUCKET.")
    prefix: str | None = Field(None, description="Of staging and prod: where in the bucket; default: SEQ_ASSETS_PREFIX.")
    workgroup: str | None = Field(None, description="Of prod: Athena's workgroup; default: SEQ_ASSETS_WORKGROUP.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The graph of `build_definitions`.

        Raises:
            SettingsError: A setting is not possible; the message names the attribute.
            ModelFileError: A model file has mistakes, and definitions are only checked. Else its partitions say so: a broken
                file takes no other model down.
        """
        # Of a `component.py` the path is the file.
        folder = context.path if context.path.is_dir() else context.path.parent
        given = self._given(folder)
        variables = {_VARIABLES[attribute]: value for attribute, value in given.items()}
        try:
            return _checked_definitions(current_environment({**os.environ, **variables}))
        except SettingsError as error:
            raise SettingsError(f"{folder}: {_with_attributes(str(error), given)}") from None

    def _given(self, folder: Path) -> dict[str, str]:
        """The attributes that say something; relative paths start at the folder."""
        given = {attribute: value for attribute in _VARIABLES if (value := getattr(self, attribute))}
        return given | {name: str(folder / Path(given[name]).expanduser()) for name in ("models", "home") if name in given}


def _checked_definitions(environment: Environment) -> dg.Definitions:
    registry = environment.registry()
    mistakes = [mistake for error in registry.broken.values() for mistake in error.mistakes]
    if mistakes and os.environ.get(_ONLY_CHECKED):
        raise ModelFileError(mistakes)
    return build_definitions(environment, registry=registry)


def _with_attributes(message: str, given: Collection[str]) -> str:
    """A message that names variables, with the attributes that stand for them."""
    for attribute, variable in _VARIABLES.items():
        named = f"attributes.{attribute}"
        message = message.replace(variable, named if attribute in given else f"{named} or {variable}")
    return message
