"""The one switch: from the environment's variables to settings, a warehouse and Dagster's resources.

This is the only module that knows which environments exist and what each one binds. Everything else takes a warehouse, a
registry or resources as arguments. Importing it loads neither Dagster nor an engine.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from seq_assets.errors import SettingsError
from seq_assets.models import ModelRegistry, bundled_models_folder
from seq_assets.models.cross_checks import nearest
from seq_assets.models.spec import EnvironmentName
from seq_assets.warehouse.host_faults import explained
from seq_assets.warehouse.storage.durable import make_folder

if TYPE_CHECKING:
    from seq_assets.io_managers.plan_io_manager import Present
    from seq_assets.io_managers.resources import WarehouseResource
    from seq_assets.warehouse.interface import Warehouse
    from seq_assets.warehouse.storage.cloud import Cloud

CODE_LOCATION: Final = "seq_assets"
"""The name of the code location wherever it is served; workspace.yaml, pyproject.toml and dagster_cloud.yaml have it too."""
DEFINITIONS_MODULE: Final = "seq_assets.definitions"
AVAILABLE: Final = get_args(EnvironmentName)
_DATABASE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_=.-]+(/[A-Za-z0-9_=.-]+)*")
_WORKGROUP: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_ADDRESS: Final = re.compile(r"https?://[!-~]+")
_DAGSTER_YAML: Final = """\
# Written once by seq_assets; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
  pools:
    # Of the runs that use one warehouse, this many at a time; the others wait in the queue.
    default_limit: 1
    granularity: run
"""


@dataclass(frozen=True)
class Environment:
    """Where tables live and models are read from.

    Attributes:
        name: The environment.
        home: The local root.
        models_folder: The folder of model files.
        database: The namespace of the tables.
        bucket: Of staging and prod: the bucket of the tables.
        prefix: Of staging and prod: below which everything in the bucket is; may be empty.
        workgroup: Of prod: Athena's.
        failure_webhook: Where failures of runs are posted; None for nowhere. Whoever knows it can post there, so it is a
            secret: no text shows it.
        dagster_url: Where people find Dagster's UI, for links; None for no links.
    """

    name: EnvironmentName
    home: Path
    models_folder: Path
    database: str
    bucket: str = ""
    prefix: str = ""
    workgroup: str = "primary"
    failure_webhook: str | None = field(default=None, repr=False)
    dagster_url: str | None = None

    @property
    def runs_by_itself(self) -> bool:
        """Whether schedules and sensors are on unless somebody turns them off; elsewhere it is the other way round."""
        return self.name == "prod"

    @property
    def seconds_to_stop(self) -> float:
        """How long a command has that is told to stop: Athena has to be told, too, which its answers take time for."""
        return 3.5 if self.name == "prod" else 1.5

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its runs, for the command line and `make dev` alike."""
        return self.home / "dagster"

    @property
    def place_of_tables(self) -> str:
        """Where people find the tables' files: a folder, or an address on S3."""
        return str(self.home) if self.name == "local" else self._cloud().storage.root

    def registry(self) -> ModelRegistry:
        """The models.

        Raises:
            SettingsError: There is no such folder.
        """
        return ModelRegistry.of_folder(self.models_folder)

    def warehouse(self) -> "Warehouse":
        """The warehouse, for use outside Dagster."""
        if self.name == "local":
            from seq_assets.warehouse.local.warehouse import LocalWarehouse

            return LocalWarehouse(self.home, self.database, self.name)
        cloud = self._cloud()
        if self.name == "staging":
            from seq_assets.warehouse.local.staging import StagingWarehouse

            return StagingWarehouse(self.home, self.database, self.name, cloud=cloud)
        from seq_assets.warehouse.athena.warehouse import AthenaWarehouse

        return AthenaWarehouse(self.home, cloud=cloud, workgroup=self.workgroup)

    @contextmanager
    def temporary_warehouse(self, home: Path) -> Iterator["Warehouse"]:
        """A warehouse of its own, empty at first, whose tables are gone afterwards: no table of the environment hears of it.

        Plans are executed as everywhere in the environment. In prod, the tables are in a database `<database>_sequence_<hex>`,
        with their files below the environment's `scratch/`; elsewhere they are on this machine.

        Args:
            home: The local root; a folder of this warehouse alone, which whoever made it removes.
        """
        if self.name != "prod":
            from seq_assets.warehouse.local.warehouse import LocalWarehouse

            yield LocalWarehouse(home, smallest_kept=None)
            return
        from seq_assets.warehouse.athena.warehouse import AthenaWarehouse
        from seq_assets.warehouse.storage.cloud import temporary

        with temporary(self._cloud(), "sequence") as cloud:
            yield AthenaWarehouse(home, cloud=cloud, workgroup=self.workgroup, is_temporary=True)

    def _cloud(self) -> "Cloud":
        from seq_assets.warehouse.storage.cloud import Cloud

        return Cloud(self.name, self.bucket, self.prefix, self.database)

    def resources(self, present: "Present") -> dict[str, Any]:
        """Dagster's resources: `seq_assets_warehouse`, and the `seq_assets_io_manager` on whatever stands there in a run.

        Args:
            present: Makes the handles that assets downstream receive.
        """
        from seq_assets.io_managers.plan_io_manager import IO_MANAGER_KEY, WAREHOUSE_KEY, AthenaIOManager, LocalIOManager

        kind = AthenaIOManager if self.name == "prod" else LocalIOManager
        return {WAREHOUSE_KEY: self._warehouse_resource(), IO_MANAGER_KEY: kind.definition(present)}

    def _warehouse_resource(self) -> "WarehouseResource":

        place: dict[str, Any] = {"home": str(self.home), "database": self.database, "environment": self.name}
        if self.name == "prod":
            from dagster_aws.athena import AthenaClientResource

            from seq_assets.io_managers.athena_resource import AthenaWarehouseResource

            athena = AthenaClientResource(workgroup=self.workgroup)
            return AthenaWarehouseResource(athena=athena, bucket=self.bucket, prefix=self.prefix, **place)
        from dagster_duckdb import DuckDBResource

        from seq_assets.io_managers.resources import LocalWarehouseResource, StagingWarehouseResource

        place["duckdb"] = DuckDBResource(database=":memory:")
        if self.name == "local":
            return LocalWarehouseResource(**place)
        return StagingWarehouseResource(bucket=self.bucket, prefix=self.prefix, **place)


