"""Whatever S3, Glue and Athena answer, and whenever: the last version stands, whole, and the user is told in a sentence.

Each trial breaks one building of a model by one fault of one operation, and looks afterwards at everything that is published.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from seq_assets.errors import SourceError
from seq_assets.warehouse.athena.client import AthenaClient
from seq_assets.warehouse.storage.object_store import open_object
from seq_assets_tests.athena.breaking import ACCESS_KEY, Place, Trials, applied, place_of
from seq_assets_tests.athena.faults import Damage, Faults
from seq_assets_tests.tally import tally

if TYPE_CHECKING:
    from seq_assets_tests.athena.stack import Stack

pytestmark = pytest.mark.athena

LASTING: Final = 100_000
"""More calls than any building makes."""
Switch = Callable[..., None]


def refusal(code: str, status: int = 400) -> tuple[str, Switch]:
    """A refusal, with its name."""

    def switch(faults: Faults, operation: str, calls: int, spared: int) -> None:
        faults.refuse(calls, code, operation=operation, status=status, access_key=ACCESS_KEY, spared=spared)

    return code, switch


def damage(kind: Damage) -> tuple[str, Switch]:
    """Damage to an answer, with its name."""

    def switch(faults: Faults, operation: str, calls: int, spared: int) -> None:
        faults.damage(calls, kind, operation=operation, access_key=ACCESS_KEY, spared=spared)

    return kind, switch


def lost_answer() -> tuple[str, Switch]:
    """An answer that is lost although all was done, with its name."""

    def switch(faults: Faults, operation: str, calls: int, spared: int) -> None:
        faults.lose_answers(calls, operation, ACCESS_KEY, spared)

    return "lost answer", switch


@dataclass(frozen=True)
class Service:
    """What can be broken of a service.

    Attributes:
        title: For people.
        operations: Those that a building asks for.
        faults: What may come of each, with its name.
    """

    title: str
    operations: tuple[str, ...]
    faults: tuple[tuple[str, Switch], ...]


S3: Final = Service(
    "S3: 500, 503, expired, denied, cut off, too short, slow, no answer",
    tuple(
        f"s3:{name}"
        for name in (
            "GetObject",
            "HeadObject",
            "PutObject",
            "CreateMultipartUpload",
            "UploadPart",
            "CompleteMultipartUpload",
            "ListObjectsV2",
            "DeleteObject",
            "DeleteObjects",
        )
    ),
    (
        refusal("InternalError", 500),
        refusal("SlowDown", 503),
        refusal("ExpiredToken"),
        refusal("AccessDenied", 403),
        damage("cut"),
        damage("short"),
        damage("slow"),
        damage("reset"),
    ),
)
WITHOUT_REMOVING: Final = replace(S3, operations=tuple(name for name in S3.operations if name != "s3:DeleteObjects"))
"""Of staging, whose scratch files are on this machine."""
GLUE: Final = Service(
    "Glue: 500, throttled, conflicts, expired, denied, refused, answers lost",
    tuple(f"glue:{name}" for name in ("GetDatabase", "GetTable", "GetTables", "CreateTable", "UpdateTable")),
    (
        refusal("InternalServiceException", 500),
        refusal("ThrottlingException"),
        refusal("ConcurrentModificationException"),
        refusal("ExpiredTokenException"),
        refusal("AccessDeniedException"),
        refusal("InvalidInputException"),
        lost_answer(),
    ),
)
ATHENA: Final = Service(
    "Athena: 500, throttled, expired, denied, answers lost",
    ("GetWorkGroup", "StartQueryExecution", "GetQueryExecution", "GetQueryResults"),
    (
        refusal("InternalServerException", 500),
        refusal("ThrottlingException"),
        refusal("ExpiredTokenException"),
        refusal("AccessDeniedException"),
        lost_answer(),
    ),
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long, or often, before giving up; how long is no matter of what is told then."""
    monkeypatch.setattr("seq_assets.warehouse.athena.client._FIRST_BACKOFF", 0.05)
    monkeypatch.setattr("seq_assets.warehouse.athena.client._LONGEST_PAUSE", 0.2)
    monkeypatch.setattr("seq_assets.warehouse.storage.object_store._ATTEMPTS", 2)
    monkeypatch.setattr("seq_assets.warehouse.storage.iceberg_tables.ATTEMPTS", 3)
    monkeypatch.setattr("pyiceberg.catalog.glue.MAX_RETRIES", 1)
    # A query is waited for as long as Athena is too busy to say whether it is over.
    monkeypatch.setitem(AthenaClient.__init__.__kwdefaults__ or {}, "timeout_seconds", 20.0)


