"""From an input that is right to one that nobody meant to write: bits, cuts, splices, and words that mean something somewhere.

Belongs here: pure functions of bytes and a generator of random numbers. Not here: what is mutated (`seeds`).
"""

import copy
import gzip
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from seq_assets_tests.fuzz.seeds import Format, Seed, seeds_of

_NUMBERS: Final = (
    "-1",
    "0",
    "-0",
    "1e999",
    "nan",
    "-inf",
    "9" * 30,
    "9" * 5000,
    "0x10",
    "1_000",
    "1.5",
    ".",
    "٣",
    "127",
    "128",
)
_TIMES: Final = (
    "0000-00-00",
    "0001-01-01 00:00:00+14:00",
    "9999-12-31 23:59:59.999999",
    "-290307-12-31 00:00",
    "294247-01-10 04:00:54.775807",
    "2024-02-30",
    "24:00:00",
    "infinity",
    "epoch",
    "1152921504606846976",
)
_CHARACTERS: Final = (
    '"',
    '""',
    "'",
    "\0",
    "\r",
    "\n",
    "\r\n",
    "\t",
    "\\",
    "\x1f",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ufffd",
    "\ufdd0",
    "\ufdd1",
    "\ufdd2\ufdd3",
    "\ufdd2\ufdd4",
    "\U0010ffff",
    "a\u0301",
)
_BYTES: Final = (b"\xff", b"\xed\xa0\x80", b"\xc3", b"\xff\xfe", b"\xfe\xff", b"\0\0\0\0", b"PAR1", b"\x1f\x8b", b"PK\x03\x04")
_TEXTS: Final[Mapping[str, Sequence[str]]] = {
    "csv": (",", ";", "::", ",,,,,,,,", '","', '"\n"', '"a"b', "," * 3000, '"' + "x" * 70_000, "\n" * 50, "3\n1,2,3\n"),
    "json": (
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "null",
        "true",
        "NaN",
        "-Infinity",
        '{"pupil":',
        '"pupil": 1, ',
        '"\\u0000"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\',
        "/*",
        "[" * 3000,
        '{"a":' * 3000,
        "1" * 400,
        "1e400",
        "-0.0",
        "1E+2",
        '"' + "x" * 70_000,
    ),
    "yaml": (
        "!!int ",
        "!!int ''",
        "!!float ",
        "!!bool ",
        "!!null ",
        "!!timestamp ",
        "!!binary ",
        "!!set ",
        "!!omap ",
        "!!pairs ",
        "!!python/object/apply:os.system ",
        "!x ",
        "&a ",
        "*a",
        "*id",
        "&id ",
        "<<: *id\n",
        "<<: *a\n",
        "- ",
        "? ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "|",
        ">-",
        "%",
        "@",
        "`",
        "#",
        "---\n",
        "...\n",
        "    ",
        "yes",
        "off",
        "~",
        "010",
        "0x" + "f" * 5000,
        "0b11",
        "12:30:00",
        "1:" * 2000 + "1.5",
        "=",
        ".nan",
        ".inf",
        "2024-01-01T00:00:00+99:99",
        "2024-01-01 00:00:00 -23:59",
        '"\\0"',
        '"\\ud800"',
        '"\\x"',
        "[" * 3000,
        "{a: " * 3000,
    ),
}
_WORDS: Final[tuple[Any, ...]] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        2**63,
        10**400,
        0.5,
        float("nan"),
        float("inf"),
        "",
        " ",
        "x",
        "\0",
        "\ud7ff",
        "é",
        [],
        {},
        [[]],
    ),
    *(
        {"a": 1},
        {"path": "("},
        {"path": "(a+)+$"},
        {"path": "(x{99999999999})"},
        {"path": "(?P<n>.)"},
        {1: 2},
        ["x"] * 30,
        "x" * 5000,
    ),
    *(
        "int8",
        "string",
        "timestamp",
        "date",
        "bool",
        "csv",
        "parquet",
        "json",
        "dkt",
        "utf-16",
        "utf-32",
        "utf-7",
        "idna",
        "punycode",
    ),
    *("base64", "rot13", "hex", "unicode_escape", "undefined", "mbcs", "utf\0", "Europe/Amsterdam", "../../etc", "/etc/passwd"),
    *(
        "~nobody/x",
        "x" * 300,
        "**",
        "[",
        "?",
        "s3://",
        "s3:///x",
        "glue://",
        "glue://a/b",
        "sample://",
        "file:///x",
        "C:\\x",
        "$HOME",
    ),
    *(
        "%Y",
        "%Y%Y",
        "%Y-%m-%d",
        "%",
        "%Q",
        "pupil",
        "pupil_sequence",
        "subset",
        "_file",
        "_x",
        "-time",
        "time desc",
        "a b",
        '"',
        "'",
    ),
    *(
        "is_pad",
        "2024-02-30",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31 23:59:59.999999-23:59",
        "::",
        "\t",
        "\r",
        "\n",
        "\x1f",
        "\ufdd2",
    ),
    *(
        [0, 1],
        [1, 0],
        [None, None],
        ["a", 1],
        10_000,
        10_001,
        "chunk",
        "sliding",
        "prefix",
        "last",
        "time",
        "column",
        "location",
    ),
)

_CHANGES_AT_ONCE: Final = (1, 1, 2, 4)
_LONGEST_RUN: Final = 5_000
_FOOTER: Final = 2_000
"""Bytes at the end of Parquet, where most of what is believed without a look stands."""

Change = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


@dataclass(frozen=True)
class Input:
    """What a command is given.

    Attributes:
        file: The name of the source's file.
        content: Its bytes.
        model: The bytes of the model file.
    """

    file: str
    content: bytes
    model: bytes