def current_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """The environment that the process' variables ask for.

    `SEQ_ASSETS_ENV` (or `MODE=local`) names it; `SEQ_ASSETS_HOME`, `SEQ_ASSETS_MODELS`, `SEQ_ASSETS_DATABASE`,
    `SEQ_ASSETS_PREFIX` and `SEQ_ASSETS_WORKGROUP` beat the defaults; `SEQ_ASSETS_BUCKET`, which staging and prod need,
    `SEQ_ASSETS_FAILURE_WEBHOOK` and `SEQ_ASSETS_DAGSTER_URL` have none.

    Raises:
        SettingsError: There is no such environment, a name, an address or a folder cannot be one, or a setting is missing.
    """
    variable = next((variable for variable in ("SEQ_ASSETS_ENV", "MODE") if variables.get(variable)), None)
    name = variables[variable] if variable else "local"
    if name not in AVAILABLE:
        raise SettingsError(f"{variable}: found {name!r}; allowed: {', '.join(AVAILABLE)}{nearest(name, AVAILABLE)}")
    if name != "local" and not variables.get("SEQ_ASSETS_BUCKET"):
        raise SettingsError(f"SEQ_ASSETS_BUCKET: found nothing; the environment {name} needs the name of its bucket on S3.")
    models = variables.get("SEQ_ASSETS_MODELS")
    return Environment(
        name=cast(EnvironmentName, name),
        home=_home(variables),
        models_folder=Path(models).expanduser().resolve() if models else bundled_models_folder(),
        database=_name(
            variables,
            "SEQ_ASSETS_DATABASE",
            f"seq_assets_{name}",
            _DATABASE,
            "a name: a to z first, then a to z, 0 to 9 and _, 63 at most",
        ),
        bucket=_name(variables, "SEQ_ASSETS_BUCKET", "", _BUCKET, "a name: a to z, 0 to 9, . and -, 3 to 63 long"),
        prefix=_name(variables, "SEQ_ASSETS_PREFIX", "", _PREFIX, "names of letters, digits and _ = . -, with / between them"),
        workgroup=_name(variables, "SEQ_ASSETS_WORKGROUP", "primary", _WORKGROUP, "letters, digits and . _ -, 128 at most"),
        failure_webhook=_address(variables, "SEQ_ASSETS_FAILURE_WEBHOOK"),
        dagster_url=_address(variables, "SEQ_ASSETS_DAGSTER_URL"),
    )


def _home(variables: Mapping[str, str]) -> Path:
    given = variables.get("SEQ_ASSETS_HOME")
    home = Path(given).expanduser().resolve() if given else default_home(Path.cwd())
    if "\\" in str(home):
        raise SettingsError(
            f"SEQ_ASSETS_HOME: found '{home}'; allowed: a folder without a backslash in its path, which DuckDB takes for a "
            "slash. Name another folder, or rename this one."
        )
    return home


def _name(variables: Mapping[str, str], variable: str, default: str, pattern: re.Pattern[str], allowed: str) -> str:
    name = variables.get(variable) or default
    if name and not pattern.fullmatch(name):
        raise SettingsError(f"{variable}: found {name!r}; allowed: {allowed}")
    return name


def _address(variables: Mapping[str, str], variable: str) -> str | None:
    address = variables.get(variable) or None
    if address is not None and not _ADDRESS.fullmatch(address):
        # What was found stays unsaid, because it may be a secret.
        raise SettingsError(f"{variable}: found something else than an address; allowed: https://… (or http://…)")
    return address


def default_home(folder: Path) -> Path:
    """`data/` beside the nearest `workspace.yaml` in or above a folder, else `~/.seq_assets`."""
    for candidate in (folder, *folder.parents):
        if (candidate / "workspace.yaml").is_file():
            return candidate / "data"
    return Path.home() / ".seq_assets"


def prepare_dagster_home(environment: Environment) -> Path:
    """Makes Dagster's home, with a configuration for local use where it has none, and returns it.

    A `DAGSTER_HOME` that is set already gets no configuration; it is only made, because Dagster refuses a folder that is not
    there, or whose path is relative.

    Raises:
        SettingsError: It cannot be made.
    """
    given = os.environ.get("DAGSTER_HOME")
    if given:
        home = Path(given).expanduser().resolve()
        with explained(home, "set DAGSTER_HOME to another folder"):
            home.mkdir(parents=True, exist_ok=True)
        return home
    with explained(environment.dagster_home, "set SEQ_ASSETS_HOME to another folder"):
        # Of a new home, too, the name is to stay.
        make_folder(environment.dagster_home)
        configuration = environment.dagster_home / "dagster.yaml"
        if not configuration.exists():
            configuration.write_text(_DAGSTER_YAML, encoding="utf-8")
    return environment.dagster_home


if __name__ == "__main__":
    print(prepare_dagster_home(current_environment()))
