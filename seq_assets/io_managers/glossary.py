"""What every key of a materialization's metadata means, in a table that opens in the UI, wherever the platform is installed.

Belongs here: a line for each key of `metadata` and `pages`. Not here: what the columns of tables mean
(`seq_assets.sequencing.schemas`).
"""

from collections.abc import Mapping
from typing import Final

from seq_assets.io_managers.pages import PADDING, markdown_table

MEANINGS: Final[Mapping[str, str]] = {
    "unchanged": "The run found nothing that decides the version changed, so the version stands, with the page that it has.",
    "observations": "Rows that met the contract; of sequences, those of the subset that they were made from.",
    "rejected": "Records that the contract refused; of rejected observations, a row per failed column.",
    "train": "Observations in the subset train.",
    "validation": "Observations in the subset validation.",
    "sequences": "Rows of the table: windows of histories, each with as many positions as the sequence length.",
    "pad_ratio": "Positions of padding / all positions.",
    "sequence_length": "Positions of each sequence.",
    "dropped_min_length": "Observations in windows that are shorter than min_length.",
    "dropped_truncation": "Observations in no window, because the window mode keeps only a part of each history.",
    "source": "Where the observations were read.",
    "ignored_columns": "Columns of the source that the contract does not name.",
    "records_over_lines": "Records of CSV files that span lines; a quote that is no quote makes one record of many.",
    "version": "The id of the version's Iceberg snapshot.",
    "raw_version": "The version of the raw observations that it was published with, or made from.",
    "vocabulary_version": "The version of the vocabulary that its ids come from.",
    "previous_version": "The version before it.",
    "changed": "How it differs from the version before it.",
    "python": "Loads exactly this version.",
    "location": "The folder of its Parquet files.",
    "owner": "Who owns the model, by its model file.",
    "source_fingerprint": "A hash of what the source looked like; another one means that it may have changed.",
    "model_digest": "A hash of what the model file said.",
    "seconds": "How long it took to make the version.",
    "queries": "How many queries Athena ran for it.",
    "bytes_scanned": "What these read; it is what Athena charges for.",
    "queue_seconds": "How long they waited.",
    "estimated_dollars": "What they cost, by the list price.",
    "athena_queries": "Links to them.",
    "flow": "Where every record, or every item, went.",
    "column_metrics": "Of each column, over accepted observations: values that are not null, different values, and more.",
    "pad_ratios": "What each length would give for train, before it is built; declared lengths are bold.",
    "pad_ratio_curve": "The pad ratio over sequence lengths; dots are declared lengths, the dashed line warns.",
    "history_lengths": "How many entities have how many items; lines are the sequence lengths.",
    "preview": f"A few sequences, feature by feature; {PADDING} is a position of padding, whatever the pad value.",
    "accounting": "The numbers of the flow, for programs.",
    "metrics": "The metrics of columns, for programs.",
}
"""By key."""


def glossary() -> str:
    """The table, as Markdown."""
    return markdown_table([(f"`{key}`", meaning) for key, meaning in MEANINGS.items()], ("key", "means"))
