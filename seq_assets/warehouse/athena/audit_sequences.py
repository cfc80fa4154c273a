"""The blocking conditions on sequences, verified by Athena from the finished files and the raw observations behind them.

What is un-padded is compared with the raw items by count and by an order-sensitive hash per entity; which items should be
there, and how often, is said once more (`warehouse.coverage`), item by item; masks, sizes and pads are said row by row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from seq_assets.models import ModelSpec
from seq_assets.sequencing.accounting import SequenceAccounting
from seq_assets.sequencing.plans import SequencePlan
from seq_assets.sequencing.windows import First, Prefix, Sliding
from seq_assets.warehouse.athena.ingest_sql import CONTRACT
from seq_assets.warehouse.athena.queries import AthenaQueries
from seq_assets.warehouse.athena.sequence_sql import is_pad_sequence, is_repeat_sequence, items_query
from seq_assets.warehouse.athena.sql import literal_sql, quoted
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.rules.audit_sequences import form_finding, leakage_check
from seq_assets.warehouse.rules.coverage import coverage_of
from seq_assets.warehouse.rules.questions import Check, Question, Row, judged, questions_of

_ENTITIES_SHOWN: Final = 5


@dataclass(frozen=True)
class SequenceAudit:
    """An audit of finished files.

    Attributes:
        queries: Answers the questions.
        plan: What the files should be.
        spec: The model, as it was when the raw observations were made.
        raw: The raw observations, as a table or subquery.
        vocabulary: The vocabulary of that raw version, where a feature of the plan is encoded.
        sequences: The finished files, as a table.
    """

    queries: AthenaQueries
    plan: SequencePlan
    spec: ModelSpec
    raw: str
    vocabulary: str | None
    sequences: str

    def findings(self, accounting: SequenceAccounting) -> list[Finding]:
        """What the three conditions say, given what was counted when the files were made."""
        form = self._form()
        ([[lost]], rows), _ = self.queries.side_by_side([[self._lost_question()], questions_of(form)])
        return [_lost_finding(lost, self.plan, accounting), *judged(form, [row for [row] in rows])]

    def counted(self, expected: SequenceAccounting) -> tuple[SequenceAccounting, list[Finding]]:
        """What the files hold, and what the three conditions say.

        Args:
            expected: Where every observation should go; what the files can tell is counted there.
        """
        form = self._form()
        shown = [counts_question(self.plan, self.sequences), *questions_of(form)]
        ([[lost]], [[counts], *rows]), _ = self.queries.side_by_side([[self._lost_question()], shown])
        accounting = replace(expected, **counts)
        return accounting, [_lost_finding(lost, self.plan, accounting), *judged(form, [row for [row] in rows])]

    def _lost_question(self) -> Question:
        """To be asked alone: it compares all items with all others, and its memory is that of nothing else."""
        columns = ("observations", "sequenced", "dropped_min_length", "dropped_truncation", "different")
        return Question("nothing_lost", columns, lost_query(self.plan, self.raw, self.vocabulary, self.sequences))

    def _form(self) -> list[Check]:
        """What the files show by themselves."""
        return [
            leakage_check(CONTRACT, self.plan, self.spec, self.sequences),
            Check([form_question(self.plan, self.sequences)], _well_formed),
        ]


def counts_question(plan: SequencePlan, sequences: str) -> Question:
    """Counts what the finished files hold: `sequences`, `positions`, `padding`, and items, each once, as `sequenced`."""
    again = _sum("is_repeat_sequence") if plan.window.overlaps else "0"
    columns = {
        "sequences": "count(*)",
        "positions": "coalesce(sum(cardinality(is_pad_sequence)), 0)",
        "padding": f"coalesce(sum({_sum('is_pad_sequence')}), 0)",
        "sequenced": f"coalesce(sum(cardinality(is_pad_sequence) - {_sum('is_pad_sequence')} - {again}), 0)",
    }
    return Question.of("accounting", columns, sequences)


def _sum(flags: str) -> str:
    return f"reduce({flags}, BIGINT '0', (_total, _flag) -> _total + _flag, _total -> _total)"


def _lost_finding(found: Row, plan: SequencePlan, accounting: SequenceAccounting) -> Finding:
    different = found["different"]
    counts = {name: int(count) for name, count in found.items() if name != "different"}
    problems = accounting.problems + [
        f"{name}: the raw observations say {count}, the accounting {getattr(accounting, name)}"
        for name, count in counts.items()
        if getattr(accounting, name) != count
    ]
    problems += [
        f"{plan.entity[0]} {entity}: un-padding gives another number, content or order of items than the raw ones"
        for entity in different.split("\n")
        if different
    ]
    return Finding("nothing_lost", tuple(problems), counts)


def lost_query(plan: SequencePlan, raw: str, vocabulary: str | None, sequences: str) -> str:
    """Counts what should have become of each item, and names the first entities whose sequences hold something else."""
    entity, rule = quoted(plan.entity[0]), coverage_of(plan)
    fields = [f"_f{number}" for number in range(len(plan.features))]
    lists = ", ".join(quoted(f"{feature.name}_sequence") for feature in plan.features)
    repeats, is_repeat = (", is_repeat_sequence", ", _is_repeat") if plan.window.overlaps else ("", "")
    is_first = "_is_repeat = 0" if plan.window.overlaps else "true"
    first = f"{plan.sequence_length} - sequence_size" if plan.padding_side == "left" else "0"
    differs = "coalesce(_items, 0) <> coalesce(_found_items, 0) OR coalesce(_content, 0) <> coalesce(_found_content, 0)"
    shown = f"min_by(CAST({entity} AS varchar), {entity}, {_ENTITIES_SHOWN}) FILTER (WHERE {differs})"
    return f"""
        WITH items AS ({items_query(plan, raw, vocabulary)}),
        histories AS (SELECT {entity}, count(*) AS _n FROM items GROUP BY 1),
        judged AS (
            SELECT {entity}, {rule.windows} AS _windows, {rule.min_length} AS _is_short, {_content(fields)} AS _content
            FROM (SELECT *, _position AS _p FROM items) JOIN histories USING ({entity})),
        expected AS (
            SELECT {entity}, count(*) AS _observations, count_if(_windows > 0) AS _items, sum(_content * _windows) AS _content,
                count_if(_windows = 0 AND _is_short) AS _dropped_min_length,
                count_if(_windows = 0 AND NOT _is_short) AS _dropped_truncation
            FROM judged GROUP BY 1),
        unpadded AS (
            SELECT {entity}, sequence_start + _number - 1 - ({first}) AS _position, {", ".join(fields)}{is_repeat}
            FROM {sequences} CROSS JOIN UNNEST({lists}, is_pad_sequence{repeats})
                WITH ORDINALITY AS positions({", ".join(fields)}, _is_pad{is_repeat}, _number)
            WHERE _is_pad = 0),
        found AS (
            SELECT {entity}, count_if({is_first}) AS _found_items, sum({_content(fields)}) AS _found_content
            FROM unpadded GROUP BY 1)
        SELECT coalesce(sum(_observations), 0) AS observations, coalesce(sum(_items), 0) AS sequenced,
            coalesce(sum(_dropped_min_length), 0) AS dropped_min_length,
            coalesce(sum(_dropped_truncation), 0) AS dropped_truncation,
            coalesce(array_join({shown}, chr(10)), '') AS different
        FROM expected FULL JOIN found USING ({entity})"""


def _content(fields: list[str]) -> str:
    """A hash of an item and its position, as a number whose sums do not overflow."""
    text = f"json_format(CAST(ROW(_position, {', '.join(fields)}) AS JSON))"
    return f"CAST(from_big_endian_64(xxhash64(to_utf8({text}))) AS decimal(38, 0))"


def _well_formed(rows: Sequence[Row]) -> Finding:
    """Ordinals, starts, sizes, lengths, masks and pad values are as documented."""
    [found] = rows
    return form_finding(found["sequences"], {name: count for name, count in found.items() if name != "sequences"})


def form_question(plan: SequencePlan, sequences: str) -> Question:
    """Counts the sequences, and those of which something is not as documented, by what."""
    entity, L = quoted(plan.entity[0]), plan.sequence_length  # noqa: N806
    lists = [quoted(f"{feature.name}_sequence") for feature in plan.features]
    whole = " AND ".join(f"cardinality({name}) = {L} AND none_match({name}, _item -> _item IS NULL)" for name in lists)
    is_right = {
        "order": "sequence_index = _rank",
        "start": _start(plan),
        "size": f"sequence_size BETWEEN {plan.min_length} AND {L}",
        "length": whole,
        "is_pad": f"is_pad_sequence = {is_pad_sequence('sequence_size', plan)}",
        "pad_value": _pads(plan),
    }
    if plan.window.overlaps:
        # Windows advance, so the items that a window shares with any before it are those that it shares with the last one.
        shared = "greatest(least(coalesce(_end - sequence_start, 0), sequence_size), 0)"
        is_right["is_repeat"] = f"is_repeat_sequence = {is_repeat_sequence(shared, 'sequence_size', plan)}"
    # What cannot even be computed, such as padding of a negative number of positions, is not right either.
    counts = {name: f"count_if(NOT coalesce(try({right}), false))" for name, right in is_right.items()}
    ranked = f"""(
            SELECT *, row_number() OVER histories - 1 AS _rank, lag(sequence_start + sequence_size) OVER histories AS _end
            FROM {sequences} WINDOW histories AS (PARTITION BY {entity} ORDER BY sequence_start, sequence_index))"""
    return Question.of("well_formed", {"sequences": "count(*)"} | counts, ranked)


def _start(plan: SequencePlan) -> str:
    """Where a sequence starts, by its ordinal. Of `last`, which has one only, `nothing_lost` knows the start."""
    L = plan.sequence_length  # noqa: N806
    if isinstance(plan.window, Sliding):  # chunks slide too
        return f"sequence_start = sequence_index * {plan.window.step(L)}"
    if isinstance(plan.window, Prefix):
        return f"sequence_start = greatest(sequence_index + {max(plan.min_length, 2) - L}, 0)"
    return "sequence_index = 0 AND sequence_start = 0" if isinstance(plan.window, First) else "sequence_index = 0"


def _pads(plan: SequencePlan) -> str:
    """Whether all padding is the feature's pad value."""
    L = plan.sequence_length  # noqa: N806
    start = "sequence_size + 1" if plan.padding_side == "right" else "1"
    conditions = []
    for feature in plan.features:
        pad = literal_sql(feature.pad_value, feature.item_type)
        found = f"slice({quoted(f'{feature.name}_sequence')}, {start}, {L} - sequence_size)"
        conditions.append(f"{found} = repeat({pad}, {L} - sequence_size)")
    return " AND ".join(conditions)