@pytest.fixture(scope="module")
def _staging(athena_stack: "Stack", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place_of(athena_stack, "staging", tmp_path_factory.mktemp("staging")) as place:
        yield place


@pytest.fixture
def staging(_staging: Place) -> Iterator[Place]:
    """A place where this machine does the work, which is published once."""
    with applied(_staging.settings):
        yield _staging


@pytest.fixture(autouse=True)
def _no_fault_is_left(athena_stack: "Stack") -> Iterator[None]:
    yield
    athena_stack.faults.clear()


def break_each(trials: Trials, service: Service, choice: random.Random, late: int) -> set[str]:
    """Breaks a building by each fault of each operation, for one call and for all; returns what was never called for.

    Args:
        trials: Does and counts them.
        service: Whose operations.
        choice: Chooses which call is the first that breaks.
        late: Fewer calls than so many come before it.
    """
    unused = set(service.operations)
    for operation in service.operations:
        for name, switch in service.faults:
            for calls in (1, LASTING):
                spared = choice.randrange(late)
                broken = partial(switch, trials.place.client.faults, operation, calls, spared)
                used = [False]

                def work(used: list[bool] = used, calls: int = calls, operation: str = operation) -> None:
                    try:
                        (trials.place.build_another if operation == "glue:CreateTable" else trials.place.build)()
                    finally:
                        left = trials.place.client.faults.switched_on()
                        used[0] = not left or left[0]["remaining"] < calls

                trials.attempt(f"{operation} {name}, {calls} call(s) after {spared}", broken, work)
                unused -= {operation} if used[0] else set()
    return unused


def assert_clean(trials: Trials) -> None:
    """Nothing was torn, lost or unreadable, and no message is other than a sentence of ours."""
    assert trials.figures() == {"torn": 0, "lost": 0, "unreadable": 0, "raw exceptions": 0}
    assert [told for told in trials.told if "Traceback" in told or "hush" in told] == []


# Quick forms


@pytest.mark.parametrize("calls", [1, LASTING])
@pytest.mark.parametrize("kind", ["cut", "short"])
def test_bytes_that_stay_away_are_asked_for_again_and_never_made_up(staging: Place, kind: Damage, calls: int) -> None:
    trials = Trials(staging)
    for spared in (0, 5):
        broken = partial(damage(kind)[1], staging.client.faults, "s3:GetObject", calls, spared)
        told = trials.attempt(kind, broken, staging.build)
        assert (told is None) == (calls == 1)
    assert_clean(trials)


@pytest.mark.parametrize(("code", "status", "words"), [("ExpiredToken", 400, "have expired"), ("AccessDenied", 403, "denied")])
@pytest.mark.parametrize("size", [1, 100, 3000])
def test_why_few_bytes_are_refused_is_told_as_for_many(staging: Place, size: int, code: str, status: int, words: str) -> None:
    """Arrow makes an internal failure of a refusal that is longer than what was asked for."""
    key = f"{staging.client.unique}/object"
    staging.client.s3.put_object(Bucket=staging.client.bucket, Key=key, Body=b"x" * 3000)
    with open_object(f"s3://{staging.client.bucket}/{key}") as opened:
        staging.client.faults.refuse(LASTING, code, operation="s3:GetObject", status=status, access_key=ACCESS_KEY)
        with pytest.raises(SourceError, match=words):
            opened.read(size)
        staging.client.faults.clear()
        assert opened.read(size) == b"x" * size


# Long forms


@pytest.mark.faults
@pytest.mark.parametrize(
    ("environment", "service"),
    [("staging", WITHOUT_REMOVING), ("staging", GLUE), ("prod", S3), ("prod", GLUE), ("prod", ATHENA)],
    ids=lambda value: value if isinstance(value, str) else value.title.partition(":")[0],
)
def test_whatever_is_answered_to_any_call_tears_and_loses_nothing(
    athena_stack: "Stack", tmp_path: Path, environment: str, service: Service, record_property: Callable[[str, Any], None]
) -> None:
    with place_of(athena_stack, environment, tmp_path) as place:
        trials = Trials(place)
        unused = break_each(trials, service, random.Random(0), 4)
        record_property(*tally(f"{service.title} ({environment})", trials.tried, trials.figures()))
    assert_clean(trials)
    assert unused == set()
