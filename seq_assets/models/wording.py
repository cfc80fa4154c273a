"""The words for what a field of a model file allows, for each kind of mistake that pydantic finds.

Belongs here: pure functions from pydantic's kinds and numbers to text. Pydantic's own text names its types and those of Python,
which nobody who writes a model file knows. Not here: the path of a field, and which fields there are (`models.parsing`).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from seq_assets.models.columns import ColumnType, describe_type
from seq_assets.models.cross_checks import nearest

NAME: Final = "a name: a to z first, then a to z, 0 to 9 and _, 63 at most"
REQUIRED: Final = "a value; this field is required"
QUOTED_NAME: Final = "names that YAML reads as text; quote this one"
STRATEGIES: Final = "'entity_hash', 'column', 'time' or 'location'"
TWO_ENDS: Final = "a list of two values, the lower end and the upper one"
_WHOLE: Final = "a whole number"
_NUMBER: Final = "a number"
_TEXTS: Final[Mapping[str, str]] = {
    "string_type": describe_type(ColumnType.STRING),
    "string_unicode": "text of Unicode characters",
    "string_pattern_mismatch": NAME,
    "string_too_short": "text of at least {min_length} character(s)",
    "string_too_long": "text of at most {max_length} character(s)",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "greater_than": "more than {gt}",
    "less_than": "less than {lt}",
    "tuple_type": "a list, such as [a, b]",
    "too_short": "a list of at least {min_length} value(s)",
    "too_long": "a list of at most {max_length} value(s)",
    "dict_type": "a mapping of names",
    "model_attributes_type": f"a mapping with a strategy, {STRATEGIES}",
    "union_tag_not_found": STRATEGIES,
    "missing": REQUIRED,
    "invalid_key": QUOTED_NAME,
}
_UNKNOWN: Final = "another value"


def allowed_text(kind: str, context: Mapping[str, Any], found: Any, fields: Iterable[str]) -> str:
    """What is allowed where pydantic found a mistake of a kind.

    Args:
        kind: Pydantic's name of it.
        context: The numbers and words that come with it.
        found: What stands there.
        fields: The fields of the part of the model file where a mapping of them is allowed.
    """
    if kind == "value_error":  # of the validators in `models.spec`, whose messages are of this form
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return _one_of(str(context["expected"]), found)
    if kind == "union_tag_invalid":
        return _one_of(str(context["expected_tags"]), context["tag"])
    if kind == "model_type":
        return f"a mapping of the fields {', '.join(fields)}"
    return _TEXTS.get(kind, _UNKNOWN).format_map(context)


def _one_of(expected: str, found: Any) -> str:
    words = [word.strip(" '") for part in expected.split(",") for word in part.split(" or ")]
    return f"one of {', '.join(words)}{nearest(str(found), words)}"
