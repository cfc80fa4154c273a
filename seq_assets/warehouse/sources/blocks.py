"""Blocks of delimited text: whole records, and those among them whose quotes make no record.

Belongs here: pure functions from bytes of UTF-8 to where records begin and end. A quoted field begins with a quote at the start
of a field and ends with the next quote that is not doubled, which a delimiter, a line end or the end of the text must follow. A
quote elsewhere in an unquoted field is a character. Not here: reading files (`lines`), and what the fields of a record hold.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Positions: TypeAlias = npt.NDArray[np.int64]

NOT_CLOSED: Final = "a field not closed"
TEXT_AFTER: Final = "text after a closing quote"

_QUOTE: Final = ord('"')
_LINE_END: Final = re.compile(rb"[\r\n]")
_QUOTES_TRIED: Final = 10_000
_NOTHING: Final = np.empty(0, np.int64)


@dataclass(frozen=True)
class Fault:
    """A record that its quotes or its length make malformed.

    Attributes:
        start: Where it begins.
        end: The line end that ends it.
        detail: What is wrong with it.
        is_too_long: Whether that is the length of its line.
    """

    start: int
    end: int
    detail: str
    is_too_long: bool = False


@dataclass(frozen=True)
class Block:
    """Whole records.

    Attributes:
        text: The records, with their line ends.
        edges: Positions of bytes between each two of which line ends do not end a record: the quotes of fields, and the first
            and the last byte of each malformed record.
        faults: The malformed records, in order.
    """

    text: bytes
    edges: Positions
    faults: tuple[Fault, ...] = ()

    def records(self) -> tuple[Positions, Positions]:
        """The first byte of each record and the line end after it; blank lines are none."""
        ends = self._line_ends()
        ends = ends[np.searchsorted(self.edges, ends) % 2 == 0]
        starts, ends = np.append(0, ends + 1), np.append(ends, len(self.text))
        is_record = ends > starts
        return starts[is_record], ends[is_record]

    def records_over_lines(self, records: int) -> int:
        """How many of so many records span lines, malformed ones aside."""
        if not len(self.edges):
            return 0
        lines = self.text.count(b"\n") + (not self.text.endswith(b"\n"))
        if lines <= records and b"\r" not in self.text.replace(b"\r\n", b"\n"):
            return 0
        ends = self._line_ends()
        is_inside = np.searchsorted(self.edges, ends) % 2 == 1
        numbers = np.searchsorted(ends[~is_inside], ends[is_inside])
        malformed = np.searchsorted(ends[~is_inside], [fault.start for fault in self.faults])
        return len(np.setdiff1d(numbers, malformed))

    def marked(self, mark: bytes, end: bytes) -> bytes:
        """The text with each malformed record replaced by `mark`, its number among them, from 0, and `end`."""
        pieces, place = [], 0
        for number, fault in enumerate(self.faults):
            pieces += [self.text[place : fault.start], mark, str(number).encode(), end]
            place = fault.end
        return b"".join([*pieces, self.text[place:]])

    def _line_ends(self) -> Positions:
        array = np.frombuffer(self.text, np.uint8)
        is_end = array == ord("\n")
        if b"\r" in self.text:
            is_end |= array == ord("\r")
        return np.flatnonzero(is_end)


def before(block: Block, place: int) -> Block:
    """The records of a block that stand before one that begins at a place."""
    faults = tuple(fault for fault in block.faults if fault.start < place)
    return Block(block.text[:place], block.edges[block.edges < place], faults)


def beginning(text: bytes, size: int, detail: str, is_too_long: bool) -> Block:
    """A block of one malformed record, of whose text the first bytes are kept, whole characters."""
    kept = text[:size].decode(errors="ignore").encode()
    return Block(kept + b"\n", np.array([0, len(kept) - 1]), (Fault(0, len(kept), detail, is_too_long),))


def first_longer(block: Block, rest: bytes, longest: int) -> int | None:
    """Where the first record begins that has more bytes than are allowed; None where there is none.

    Args:
        block: Whole records.
        rest: What follows it; as far as it is known, it has no whole record.
        longest: Bytes of a record. The rest is not judged before it has twice as many: a quote may still turn out to be none.
    """
    starts, ends = block.records()
    longer = starts[ends - starts > longest]
    if len(longer):
        return int(longer[0])
    line_ends = len(rest) - len(rest.lstrip(b"\r\n"))
    return len(block.text) + line_ends if len(rest) - line_ends > 2 * longest + 2 else None


def whole_lines(text: bytes, is_last: bool) -> Block:
    """The lines at the beginning of a text that are whole, where a quote is a character like others."""
    return Block(text if is_last else text[: _last_line_end(text, 0, len(text)) + 1], _NOTHING)


def whole_records(text: bytes, delimiter: int, is_last: bool, longest: int) -> Block:
    """The records at the beginning of a text that are whole.

    Args:
        text: Begins with a record.
        delimiter: The byte between fields.
        is_last: Whether nothing comes after the text; then its last line needs no end.
        longest: Bytes between the quotes of a field; one without a closing quote so near is not closed.
    """
    quotes = np.flatnonzero(np.frombuffer(text, np.uint8) == _QUOTE) if b'"' in text else _NOTHING
    if not len(quotes):
        return whole_lines(text, is_last)
    end = len(text) if is_last else _end_of_whole_records(text, quotes)
    inner = quotes[: np.searchsorted(quotes, end)]
    if 0 < end <= longest and _is_well_formed(text, inner, end, delimiter):
        return Block(text[:end], inner)
    return _walked(text, quotes.tolist(), delimiter, is_last, longest)


def _end_of_whole_records(text: bytes, quotes: Positions) -> int:
    """The place after the last line end that an even number of quotes precedes; 0 where it is not near."""
    end = len(text)
    for before in range(len(quotes), max(-1, len(quotes) - _QUOTES_TRIED), -1):
        start = int(quotes[before - 1]) if before else 0
        found = _last_line_end(text, start, end) if before % 2 == 0 else -1
        if found >= 0:
            return found + 1
        end = start
    return 0


def _is_well_formed(text: bytes, quotes: Positions, end: int, delimiter: int) -> bool:
    """Whether every quote of text before an end opens or closes a field, or is half of a doubled one.

    With quotes numbered from 0, this is so just where every even one follows the start of a field or the odd one before it, and
    every odd one is followed by the end of a field or the even one after it.
    """
    if len(quotes) % 2:
        return False
    if not len(quotes):
        return True
    array = np.frombuffer(text, np.uint8, end)
    # Between fields, as the beginning and the end of the text are.
    is_between = np.ones(end + 2, np.bool_)
    is_between[1:-1] = (array == delimiter) | (array == ord("\n"))
    if b"\r" in text:
        is_between[1:-1] |= array == ord("\r")
    opening, closing = quotes[0::2], quotes[1::2]
    opens, closes = is_between[:-2][opening], is_between[2:][closing]
    if opens.all() and closes.all():
        return True
    is_doubled = opening[1:] == closing[:-1] + 1
    opens[1:] |= is_doubled
    closes[:-1] |= is_doubled
    return bool(opens.all() and closes.all())


def _walked(text: bytes, quotes: list[int], delimiter: int, is_last: bool, longest: int) -> Block:
    """As `whole_records`, from quote to quote."""
    between = (delimiter, ord("\n"), ord("\r"))
    edges: list[int] = []
    faults: list[Fault] = []
    number = 0
    while number < len(quotes):
        opening = quotes[number]
        if opening > 0 and text[opening - 1] not in between:
            number += 1
            continue
        closing_number = _closing(quotes, number)
        closing = quotes[closing_number] if closing_number < len(quotes) else len(text)
        if closing - opening <= longest and not is_last and closing >= len(text) - 1:
            return _cut(text, edges, faults, opening)  # what follows decides
        if closing - opening <= longest and closing < len(text) and (closing + 1 == len(text) or text[closing + 1] in between):
            edges += [opening, closing]
            number = closing_number + 1
            continue
        line_end = _LINE_END.search(text, opening)
        if line_end is None and not is_last:
            return _cut(text, edges, faults, opening)
        end = line_end.start() if line_end else len(text)
        start = _start_of_record(text, edges, opening)
        del edges[bisect_left(edges, start) :]
        edges += [start, end - 1]
        is_open = closing_number == len(quotes) or closing > end or closing - opening > longest
        faults.append(Fault(start, end, NOT_CLOSED if is_open else TEXT_AFTER))
        number = bisect_left(quotes, end)
    return Block(text, np.array(edges, np.int64), tuple(faults)) if is_last else _cut(text, edges, faults, len(text))


def _closing(quotes: list[int], opening: int) -> int:
    """The number of the first quote after an opening one that is not doubled; the number of quotes where there is none."""
    number = opening + 1
    while number + 1 < len(quotes) and quotes[number + 1] == quotes[number] + 1:
        number += 2
    return number


def _cut(text: bytes, edges: list[int], faults: list[Fault], place: int) -> Block:
    """What is whole before the record that goes over a place."""
    end = _start_of_record(text, edges, place)
    return Block(text[:end], np.array(edges[: bisect_left(edges, end)], np.int64), tuple(faults))


def _start_of_record(text: bytes, edges: list[int], place: int) -> int:
    """The first byte of the record that goes over a place; edges are those of fields and malformed records before it."""
    for number in range(len(edges) - 1, 0, -2):
        found = _last_line_end(text, edges[number], place)
        if found >= 0:
            return found + 1
        place = edges[number - 1]
    return _last_line_end(text, 0, place) + 1


def _last_line_end(text: bytes, start: int, end: int) -> int:
    """The place of the last line end between two places; -1 where there is none."""
    return max(text.rfind(b"\n", start, end), text.rfind(b"\r", start, end))
