"""Switches for faults: what the API and the queries that come next are to suffer.

Belongs here: which faults there are, and whose turn it is. Not here: how a fault looks; the API and the queries know that.
"""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar, get_args

Outcome = Literal["fail", "hang", "cancel"]
ThrottlingCode = Literal["ThrottlingException", "TooManyRequestsException"]
Damage = Literal["", "cut", "short", "slow", "reset"]
"""Of an answer by S3: it ends before its length, it says a smaller length, it comes in drops, it never comes."""

_SWITCHES = ("throttle", "lose_answers", "refuse", "damage", "expire", "fail", "hang", "cancel", "queue")
_ANY = "*"
_FOR_EVER = 1 << 60


@dataclass
class CallFault:
    """What happens to the next calls: they are refused, or done while their answer is lost or damaged.

    Attributes:
        remaining: Of how many calls.
        operation: Of Athena; of Glue as `glue:UpdateTable`, of S3 as `s3:GetObject`; `*` is all of them.
        code: With which a call is refused; None where it is done.
        status: Of HTTP, where it is refused.
        damage: Of the answer.
        access_key: Whose calls alone are meant, by the key that they are signed with; empty for everybody's.
        spared: How many calls come first that nothing happens to.
    """

    remaining: int
    operation: str
    code: str | None
    status: int = 400
    damage: Damage = ""
    access_key: str = ""
    spared: int = 0

    @property
    def message(self) -> str:
        """What the refusal says."""
        return "Rate exceeded" if self.code == "ThrottlingException" else "a fault was switched on"


@dataclass
class QueryFault:
    """What happens to the next queries; one whose text does not contain the given one is left alone."""

    remaining: int
    containing: str
    outcome: Outcome
    retryable: bool = False
    after_work: bool = False


@dataclass
class Delay:
    """How long the next queries are QUEUED."""

    remaining: int
    containing: str
    seconds: float


_Fault = TypeVar("_Fault", CallFault, QueryFault, Delay)


class Faults:
    """The switches of one stack; each counts down as it is used, and the first that fits is used."""

    def __init__(self) -> None:
        """Nothing is switched on."""
        self._lock = threading.Lock()
        self._calls: list[CallFault] = []
        self._queries: list[QueryFault] = []
        self._delays: list[Delay] = []

    def throttle(self, calls: int, code: ThrottlingCode = "ThrottlingException", operation: str = "") -> None:
        """The next calls are refused, and nothing is done: calls of Athena, or of one operation (also `glue:UpdateTable`)."""
        if code not in get_args(ThrottlingCode):
            raise ValueError(f"code is one of {', '.join(get_args(ThrottlingCode))}, not {code}")
        self._add(self._calls, CallFault(calls, operation, code))

    def lose_answers(self, calls: int, operation: str = "", access_key: str = "", spared: int = 0) -> None:
        """The next calls are done, but answered with an internal error, as when a connection breaks."""
        self._add(self._calls, CallFault(calls, operation, None, access_key=access_key, spared=spared))

    def refuse(
        self, calls: int, code: str, *, operation: str, status: int = 400, access_key: str = "", spared: int = 0
    ) -> None:
        """The next calls of one operation are refused, and nothing is done."""
        self._add(self._calls, CallFault(calls, operation, code, status, "", access_key, spared))

    def damage(self, calls: int, damage: Damage, *, operation: str, access_key: str = "", spared: int = 0) -> None:
        """The next calls of S3 are done, and their answers damaged on the way."""
        if damage not in get_args(Damage):
            raise ValueError(f"damage is one of {', '.join(get_args(Damage))}, not {damage}")
        self._add(self._calls, CallFault(calls, operation, None, 200, damage, access_key, spared))

    def expire(self, access_key: str, *, spared: int = 0) -> None:
        """After so many calls that are signed with a key, all others are refused because it has expired."""
        self._add(self._calls, CallFault(_FOR_EVER, _ANY, "ExpiredTokenException", access_key=access_key, spared=spared))

    def fail(self, queries: int, *, retryable: bool = False, after_work: bool = False, containing: str = "") -> None:
        """The next queries fail, before they did anything or after all their work was done."""
        self._add(self._queries, QueryFault(queries, containing, "fail", retryable, after_work))

    def hang(self, queries: int, *, after_work: bool = False, containing: str = "") -> None:
        """The next queries stay RUNNING until they are stopped."""
        self._add(self._queries, QueryFault(queries, containing, "hang", after_work=after_work))

    def cancel(self, queries: int, *, after_work: bool = False, containing: str = "") -> None:
        """The next queries are CANCELLED, as if somebody else stopped them."""
        self._add(self._queries, QueryFault(queries, containing, "cancel", after_work=after_work))

    def queue(self, queries: int, seconds: float, *, containing: str = "") -> None:
        """The next queries are QUEUED for a while before they run."""
        self._add(self._delays, Delay(queries, containing, seconds))

    def clear(self) -> None:
        """Nothing is switched on any more; queries that hang go on hanging."""
        with self._lock:
            self._calls.clear()
            self._queries.clear()
            self._delays.clear()

    def switched_on(self) -> list[dict[str, Any]]:
        """What is still to come."""
        with self._lock:
            return [asdict(fault) for faults in (self._calls, self._queries, self._delays) for fault in faults]

    def switch(self, orders: dict[str, dict[str, Any]]) -> None:
        """Switch on by name: `{"fail": {"queries": 1, "retryable": true}}`."""
        for name, arguments in orders.items():
            if name not in _SWITCHES:
                raise ValueError(f"a switch is one of {', '.join(_SWITCHES)}, not {name}")
            getattr(self, name)(**arguments)

    def of_call(self, operation: str, authorization: str = "") -> CallFault | None:
        """The fault of this call, which is thereby used.

        Args:
            operation: As in `CallFault`.
            authorization: The header that it is signed by, which names the key.
        """
        # Who names no operation means Athena's.
        wanted = {operation, _ANY} if ":" in operation else {operation, _ANY, ""}

        def fits(fault: CallFault) -> bool:
            is_meant = fault.operation in wanted and fault.access_key in authorization
            if is_meant and fault.spared:
                fault.spared -= 1
                return False
            return is_meant

        with self._lock:
            return _used(self._calls, fits)

    def of_query(self, text: str) -> tuple[QueryFault | None, float]:
        """The fault of this query and the seconds for which it is QUEUED, which are thereby used."""
        with self._lock:
            delay = _used(self._delays, lambda fault: fault.containing in text)
            return _used(self._queries, lambda fault: fault.containing in text), delay.seconds if delay else 0.0

    def _add(self, faults: list[_Fault], fault: _Fault) -> None:
        if fault.remaining < 1:
            raise ValueError(f"at least one, not {fault.remaining}")
        with self._lock:
            faults.append(fault)


def _used(faults: list[_Fault], fits: Callable[[_Fault], bool]) -> _Fault | None:
    fault = next(filter(fits, faults), None)
    if fault is not None:
        fault.remaining -= 1
        if not fault.remaining:
            faults.remove(fault)
    return fault
