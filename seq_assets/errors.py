"""The errors that a user of the platform can cause and mend.

Every message names the thing, what was found, what is allowed and the remedy, so that it is enough on its own: the command
line and Dagster show it without a traceback. Mistakes of the program itself stay ordinary Python exceptions.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class SeqAssetsError(Exception):
    """Base of all errors whose message is written for the user."""


class RetryableError(SeqAssetsError):
    """What may pass by itself: the same work, tried again after a while, may succeed."""


class SettingsError(SeqAssetsError):
    """An environment variable or an argument asks for what is not possible."""


class PermissionDeniedError(SettingsError):
    """The credentials do not allow a call."""


class SourceError(SeqAssetsError):
    """A model's source is missing, empty, or cannot be read as its contract says."""


class NotPublishedError(SeqAssetsError):
    """A table, or the version asked for, does not exist."""


class NotInCatalogError(NotPublishedError, KeyError):
    """Nothing of that name is built; what looks a key up in a mapping takes it for a key that is missing."""

    def __str__(self) -> str:
        """The message; a `KeyError` would put it into quotes."""
        return str(self.args[0])


class LostFilesError(SeqAssetsError):
    """Files of a published version are gone, or have been cut short."""


class AuditError(SeqAssetsError):
    """The finished files failed a blocking condition, so nothing was published."""


class ConflictError(SeqAssetsError):
    """A table is not ours to write, or not now."""


class LostRaceError(ConflictError, RetryableError):
    """A publication lost every one of its attempts against concurrent ones."""


class DamagedError(SeqAssetsError):
    """The catalog, or what it says of a table, is lost or broken; `seq-assets repair` mends what can be mended."""


class DamagedWarning(UserWarning):
    """What the catalog says of a table is broken, and an older state is read in its place."""


class InputError(SeqAssetsError):
    """A table or an argument given to the Python interface does not fit."""


@dataclass(frozen=True)
class Mistake:
    """One mistake in a model file.

    Attributes:
        file: The model file as given.
        field: Path of the field, for example ``columns.correct.is_in``; empty for the file as a whole.
        found: What stands there.
        allowed: What may stand there, with the remedy where there is an obvious one.
    """

    file: str
    field: str
    found: str
    allowed: str

    def __str__(self) -> str:
        """One line: file, field, found, allowed."""
        place = f"{self.file}: {self.field}" if self.field else self.file
        return f"{place}: found {self.found}; allowed: {self.allowed}"


class ModelFileError(SeqAssetsError):
    """A model file, or a folder of them, has mistakes; all of them are listed."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        """Keeps the mistakes and joins them, a line each, into the message."""
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class QueryError(SeqAssetsError):
    """A query was refused, failed, was cancelled or took too long."""


class PassingQueryError(QueryError, RetryableError):
    """A query failed on every one of its attempts for what Athena calls retryable."""


class ThrottledError(RetryableError):
    """A service refused every one of our calls because it has too many of them."""
