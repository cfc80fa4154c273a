"""Dependencies point down only: cli -> assets, client -> environments -> io_managers -> warehouse -> sequencing -> models."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import seq_assets

PACKAGE = Path(seq_assets.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    """The dotted name of a file's module."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(file: Path) -> Iterator[str]:
    """Everything that a module imports anywhere in it, in functions and for type checking too, as dotted names."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_below(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or something in them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def imports_of(package: str) -> list[tuple[str, str]]:
    """Module and imported name, for all modules of a package, or for one module."""
    found = [(module, name) for file in FILES if is_below(module := module_of(file), package) for name in imported_names(file)]
    assert found, f"{package} has modules, and they import something"
    return found


def of_this_package_beyond(package: str, *allowed: str) -> list[tuple[str, str]]:
    """Imports of seq_assets' own modules that are none of the allowed."""
    return [
        (module, name) for module, name in imports_of(package) if is_below(name, "seq_assets") and not is_below(name, *allowed)
    ]


def test_models_depend_on_nothing_but_errors() -> None:
    assert of_this_package_beyond("seq_assets.models", "seq_assets.errors", "seq_assets.models") == []


def test_sequencing_depends_on_models_and_errors_only() -> None:
    allowed = ("seq_assets.errors", "seq_assets.models", "seq_assets.sequencing")
    assert of_this_package_beyond("seq_assets.sequencing", *allowed) == []


def test_warehouses_depend_on_what_is_below_them_only() -> None:
    allowed = ("seq_assets.errors", "seq_assets.models", "seq_assets.sequencing", "seq_assets.sample", "seq_assets.warehouse")
    assert of_this_package_beyond("seq_assets.warehouse", *allowed) == []


def test_io_managers_know_nothing_of_the_graph_and_its_users() -> None:
    above = ("assets", "cli", "client", "component", "definitions", "environments", "materialize")
    names = [f"seq_assets.{name}" for name in above]
    assert [(module, name) for module, name in imports_of("seq_assets.io_managers") if is_below(name, *names)] == []


@pytest.mark.parametrize("package", ["storage", "rules", "sources"])
def test_what_both_warehouses_share_knows_neither(package: str) -> None:
    each = ("seq_assets.warehouse.local", "seq_assets.warehouse.athena", "seq_assets.warehouse.publishing")
    assert [(module, name) for module, name in imports_of(f"seq_assets.warehouse.{package}") if is_below(name, *each)] == []


def test_nothing_imports_the_command_line() -> None:
    users = [(module, name) for module, name in imports_of("seq_assets") if is_below(name, "seq_assets.cli")]
    assert {module for module, _ in users if not is_below(module, "seq_assets.cli")} == {"seq_assets.__main__"}


def test_the_client_knows_no_graph() -> None:
    names = [f"seq_assets.{name}" for name in ("assets", "cli", "component", "io_managers", "materialize")]
    assert [(module, name) for module, name in imports_of("seq_assets.client") if is_below(name, *names)] == []


def test_errors_depend_on_nothing() -> None:
    assert of_this_package_beyond("seq_assets.errors") == []


@pytest.mark.parametrize("package", ["models", "sequencing", "warehouse", "errors", "client", "sample"])
def test_only_the_graph_and_what_runs_it_know_dagster(package: str) -> None:
    dagster = ("dagster", "dagster_duckdb", "dagster_aws")
    assert [(module, name) for module, name in imports_of(f"seq_assets.{package}") if is_below(name, *dagster)] == []


@pytest.mark.parametrize("package", ["models", "sequencing"])
def test_the_domain_knows_no_engine_and_no_cloud(package: str) -> None:
    engines = ("duckdb", "pyiceberg", "sqlalchemy", "boto3", "botocore", "pyarrow.fs", "pyarrow.parquet", "pyarrow.dataset")
    assert [(module, name) for module, name in imports_of(f"seq_assets.{package}") if is_below(name, *engines)] == []


def test_only_one_module_decides_which_warehouse_and_io_manager_are_bound() -> None:
    warehouses = ("LocalWarehouse", "StagingWarehouse", "AthenaWarehouse")
    bound = (*warehouses, *(f"{name}Resource" for name in warehouses), "LocalIOManager", "AthenaIOManager")
    users = {
        module_of(file)
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id in bound)
        or (isinstance(node, ast.Attribute) and node.attr in bound)
        or (isinstance(node, ast.alias) and node.name.rsplit(".", maxsplit=1)[-1] in bound)
    }
    made_there = ("seq_assets.warehouse.local", "seq_assets.warehouse.athena")
    users = {module for module in users if not is_below(module, *made_there)}
    assert users == {
        "seq_assets.environments",
        "seq_assets.io_managers.resources",
        "seq_assets.io_managers.athena_resource",
    }


def test_the_definitions_hold_the_graph_and_an_executor_and_nothing_else() -> None:
    tree = ast.parse((PACKAGE / "definitions.py").read_text(encoding="utf-8"))
    assert [type(node) for node in tree.body] == [ast.Expr, ast.Import, ast.ImportFrom, ast.ImportFrom, ast.Assign]
    assert ast.unparse(tree.body[-1]) == (
        "defs = dg.Definitions.merge(build_definitions(current_environment()), dg.Definitions(executor=dg.in_process_executor))"
    )


@pytest.mark.parametrize(
    "program",
    [
        "from seq_assets import load, sequence; from seq_assets.environments import current_environment as current; "
        "current().warehouse()",
        "from seq_assets.definitions import defs",
    ],
)
def test_what_runs_locally_loads_nothing_of_aws(tmp_path: Path, program: str) -> None:
    """It takes seconds to load."""
    check = "import sys; print(*sorted({'boto3', 'botocore', 'dagster_aws'} & set(sys.modules)))"
    settings = {"SEQ_ASSETS_ENV": "local", "SEQ_ASSETS_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{check}"], env=os.environ | settings, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


def test_every_module_says_what_it_is_for() -> None:
    assert [str(file) for file in FILES if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))] == []


WOULD_TAKE_FOLDERS_FOR_COLUMNS = (
    "read_parquet",
    "parquet_scan",
    "read_csv_auto",
    "read_table(",
    "ParquetDataset",
    "pyarrow.dataset",
)
"""By which engines read files given by their paths, in which they take `column=value` for a column."""


def test_parquet_files_are_read_by_what_ignores_the_names_of_their_folders() -> None:
    # Everything else reads through `engine.parquet`, or an open file, of which nobody sees the path.
    readers = {
        (module_of(file), call)
        for file in FILES
        for call in WOULD_TAKE_FOLDERS_FOR_COLUMNS
        if call in file.read_text(encoding="utf-8")
    }
    assert readers == {("seq_assets.warehouse.engine", "read_parquet")}
