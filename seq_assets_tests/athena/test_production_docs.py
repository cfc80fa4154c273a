"""`docs/production.md` is true: its examples run on the stack, its policies allow what is called, its settings are those read.

Belongs here: how that document is executed. Its blocks between `~~~` need the stack and run here, in order, in a folder of
their own; what stands between the usual back quotes would run in `test_docs.py`. Not here: what the environments do.
"""

import ast
import doctest
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from click.testing import CliRunner

import seq_assets
from seq_assets import environments
from seq_assets.cli.commands import cli
from seq_assets.environments import current_environment
from seq_assets.errors import QueryError
from seq_assets.sequencing.plans import IngestPlan
from seq_assets.warehouse.storage import cloud, object_store
from seq_assets_tests.athena.fixtures import AthenaClient
from seq_assets_tests.cli.running import run
from seq_assets_tests.warehouse.building import Workspace

pytestmark = pytest.mark.athena

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "production.md"
SETTINGS_READ_IN: Final = (environments, cloud, object_store)
SERVICES: Final = ("S3", "GLUE", "ATHENA")

_BLOCK: Final = re.compile(
    r"(?:^`(?P<file>[\w./-]+)`:\n\n)?^~~~(?P<language>\w+)\n(?P<text>.*?)^~~~$", re.MULTILINE | re.DOTALL
)
_VARIABLE: Final = re.compile(r"(SEQ_ASSETS|AWS)_[A-Z0-9_]+|MODE|DAGSTER_HOME")
_OPTIONS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks() -> list[tuple[str | None, str, str]]:
    """File, language and text of each block for the stack."""
    return [
        (found["file"], found["language"], found["text"]) for found in _BLOCK.finditer(DOCUMENT.read_text(encoding="utf-8"))
    ]


# Examples


