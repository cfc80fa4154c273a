"""What the audits of sequences in every warehouse ask and say alike.

Not here: how sequences are un-padded and compared with the raw observations, which each warehouse does in its own way.
"""

from collections.abc import Mapping, Sequence

from seq_assets.models import ModelSpec
from seq_assets.models.spec import EntityHashSplit
from seq_assets.sequencing.plans import SequencePlan
from seq_assets.warehouse.interface import Finding
from seq_assets.warehouse.rules.contract_sql import ContractSql
from seq_assets.warehouse.rules.questions import Check, Question, Row


def leakage_check(contract: ContractSql, plan: SequencePlan, spec: ModelSpec, sequences: str) -> Check:
    """How `no_leakage` is found: every entity is one of its subset; for other splits, `nothing_lost` compares the items.

    Args:
        contract: The contract in the SQL of the engine that is asked.
        plan: What the files should be.
        spec: The model, as it was when the raw observations were made.
        sequences: The finished files, as a table or subquery.
    """
    if not isinstance(spec.split, EntityHashSplit):
        return Check((), lambda _: Finding("no_leakage", (), {"strategy": spec.split.strategy}))
    entity = contract.dialect.quoted(plan.entity[0])
    columns = {
        "entities": "count(*)",
        "misplaced": f"count(*) FILTER (WHERE {contract.subset(spec, entity)} <> '{plan.subset}')",
    }

    def judged(rows: Sequence[Row]) -> Finding:
        [found] = rows
        problems = [f"{found['misplaced']} entities belong to the other subset"] if found["misplaced"] else []
        return Finding("no_leakage", tuple(problems), {"strategy": spec.split.strategy, **found})

    return Check([Question.of("no_leakage", columns, f"(SELECT DISTINCT {entity} FROM {sequences})")], judged)


def form_finding(sequences: int, wrong: Mapping[str, int]) -> Finding:
    """What `well_formed` says.

    Args:
        sequences: How many there are.
        wrong: How many of them are wrong, by what is.
    """
    problems = [f"{count} of {sequences} sequences have a wrong {name}" for name, count in wrong.items() if count]
    return Finding("well_formed", tuple(problems), {"sequences": sequences, **wrong})
