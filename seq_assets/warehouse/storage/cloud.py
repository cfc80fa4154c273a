"""Tables on AWS: where their files and their catalog are, by the standard `AWS_*` settings.

Credentials come from the standard chain alone and are never looked at here.
"""

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from seq_assets.errors import ConflictError, LostRaceError, SeqAssetsError, SettingsError
from seq_assets.warehouse.cancellation import tidying
from seq_assets.warehouse.storage.leases import lease
from seq_assets.warehouse.storage.object_store import explained, list_objects, remove_objects
from seq_assets.warehouse.storage.storage import S3Storage

if TYPE_CHECKING:
    from seq_assets.warehouse.storage.iceberg_tables import Tables

logger = logging.getLogger(__name__)

_FILE_IO: Final = "seq_assets.warehouse.storage.object_file_io.ObjectFileIO"
_LOST_RACES: Final = ("AlreadyExistsException", "ConcurrentModificationException", "ResourceNotReadyException")
"""What Glue says to one of two that change the same thing at once."""


@dataclass(frozen=True)
class Cloud:
    """The place of an environment's tables.

    Attributes:
        environment: Recorded in each table.
        bucket: The bucket on S3.
        prefix: Below which everything is; may be empty.
        database: The Glue database.
    """

    environment: str
    bucket: str
    prefix: str
    database: str

    @property
    def storage(self) -> S3Storage:
        """Where the tables keep their files: `s3://bucket/prefix/database`."""
        return S3Storage("/".join(part for part in (f"s3://{self.bucket}", self.prefix, self.database) if part))

    def open_tables(self) -> "Tables":
        """The tables, in the Glue catalog.

        Raises:
            SettingsError: The bucket, credentials or the region are missing; known from one cheap call, before any work.
            RetryableError: The bucket is out of reach.
        """
        from pyiceberg.catalog.glue import GlueCatalog

        from seq_assets.warehouse.storage.glue_pointers import GluePointers
        from seq_assets.warehouse.storage.iceberg_tables import Tables

        self._require_bucket()
        # pyiceberg hands nothing of the environment on to Arrow.
        properties = {"py-io-impl": _FILE_IO, "glue.endpoint": endpoint("glue"), "client.region": region()}
        given = {name: value for name, value in properties.items() if value}
        with glue_explained(f"glue://{self.database}", SettingsError):
            catalog = GlueCatalog(self.environment, warehouse=self.storage.root, **given)
        return Tables(
            catalog, GluePointers(catalog, self.database), self.database, self.environment, self.storage, self._explained
        )

    def remove(self) -> None:
        """Removes the database, with which Glue removes all tables in it, and all of their files.

        Raises:
            SettingsError: Glue or S3 refuses.
            RetryableError: One of them is out of reach.
        """
        glue = boto3_client("glue")
        with glue_explained(f"glue://{self.database}", SettingsError), suppress(glue.exceptions.EntityNotFoundException):
            glue.delete_database(Name=self.database)
        remove_objects(f"{self.storage.root}/", SettingsError)

    def _require_bucket(self) -> None:
        with _naming("SEQ_ASSETS_BUCKET", self.storage.root):
            next(list_objects(f"{self.storage.root}/", SettingsError), None)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What Glue, or S3 as Arrow speaks to it, refuses inside becomes an error for the user."""
        from pyiceberg.exceptions import NoSuchIcebergTableError, NoSuchPropertyException

        catalog = f"glue://{self.database}"
        with _naming("SEQ_ASSETS_DATABASE", catalog), glue_explained(catalog, SettingsError):
            try:
                yield
            except (NoSuchIcebergTableError, NoSuchPropertyException) as error:
                raise ConflictError(
                    f"{catalog} has a table of one of our names that is none of Iceberg ({error}); give that table another "
                    "name, or set SEQ_ASSETS_DATABASE to a database of this environment's own."
                ) from error
            except OSError as error:
                # Errors of this machine's files have a number, and stay what they are.
                if error.errno is not None:
                    raise
                with _naming("SEQ_ASSETS_BUCKET", self.storage.root), explained(self.storage.root, SettingsError):
                    raise


@contextmanager
def temporary(cloud: Cloud, purpose: str) -> Iterator[Cloud]:
    """A place of its own for tables that nobody else is to hear of, removed afterwards, also where its use is interrupted.

    Its database is `<database>_<purpose>_<hex>`; its files are in a folder of that name, in the `scratch/` of the given place.
    """
    prefix = "/".join(part for part in (cloud.prefix, cloud.database, "scratch") if part)
    place = replace(cloud, prefix=prefix, database=f"{cloud.database}_{purpose}_{uuid.uuid4().hex}")
    cloud._require_bucket()
    try:
        with lease(cloud.storage):
            yield place
    finally:
        try:
            with tidying():
                place.remove()
        except SeqAssetsError as error:
            # What ended its use is what must be told.
            logger.warning("The database %s and what is below %s are left: %s", place.database, place.storage.root, error)


@contextmanager
def _naming(variable: str, address: str) -> Iterator[None]:
    """Has a mistake in the settings begin with the variable, where the error is about what it names."""
    try:
        yield
    except SettingsError as error:
        if not str(error).startswith(repr(address)[:-1]):
            raise
        raise SettingsError(f"{variable}: {error}") from error


@contextmanager
def glue_explained(address: str, kind: type[SeqAssetsError]) -> Iterator[None]:
    """What Glue refuses inside becomes an error for the user, which shows no credential.

    Args:
        address: `glue://` and what the calls are about.
        kind: The error to raise for what the caller can mend.

    Raises:
        LostRaceError: Another has changed the same thing meanwhile.
        RetryableError: Glue is out of reach, or has too much to do.
        SeqAssetsError: Of the given kind, for all else.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _LOST_RACES:
            message = f"{address} was changed by another at the same time ({code} in {error.operation_name}); try again."
            raise LostRaceError(message) from error
        with explained(address, kind):
            raise
    except BotoCoreError:
        with explained(address, kind):
            raise


def boto3_client(service: str) -> Any:
    """A boto3 client with the standard settings."""
    import boto3

    return boto3.Session(region_name=region()).client(service, endpoint_url=endpoint(service))


def endpoint(service: str) -> str | None:
    """Where a service is reached; None for AWS itself."""
    return os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL") or None


def region() -> str | None:
    """The region that the settings name; None leaves it to the profile."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
