"""What goes wrong on the stack, as its parts tell each other.

Belongs here: the exceptions. Not here: how they look on the wire, which the API decides.
"""

from enum import IntEnum


class Category(IntEnum):
    """Whose fault a failed query is, as Athena numbers it."""

    SYSTEM = 1
    USER = 2
    OTHER = 3


class RequestRefusedError(Exception):
    """The API answers with an error, and nothing was started."""

    def __init__(self, message: str, *, code: str = "InvalidRequestException", status: int = 400, **details: str) -> None:
        """The code is the exception's name in clients; details are further fields of the answer."""
        super().__init__(message)
        self.code = code
        self.status = status
        self.details = details


class QueryFailedError(Exception):
    """A query that was started ends as FAILED."""

    def __init__(
        self, message: str, *, category: Category = Category.USER, error_type: int = 1100, retryable: bool = False
    ) -> None:
        """The message becomes the reason of the state; the rest is Athena's `AthenaError`."""
        super().__init__(message)
        self.category = category
        self.error_type = error_type
        self.retryable = retryable


class QueryStoppedError(Exception):
    """A query was stopped before it was done; it ends as CANCELLED."""


class StackFailedError(Exception):
    """The stack cannot start or stand; the message says why and shows what the failed part logged last."""
