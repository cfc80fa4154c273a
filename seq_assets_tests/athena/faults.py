"""Switches for faults: what the API and the queries that come next are to suffer.

Belongs here: which faults there are, and whose turn it is. Not here: how a fault looks; the API and the queries know that.
"""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar, get_args

Outcome = Literal["fail", "hang", "cancel"]
ThrottlingCode = Literal["ThrottlingException", "TooManyRequestsException"]
_SWITCHES = ("throttle", "lose_answers", "fail", "hang", "cancel", "queue")


@dataclass
class CallFault:
    """What happens to the next calls of the API: they are refused, or done while their answer is lost."""

    remaining: int
    operation: str
    code: ThrottlingCode | None


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

    def lose_answers(self, calls: int, operation: str = "") -> None:
        """The next calls are done, but answered with an internal error, as when a connection breaks."""
        self._add(self._calls, CallFault(calls, operation, None))

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

    def of_call(self, operation: str) -> CallFault | None:
        """The fault of this call, which is thereby used."""
        with self._lock:
            # Who names no operation means Athena's.
            wanted = {operation} if ":" in operation else {operation, ""}
            return _used(self._calls, lambda fault: fault.operation in wanted)

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