def mutated(kind: Format, chosen: random.Random) -> Input:
    """A seed of a format, changed; the same one for the same numbers."""
    seed = chosen.choice(seeds_of(kind))
    if kind == "yaml":
        return Input(seed.file, seed.content, _mutated_model(seed.model, chosen))
    content = _mutated_content(kind, seed, chosen)
    # A file without a byte is refused before anything is read.
    return Input(seed.file, content or b"\0", seed.model.encode())


def _mutated_content(kind: Format, seed: Seed, chosen: random.Random) -> bytes:
    others = [other.content for other in seeds_of(kind)]
    if kind == "parquet":
        start = max(0, len(seed.content) - _FOOTER) if chosen.random() < 0.5 else 0
        # What is moved is found to be broken at once; what stays in its place is read farther.
        changes = _IN_PLACE if chosen.random() < 0.7 else _CHANGES
        return seed.content[:start] + _changed(seed.content[start:], chosen, _BYTES, others, changes)
    if kind == "gz":
        if not seed.file.endswith(".gz") or chosen.random() < 0.5:
            return _changed(seed.content, chosen, _BYTES, others)
        inner = _changed(gzip.decompress(seed.content), chosen, _tokens("csv", "utf-8"), [b"x,y\n"])
        return gzip.compress(inner, mtime=0) * chosen.choice([1, 1, 1, 2])
    encoding = seed.encoding if seed.encoding and chosen.random() < 0.8 else "utf-8"
    return _changed(seed.content, chosen, _tokens(kind, encoding), others)


def _mutated_model(model: str, chosen: random.Random) -> bytes:
    if chosen.random() < 0.5:
        content = yaml.safe_load(model)
        for _ in range(chosen.choice(_CHANGES_AT_ONCE)):
            content = _with_word(content, chosen)
        model = yaml.safe_dump(content, sort_keys=False, allow_unicode=chosen.random() < 0.5)
        if chosen.random() < 0.8:
            return model.encode()
    return _changed(model.encode(), chosen, _tokens("yaml", "utf-8"), [other.model.encode() for other in seeds_of("yaml")])


def _with_word(content: Any, chosen: random.Random) -> Any:
    """A mapping or list with something else in one place, or one name more."""
    word = copy.deepcopy(chosen.choice(_WORDS))
    if not isinstance(content, dict | list) or not content or chosen.random() < 0.1:
        return word
    keys = list(content) if isinstance(content, dict) else range(len(content))
    key = chosen.choice(keys)
    content[key] = _with_word(content[key], chosen)
    if isinstance(content, dict) and isinstance(word, str | int | float | None) and chosen.random() < 0.1:
        content[word] = content.pop(key)
    return content


def _tokens(kind: Format, encoding: str) -> list[bytes]:
    texts = [*_NUMBERS, *_TIMES, *_CHARACTERS, *_TEXTS[kind]]
    return [*(text.encode(encoding, "replace") for text in texts), *_BYTES]


def _changed(
    content: bytes,
    chosen: random.Random,
    tokens: Sequence[bytes],
    others: Sequence[bytes],
    changes: "Sequence[Change] | None" = None,
) -> bytes:
    for _ in range(chosen.choice(_CHANGES_AT_ONCE)):
        change = chosen.choice(changes or _CHANGES)
        content = change(content, chosen, others if change is _spliced else tokens)
    return content


def _flipped(content: bytes, chosen: random.Random, _: Sequence[bytes]) -> bytes:
    changed = bytearray(content)
    for _bit in range(chosen.choice([1, 1, 2, 8]) if content else 0):
        changed[chosen.randrange(len(changed))] ^= 1 << chosen.randrange(8)
    return bytes(changed)


def _replaced(content: bytes, chosen: random.Random, _: Sequence[bytes]) -> bytes:
    """Another byte, or a run of one."""
    start = chosen.randint(0, len(content))
    size = chosen.choice([1, 1, 2, 4, 8, 64])
    return content[:start] + bytes([chosen.choice([0, 255, 127, 128, chosen.randrange(256)])]) * size + content[start + size :]


def _inserted(content: bytes, chosen: random.Random, tokens: Sequence[bytes]) -> bytes:
    start = chosen.randint(0, len(content))
    return content[:start] + chosen.choice(tokens) + content[start:]


def _overwritten(content: bytes, chosen: random.Random, tokens: Sequence[bytes]) -> bytes:
    start = chosen.randint(0, len(content))
    return content[:start] + chosen.choice(tokens) + content[start + chosen.randint(0, 20) :]


def _cut(content: bytes, chosen: random.Random, _: Sequence[bytes]) -> bytes:
    place = chosen.randint(0, len(content))
    return chosen.choice([content[:place], content[place:]])


def _without(content: bytes, chosen: random.Random, _: Sequence[bytes]) -> bytes:
    start = chosen.randint(0, len(content))
    return content[:start] + content[start + chosen.choice([1, 2, 10, 100]) :]


def _repeated(content: bytes, chosen: random.Random, _: Sequence[bytes]) -> bytes:
    start, size = chosen.randint(0, len(content)), chosen.choice([1, 8, 64])
    part = content[start : start + size]
    return content[:start] + part * chosen.randint(1, _LONGEST_RUN // size) + content[start:]


def _spliced(content: bytes, chosen: random.Random, others: Sequence[bytes]) -> bytes:
    other = chosen.choice(others)
    return content[: chosen.randint(0, len(content))] + other[chosen.randint(0, len(other)) :]


_IN_PLACE: Final[tuple[Change, ...]] = (_flipped, _replaced)
_CHANGES: Final[tuple[Change, ...]] = (
    _flipped,
    _flipped,
    _replaced,
    _inserted,
    _inserted,
    _overwritten,
    _cut,
    _without,
    _repeated,
    _spliced,
)