@pytest.mark.usefixtures("runs_in_memory")
def test_every_example_runs_on_the_stack_and_shows_what_it_says(
    production: AthenaClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in production.settings:
        if name.startswith("SEQ_ASSETS_"):
            monkeypatch.delenv(name)
    names: dict[str, Any] = {}
    for file, language, text in blocks():
        if file is not None:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(text, encoding="utf-8")
        elif language == "python":
            run_session(text, names)
        elif language == "sql":
            assert production.rows(text), text
        else:
            assert language == "console", f"{language}: a block that nothing runs"
            run_commands(text, monkeypatch)


def run_session(text: str, names: dict[str, Any]) -> None:
    """Runs a session; what it defines stays defined for later ones."""
    session = doctest.DocTestParser().get_doctest(text, names, DOCUMENT.name, str(DOCUMENT), 0)
    told: list[str] = []
    doctest.DocTestRunner(optionflags=_OPTIONS).run(session, out=told.append, clear_globs=False)
    names.update(session.globs)
    assert session.examples, "no session of >>>"
    assert not told, "".join(told)


def run_commands(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in text.removeprefix("$ ").split("\n$ "):
        line, _, expected = part.partition("\n")
        name, *arguments = shlex.split(line)
        if name == "export":
            for setting in arguments:
                monkeypatch.setenv(*setting.split("=", maxsplit=1))
            continue
        assert name == "seq-assets", line
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, f"{line}\n{result.output}"
        assert doctest.OutputChecker().check_output(expected, result.stdout, _OPTIONS), f"{line}\n{result.stdout}"


# Settings


def test_the_table_of_settings_names_exactly_the_variables_that_are_read() -> None:
    section = DOCUMENT.read_text(encoding="utf-8").split("\n## Settings\n")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(variables_read())


def variables_read() -> set[str]:
    """The names of variables in the modules that read them; one that ends with `_` has a service's name behind it."""
    found = set()
    for module in SETTINGS_READ_IN:
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _VARIABLE.fullmatch(node.value):
                name = node.value
                found |= {f"{name}{service}" for service in SERVICES} if name.endswith("_") else {name}
    return found


# Permissions


def allowed_by(policy: str) -> set[str]:
    """The actions that a policy of the document allows."""
    [text] = [text for file, _, text in blocks() if file == policy]
    statements = json.loads(text)["Statement"]
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    assert all(statement["Resource"] for statement in statements)
    return {action for statement in statements for action in statement["Action"]}


@contextmanager
def recorded_actions() -> Iterator[set[str]]:
    """The permissions that AWS would ask for, by what arrives at the stack.

    Not by boto3's event hooks: they hear nothing of Arrow's requests, nor of those that the engine makes for the caller.
    """
    from moto.s3.responses import S3Response

    from seq_assets_tests.athena.api import AthenaApi
    from seq_assets_tests.athena.aws import Endpoint

    actions: set[str] = set()
    s3_action, s3_delete = S3Response._set_action, S3Response._bucket_response_delete_keys
    glue, athena = Endpoint._glue, AthenaApi.answer

    def set_action(self: Any, kind: str, method: str, querystring: Any) -> None:
        s3_action(self, kind, method, querystring)
        actions.add(f"s3:{self.data['Action']}")

    def delete_keys(self: Any, *arguments: Any, **options: Any) -> Any:
        actions.add("s3:DeleteObject")
        return s3_delete(self, *arguments, **options)

    def answer_glue(self: Any, operation: str, *arguments: Any) -> Any:
        # moto lacks statistics of columns, which Trino asks for and Athena's users need no permission for.
        if "ColumnStatistics" not in operation:
            actions.add(f"glue:{operation}")
        return glue(self, operation, *arguments)

    def answer_athena(self: Any, operation: str, *arguments: Any) -> Any:
        actions.add(f"athena:{operation}")
        return athena(self, operation, *arguments)

    with (
        patch.object(S3Response, "_set_action", set_action),
        patch.object(S3Response, "_bucket_response_delete_keys", delete_keys),
        patch.object(Endpoint, "_glue", answer_glue),
        patch.object(AthenaApi, "answer", answer_athena),
    ):
        yield actions


@pytest.mark.usefixtures("production")
def test_the_policies_allow_every_call_of_an_ingest_of_sequences_of_the_command_sequence_and_of_loading(
    athena: AthenaClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("SEQ_ASSETS_MODELS", str(folder))
    workspace = Workspace(folder, current_environment().warehouse())
    address = f"{athena.folder}/sources"
    athena.s3.put_object(
        Bucket=athena.bucket,
        Key=f"{athena.unique}/sources/answers.csv",
        Body=b"pupil,time,item\n1,1,10\n1,2,20\n2,1,thirty\n4,1,40\n",
    )
    athena.glue.create_table(
        DatabaseName=athena.database,
        TableInput={
            "Name": "elsewhere",
            "PartitionKeys": [{"Name": "day", "Type": "string"}],
            "StorageDescriptor": {"Columns": [{"Name": "pupil", "Type": "bigint"}], "Location": f"{address}/"},
        },
    )
    spec = workspace.sequence_model(
        source={"location": f"{address}/"},
        sequence_lengths=[2],
        features={"item": {"encode": "vocabulary"}},
        checks={"rejected_ratio": {"max": 0.5}},
    )
    with recorded_actions() as built:
        workspace.ingest(spec)
        sequences = workspace.sequence(spec, "train", 2).version
        workspace.sequence(spec, "validation", 2)
        workspace.warehouse.inspect(sequences)
        workspace.warehouse.source_fingerprint(IngestPlan(spec, f"glue://{athena.database}/elsewhere", str(folder)))
        stop_a_query(athena, workspace, monkeypatch)
    with recorded_actions() as sequenced:
        for _ in range(2):
            run(
                *("sequence", "--s3_data_location", f"{address}/", "--output_s3_location", f"{athena.folder}/out"),
                *("--sequence_length", "2", "--model", spec.name),
            )
    with recorded_actions() as loaded:
        train, _ = seq_assets.load_split(spec.name, sequence_length=2)
        assert len(train.to_numpy()["item_sequence"]) == len(train)
        train.vocabulary()
        seq_assets.load_observations(spec.name).to_pandas()
        seq_assets.connect().sql(f"SELECT * FROM {spec.name}_rejected_observations").fetchall()

    assert {"s3:DeleteObject", "glue:GetPartitions", "glue:UpdateTable", "athena:StopQueryExecution"} <= built, (
        "all is recorded"
    )
    assert {"s3:GetObject", "glue:GetTables"} <= loaded
    assert built - allowed_by("build.json") == set()
    assert {"glue:DeleteDatabase", "s3:PutObject", "s3:DeleteObject"} <= sequenced
    assert sequenced - allowed_by("build.json") - allowed_by("sequence.json") == set()
    in_catalog = {action for action in sequenced if action.startswith("glue:")}
    assert in_catalog <= allowed_by("sequence.json"), "all of it in the database of its own"
    assert loaded - allowed_by("load.json") == set()
    assert allowed_by("load.json") <= allowed_by("build.json")


def stop_a_query(athena: AthenaClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a query hang until the platform gives it up."""
    warehouse: Any = workspace.warehouse
    athena.faults.hang(1)
    monkeypatch.setattr(warehouse.athena, "_timeout_seconds", 0.2)
    with pytest.raises(QueryError, match="was stopped"):
        warehouse.athena.execute("SELECT 1")
