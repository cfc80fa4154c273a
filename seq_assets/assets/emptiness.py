"""Why a data set came out empty, and what fills it: pure functions from a model and its numbers to a sentence.

An empty subset that the model file asks for, such as validation of a fraction of 0, is no surprise and gets none.
"""

from seq_assets.models import ModelSpec, Subset
from seq_assets.models.spec import ColumnSplit, EntityHashSplit, TimeSplit
from seq_assets.sequencing.accounting import IngestAccounting, SequenceAccounting
from seq_assets.sequencing.plans import SequencePlan


def empty_subset(spec: ModelSpec, subset: Subset, ingest: IngestAccounting) -> str | None:
    """What is said of a subset without an observation; None where the model file asks for it.

    Args:
        spec: The model.
        subset: Which subset.
        ingest: Where the records of the source went.
    """
    split = spec.split
    if not ingest.accepted:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in ingest.rejected_by_reason.items())
        why = f"all {ingest.read:,} records of the source were rejected ({reasons}); mend them, or the contract"
    elif isinstance(split, EntityHashSplit):
        if split.validation_fraction == (0 if subset == "validation" else 1):
            return None
        why = (
            f"the hash puts no entity there, as happens with few of them; change split.validation_fraction, "
            f"now {split.validation_fraction:g}, or split.seed"
        )
    elif isinstance(split, ColumnSplit):
        values = split.validation if subset == "validation" else split.train
        why = (
            f"no accepted record has one of split.{subset} ({', '.join(map(repr, values))}) in {split.column}; mend the values"
        )
    elif isinstance(split, TimeSplit):
        side = "at or after" if subset == "validation" else "before"
        why = f"no accepted record has a {split.column} {side} split.cutoff, {split.cutoff}; move the cutoff"
    else:
        why = f"no record of a file below {subset}/ was accepted; put files there"
    return f"{subset} is empty: {why}."


def empty_sequences(
    spec: ModelSpec, plan: SequencePlan, ingest: IngestAccounting, accounting: SequenceAccounting, longest: int
) -> str | None:
    """What is said of a data set without a sequence; None where the model file asks for it.

    Args:
        spec: The model.
        plan: What made the data set.
        ingest: Where the records of the source went.
        accounting: Where its subset's observations went.
        longest: The items of the longest history in the subset.
    """
    if not accounting.observations:
        return empty_subset(spec, plan.subset, ingest)
    least = max(plan.min_length, 2) if spec.window.mode == "prefix" else plan.min_length
    return (
        f"{plan.subset} has {accounting.observations:,} observations and no sequence: every window is shorter than {least:,} "
        f"items (min_length {plan.min_length:,}, window.mode {spec.window.mode}), and the longest history has {longest:,}. "
        "Lower min_length, or look at the entity: too many different ones make short histories."
    )
