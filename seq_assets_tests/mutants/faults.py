"""The faults: each a small, likely mistake in what the package means, with the tests that must fail for it.

Belongs here: faults that somebody could see in the results. Not here: faults of speed, memory and wording, and faults that
change nothing that anybody can see.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Fault:
    """One mistake.

    Attributes:
        name: What goes wrong, in words.
        file: The file of the package, relative to `seq_assets/`.
        old: The text that is replaced.
        new: What replaces it.
        tests: Test files or tests, relative to `seq_assets_tests/`, of which at least one must fail.
        count: How often `old` stands in the file; all of them are replaced.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    count: int = 1


_WINDOWS: Final = "sequencing/windows.py"
_KERNEL: Final = "sequencing/kernel.py"
_OPERATION: Final = "sequencing/operation.py"
_DERIVED: Final = "sequencing/derived.py"
_ACCOUNTING: Final = "sequencing/accounting.py"
_VOCABULARY: Final = "sequencing/vocabulary.py"
_INGEST: Final = "warehouse/local/ingest.py"
_SQL: Final = "warehouse/local/ingest_sql.py"
_CONTRACT_SQL: Final = "warehouse/rules/contract_sql.py"
_CASTS: Final = "warehouse/local/casts.py"
_METRICS: Final = "warehouse/rules/metrics.py"
_UNIQUE_VALUES: Final = "warehouse/local/unique_values.py"
_GRAMMAR: Final = "warehouse/rules/value_grammar.py"
_AUDIT_RAW: Final = "warehouse/rules/audit_raw.py"
_LOCAL_AUDIT_RAW: Final = "warehouse/local/audit_raw.py"
_AUDIT_SEQUENCES: Final = "warehouse/rules/audit_sequences.py"
_LOCAL_AUDIT_SEQUENCES: Final = "warehouse/local/audit_sequences.py"
_RANGES: Final = "warehouse/local/ranges.py"
_ITEM_COMPARISON: Final = "warehouse/local/item_comparison.py"
_AUDIT_VOCABULARY: Final = "warehouse/rules/audit_vocabulary.py"
_PUBLISHING: Final = "warehouse/publishing.py"
_WAREHOUSE: Final = "warehouse/local/warehouse.py"
_CLIENT: Final = "client/datasets.py"
_BATCHES: Final = "client/batches.py"
_COMPARING: Final = "client/comparing.py"
_EXPORTED_PEERS: Final = "client/exported_peers.py"
_COMPONENT: Final = "component.py"
_ATHENA_CLIENT: Final = "warehouse/athena/client.py"
_ATHENA_QUERIES: Final = "warehouse/athena/queries.py"
_TEXT: Final = "warehouse/sources/text.py"
_LINES: Final = "warehouse/sources/lines.py"
_BLOCKS: Final = "warehouse/sources/blocks.py"
_TEXT_CACHE: Final = "warehouse/local/text_cache.py"
_LOCATION: Final = "warehouse/sources/location.py"
_DELIVERY: Final = "warehouse/storage/delivery.py"
_OWNERSHIP: Final = "warehouse/ownership.py"
_VOCABULARIES: Final = "warehouse/vocabularies.py"
_THREE_LINE: Final = "warehouse/sources/three_line_format.py"

_TEST_WINDOWS: Final = ("sequencing/test_windows.py", "sequencing/test_kernel.py")
_TEST_KERNEL: Final = ("sequencing/test_kernel.py",)
_TEST_OPERATION: Final = ("sequencing/test_operation.py",)
_TEST_ACCOUNTING: Final = ("sequencing/test_accounting.py",)
_TEST_CASTS: Final = ("warehouse/local/test_casts.py",)
_TEST_LOCATION: Final = ("warehouse/sources/test_location.py",)
_TEST_COMPARING: Final = ("client/test_comparing.py",)
_TEST_DELIVERY: Final = ("warehouse/storage/test_delivery.py",)
_TEST_OWNERSHIP: Final = ("warehouse/test_ownership.py",)
_TEST_TEXT: Final = ("warehouse/sources/test_text.py",)
_TEST_CSV: Final = ("warehouse/sources/test_csv_format.py",)
_TEST_JSON: Final = ("warehouse/sources/test_json_format.py",)
_TEST_THREE_LINE: Final = ("warehouse/sources/test_three_line_format.py",)
_TEST_UNIQUE_VALUES: Final = ("warehouse/local/test_unique_values.py",)
_TEST_ATHENA_CLIENT: Final = ("warehouse/athena/test_client.py",)
_TEST_ATHENA_QUERIES: Final = ("warehouse/athena/test_queries.py",)
_TEST_AUDIT_VOCABULARY: Final = ("warehouse/rules/test_audit_vocabulary.py",)


def _ingest(*names: str) -> tuple[str, ...]:
    """Tests of the ingest, one by one, because all of them take long."""
    return tuple(f"warehouse/local/test_ingest.py::test_{name}" for name in names)


def _audit(*names: str) -> tuple[str, ...]:
    return tuple(f"warehouse/local/test_audit.py::test_{name}" for name in names)


def _contract(*names: str) -> tuple[str, ...]:
    return tuple(f"contract/test_warehouse_contract.py::test_{name}" for name in names)


def _vocabulary(*names: str) -> tuple[str, ...]:
    return tuple(f"contract/test_vocabulary.py::test_{name}" for name in names)


_WRONG_SEQUENCES: Final = _audit("one_wrong_thing_in_sequences_is_found_and_nothing_else")
_WRONG_RAW: Final = _audit("one_wrong_thing_in_raw_observations_is_found_and_nothing_else")

_WINDOW_FAULTS: Final = (
    Fault(
        "chunk: the next one starts at the last item of the one before",
        _WINDOWS,
        "        return L\n",
        "        return max(L - 1, 1)\n",
        _TEST_WINDOWS,
    ),
    Fault("sliding: starts ignore the stride", _WINDOWS, "start = k * self.step(L)", "start = k * L", _TEST_WINDOWS),
    Fault(
        "chunk and sliding: a full window lacks its last item",
        _WINDOWS,
        "np.minimum(n - start, L)",
        "np.minimum(n - start, max(L - 1, 1))",
        _TEST_WINDOWS,
    ),
    Fault(
        "chunk and sliding: the last window, which is short, is not made",
        _WINDOWS,
        "1 + -(-np.maximum(n - L, 0) // self.step(L))",
        "1 + np.maximum(n - L, 0) // self.step(L)",
        _TEST_WINDOWS,
    ),
    Fault(
        "chunk and sliding: a window is written before it is full",
        _WINDOWS,
        "(n - L) // self.step(L) + 1",
        "(n - L) // self.step(L) + 2",
        _TEST_KERNEL,
    ),
    Fault(
        "chunk and sliding: the first row of the next window is not carried over",
        _WINDOWS,
        "return k * self.step(L)",
        "return k * self.step(L) + 1",
        _TEST_KERNEL,
    ),
    Fault(
        "first: takes one item too few",
        _WINDOWS,
        "return np.zeros_like(n), np.minimum(n, L)",
        "return np.zeros_like(n), np.minimum(n, max(L - 1, 1))",
        _TEST_WINDOWS,
    ),
    Fault(
        "first: starts where last does",
        _WINDOWS,
        "return np.zeros_like(n), np.minimum(n, L)",
        "return np.maximum(n - L, 0), np.minimum(n, L)",
        _TEST_WINDOWS,
    ),
    Fault(
        "first: written one item before it is full",
        _WINDOWS,
        "np.where(n >= L, np.int64(1), np.int64(0))",
        "np.where(n >= L - 1, np.int64(1), np.int64(0))",
        _TEST_KERNEL,
    ),
    Fault(
        "last: starts one item too early",
        _WINDOWS,
        "return np.maximum(n - L, 0), np.minimum(n, L)",
        "return np.maximum(n - L - 1, 0), np.minimum(n, L)",
        _TEST_WINDOWS,
    ),
    Fault(
        "last: takes one item too few",
        _WINDOWS,
        "return np.maximum(n - L, 0), np.minimum(n, L)",
        "return np.maximum(n - L, 0), np.minimum(n, max(L - 1, 1))",
        _TEST_WINDOWS,
    ),
    Fault(
        "last: one row too few is carried over",
        _WINDOWS,
        "return max(n - L, 0)",
        "return max(n - L + 1, 0)",
        _TEST_KERNEL,
    ),
    Fault(
        "first and last: a history of two items has two windows",
        _WINDOWS,
        "return np.minimum(n, 1)",
        "return np.minimum(n, 2)",
        _TEST_WINDOWS,
    ),
    Fault(
        "prefix: the first item alone has a window too",
        _WINDOWS,
        "return np.maximum(n - 1, 0)",
        "return np.maximum(n, 0)",
        _TEST_WINDOWS,
    ),
    Fault(
        "prefix: the target is not in its window",
        _WINDOWS,
        "size = np.minimum(k + 2, L)",
        "size = np.minimum(k + 1, L)",
        _TEST_WINDOWS,
    ),
    Fault(
        "prefix: a window starts one item too early",
        _WINDOWS,
        "return k + 2 - size, size",
        "return np.maximum(k + 1 - size, 0), size",
        _TEST_WINDOWS,
    ),
    Fault(
        "prefix: one row too few is carried over",
        _WINDOWS,
        "return max(k + 2 - L, 0)",
        "return max(k + 3 - L, 0)",
        _TEST_KERNEL,
    ),
    Fault(
        "prefix: sequence_index does not count from 0 where min_length drops windows",
        _WINDOWS,
        "return max(min_length - 2, 0)",
        "return max(min_length - 1, 0)",
        _TEST_KERNEL,
    ),
    Fault(
        "sliding: the items of the first window are repeats",
        _WINDOWS,
        "np.where(k > 0, np.minimum(L - self.step(L), size), 0)",
        "np.where(k >= 0, np.minimum(L - self.step(L), size), 0)",
        _TEST_KERNEL,
    ),
    Fault(
        "sliding: as many items are repeats as the stride has",
        _WINDOWS,
        "np.minimum(L - self.step(L), size)",
        "np.minimum(self.step(L), size)",
        _TEST_KERNEL,
    ),
    Fault(
        "prefix: the target is a repeat",
        _WINDOWS,
        "np.where(k > self.first_kept(min_length), size - 1, 0)",
        "np.where(k > self.first_kept(min_length), size, 0)",
        _TEST_KERNEL,
    ),
    Fault(
        "prefix: the first kept window has repeats, of windows that were dropped",
        _WINDOWS,
        "np.where(k > self.first_kept(min_length), size - 1, 0)",
        "np.where(k > 0, size - 1, 0)",
        _TEST_KERNEL,
    ),
    Fault(
        "accounting: a repeat in a dropped last window counts as dropped",
        _WINDOWS,
        "size - self.repeated(k, size, L, min_length), 0)",
        "size, 0)",
        _TEST_KERNEL,
    ),
    Fault(
        "accounting: first and last drop a history of just min_length items",
        _WINDOWS,
        "return np.where(n < min_length, n, 0)",
        "return np.where(n <= min_length, n, 0)",
        _TEST_KERNEL,
    ),
    Fault(
        "accounting: prefix forgets a history of one item, which has no window",
        _WINDOWS,
        "np.where(n < max(min_length, 2), n, 0)",
        "np.where(n < min_length, n, 0)",
        _TEST_KERNEL,
    ),
    Fault(
        "accounting: first and last count one truncated item too few",
        _WINDOWS,
        "return np.maximum(n - L, 0)\n",
        "return np.maximum(n - L - 1, 0)\n",
        _TEST_KERNEL,
    ),
)

_KERNEL_FAULTS: Final = (
    Fault(
        "min_length drops a window that just has it",
        _KERNEL,
        "kept = size >= plan.min_length",
        "kept = size > plan.min_length",
        _TEST_KERNEL,
    ),
    Fault(
        "padding stands on the other side",
        _KERNEL,
        'if plan.padding_side == "left"',
        'if plan.padding_side == "right"',
        _TEST_KERNEL,
    ),
    Fault(
        "left padding is ignored",
        _KERNEL,
        'if plan.padding_side == "left"',
        'if plan.padding_side == "both"',
        _TEST_KERNEL,
    ),
    Fault("is_pad is inverted", _KERNEL, "cells.append(pa.array(is_pad))", "cells.append(pa.array(1 - is_pad))", _TEST_KERNEL),
    Fault(
        "is_pad is 0 everywhere",
        _KERNEL,
        "is_pad = np.ones(rows * L, np.int8)",
        "is_pad = np.zeros(rows * L, np.int8)",
        _TEST_KERNEL,
    ),
    Fault(
        "is_repeat marks one item too many",
        _KERNEL,
        "within < np.repeat(windows.repeated",
        "within <= np.repeat(windows.repeated",
        _TEST_KERNEL,
    ),
    Fault(
        "is_repeat is inverted",
        _KERNEL,
        "within < np.repeat(windows.repeated",
        "within >= np.repeat(windows.repeated",
        _TEST_KERNEL,
    ),
    Fault(
        "numbers are padded with zero",
        _KERNEL,
        "np.full(cells, feature.pad_value, numbers.dtype)",
        "np.zeros(cells, numbers.dtype)",
        _TEST_KERNEL,
    ),
    Fault(
        "texts and bools are padded with the empty text and false",
        _KERNEL,
        "pad = pa.array([feature.pad_value], values.type)",
        "pad = pa.array([type(feature.pad_value)()], values.type)",
        _TEST_KERNEL,
    ),
    Fault(
        "every feature is padded with the first one's value",
        _KERNEL,
        "zip(items, plan.features, strict=True)",
        "zip(items, plan.features[:1] * len(items), strict=True)",
        _TEST_OPERATION,
    ),
    Fault(
        "null is filled with the pad value",
        _KERNEL,
        "pa.scalar(feature.fill_value, stored_type(feature.type))",
        "pa.scalar(feature.pad_value, stored_type(feature.type))",
        _TEST_KERNEL,
    ),
    Fault(
        "a missing moment is filled with the pad value",
        _KERNEL,
        "pa.scalar(feature.fill_value, values.type)",
        "pa.scalar(feature.pad_value, values.type)",
        _TEST_KERNEL,
    ),
    Fault(
        "timestamps are truncated toward 1970",
        _KERNEL,
        "np.floor_divide(pc.fill_null(values, 0).to_numpy(zero_copy_only=False), 1000)",
        "pc.divide(pc.fill_null(values, 0), 1000).to_numpy(zero_copy_only=False)",
        _TEST_KERNEL,
    ),
    Fault(
        "the first carried row is lost",
        _KERNEL,
        "needed - int(segments.offset[-1]))",
        "needed - int(segments.offset[-1]) + 1)",
        _TEST_KERNEL,
    ),
    Fault(
        "the last entity is lost",
        _KERNEL,
        "yield from self._sequences(carry.rows, _last_segment(carry))",
        "yield from ()",
        _TEST_KERNEL,
    ),
    Fault(
        "the last output batch is lost where it is not full",
        _KERNEL,
        "range(0, len(windows), rows)",
        "range(0, len(windows) // rows * rows or len(windows), rows)",
        ("sequencing/test_kernel.py::test_output_batches_are_bounded",),
    ),
    Fault(
        "the entities on both sides of a batch border are one",
        _KERNEL,
        "if values[0] == carry.entity:",
        "if values[0] is not None:",
        _TEST_KERNEL,
    ),
    Fault(
        "an entity that goes on in the next batch is two",
        _KERNEL,
        "if values[0] == carry.entity:",
        "if values[0] is None:",
        _TEST_KERNEL,
    ),
    Fault(
        "the windows before a batch border are counted again after it",
        _KERNEL,
        "offset[0], windows[0] = carry.length - carried, carry.windows",
        "offset[0], windows[0] = carry.length - carried, 0",
        _TEST_KERNEL,
    ),
    Fault(
        "sequence_index counts dropped windows",
        _KERNEL,
        "index = k - plan.window.first_kept(plan.min_length)",
        "index = k",
        _TEST_KERNEL,
    ),
    Fault(
        "sequence_start counts from the batch",
        _KERNEL,
        "pa.array(windows.start)",
        "pa.array(windows.source)",
        _TEST_KERNEL,
    ),
    Fault(
        "sequence_size counts padding",
        _KERNEL,
        "pa.array(windows.size, pa.int32())",
        "pa.array(np.full_like(windows.size, L), pa.int32())",
        _TEST_KERNEL,
    ),
    Fault(
        "accounting: a repeat counts as sequenced once more",
        _KERNEL,
        "int((size - repeated)[kept].sum())",
        "int(size[kept].sum())",
        _TEST_KERNEL,
    ),
    Fault(
        "accounting: dropped windows count as sequences",
        _KERNEL,
        'counts["sequences"] += int(kept.sum())',
        'counts["sequences"] += len(kept)',
        _TEST_KERNEL,
    ),
    Fault(
        "accounting: items of dropped windows count as padding",
        _KERNEL,
        "plan.sequence_length - size[kept].sum())",
        "plan.sequence_length - size.sum())",
        _TEST_KERNEL,
    ),
    Fault(
        "accounting: a lost record is no problem",
        _ACCOUNTING,
        "== self.accepted + self.rejected,",
        ">= self.accepted + self.rejected,",
        _TEST_ACCOUNTING,
    ),
    Fault(
        "accounting: an observation in no subset is no problem",
        _ACCOUNTING,
        "== self.train + self.validation,",
        ">= self.train + self.validation,",
        _TEST_ACCOUNTING,
    ),
    Fault(
        "accounting: an observation that is neither sequenced nor dropped is no problem",
        _ACCOUNTING,
        "if self.observations == self.sequenced",
        "if self.observations >= self.sequenced",
        _TEST_ACCOUNTING,
    ),
    Fault(
        "sequence(): ties are in reverse order",
        _OPERATION,
        "*order, np.arange(clean.num_rows)]",
        "*order, -np.arange(clean.num_rows)]",
        _TEST_OPERATION,
    ),
    Fault(
        "sequence(): the last column of order_by counts first",
        _OPERATION,
        "*order, np.arange(clean.num_rows)]",
        "*reversed(order), np.arange(clean.num_rows)]",
        _TEST_OPERATION,
    ),
    Fault(
        "sequence(): entities stay in the order of the rows",
        _OPERATION,
        "keys = [clean.column(entity), *order, ",
        "keys = [clean.column(entity).dictionary_encode().combine_chunks().indices, *order, ",
        _TEST_OPERATION,
    ),
    Fault(
        "sequence(): nanoseconds are rounded",
        _OPERATION,
        'pc.floor_temporal(naive, unit="microsecond")',
        'pc.round_temporal(naive, unit="microsecond")',
        _TEST_OPERATION,
    ),
    Fault("sequence(): NaN is a value", _OPERATION, "pc.sum(pc.is_nan(values)).as_py() or 0", "0", _TEST_OPERATION),
)

_ORDER_FAULTS: Final = (
    Fault(
        "files are in the order of a dictionary, not of their bytes",
        _LOCATION,
        "key=lambda file: file.name.encode()",
        "key=lambda file: file.name.lower()",
        _TEST_LOCATION,
    ),
    Fault(
        "files are in the order of UTF-16",
        _LOCATION,
        "key=lambda file: file.name.encode()",
        'key=lambda file: file.name.encode("utf-16-be")',
        _TEST_LOCATION,
    ),
    Fault(
        "ties are in the order of rows, then of files",
        _CONTRACT_SQL,
        '"_file", "_row"]',
        '"_row", "_file"]',
        _ingest("rows_are_ordered_by_entity_then_order_by_then_file_then_row"),
    ),
    Fault(
        "ties of one file are in reverse order",
        _CONTRACT_SQL,
        '"_file", "_row"]',
        '"_file", "_row DESC"]',
        _ingest("without_order_by_the_sources_order_stands"),
    ),
    Fault(
        "the last column of order_by counts first",
        _CONTRACT_SQL,
        "dict.fromkeys([spec.entity, *spec.order_by])",
        "dict.fromkeys([spec.entity, *spec.order_by[::-1]])",
        _ingest("histories_can_be_ordered_by_several_columns_of_any_type"),
    ),
    Fault(
        "rows are in the order of time, not of entity and time",
        _CONTRACT_SQL,
        "dict.fromkeys([spec.entity, *spec.order_by])",
        "dict.fromkeys([*spec.order_by, spec.entity])",
        _ingest("rows_are_ordered_by_entity_then_order_by_then_file_then_row"),
    ),
    Fault(
        "_position starts again in each batch",
        _INGEST,
        "carried = position if last is not None and values[0] == last else 0",
        "carried = 0",
        _ingest("a_million_rows_of_one_entity_are_one_history"),
    ),
    Fault(
        "_position goes on where the entity changes",
        _INGEST,
        "positions = rows - first + np.where(first == 0, carried, 0)",
        "positions = rows + carried",
        _ingest("rows_are_ordered_by_entity_then_order_by_then_file_then_row"),
    ),
    Fault(
        "rows of Parquet are numbered from 0",
        "warehouse/sources/parquet_format.py",
        '"_source.file_row_number + 1"',
        '"_source.file_row_number"',
        _ingest("row_numbers_of_parquet_go_over_row_groups"),
    ),
)

_SPLIT_FAULTS: Final = (
    Fault(
        "the seed of the hash is ignored",
        _CONTRACT_SQL,
        "'{split.seed}:' ||",
        "'0:' ||",
        _ingest("whole_entities_are_split_by_md5"),
    ),
    Fault(
        "a hash that equals the fraction is validation",
        _CONTRACT_SQL,
        "{start} < '{threshold:08x}'",
        "{start} <= '{threshold:08x}'",
        _ingest("an_entity_is_validation_where_its_hash_is_below_the_fraction"),
    ),
    Fault(
        "a hash just below the fraction is train",
        _CONTRACT_SQL,
        "math.ceil(split.validation_fraction * 2**32)",
        "math.floor(split.validation_fraction * 2**32)",
        _ingest("an_entity_is_validation_where_its_hash_is_below_the_fraction"),
    ),
    Fault(
        "the hash is that of the entity without the seed before it",
        _CONTRACT_SQL,
        "'{split.seed}:' || CAST({entity} AS VARCHAR)",
        "CAST({entity} AS VARCHAR) || ':{split.seed}'",
        _ingest("string_entities_are_hashed_as_utf_8"),
    ),
    Fault(
        "the fraction 1 leaves everybody in train",
        _CONTRACT_SQL,
        "if threshold > 0xFFFFFFFF:",
        "if threshold > 2**33:",
        _ingest("all_entities_may_be_on_one_side"),
    ),
    Fault(
        "an observation at the cutoff is train",
        _CONTRACT_SQL,
        "{value} >= {self.cutoff(spec, split)}",
        "{value} > {self.cutoff(spec, split)}",
        _ingest("time_splits_before_and_from_the_cutoff"),
    ),
    Fault(
        "the day of a cutoff at noon is validation",
        _CONTRACT_SQL,
        "days = -(-microseconds // 86_400_000_000)",
        "days = microseconds // 86_400_000_000",
        _ingest("a_date_is_its_midnight_in_a_split_by_time"),
    ),
    Fault(
        "the zone of a cutoff is ignored",
        "models/columns.py",
        "aware = value if value.tzinfo else value.replace(tzinfo=UTC)",
        "aware = value.replace(tzinfo=UTC)",
        ("models/test_parsing.py::test_a_cutoff_is_utc_unless_it_names_its_offset",),
    ),
    Fault(
        "an unknown value of the split's column is train",
        _CONTRACT_SQL,
        "and split.column == name:",
        'and split.column == "":',
        _ingest("a_column_may_name_the_subset_and_other_values_are_rejected"),
    ),
    Fault(
        "the split's column names train and validation the wrong way round",
        _CONTRACT_SQL,
        "for item in split.validation]",
        "for item in split.train]",
        _ingest("a_column_may_name_the_subset_and_other_values_are_rejected"),
    ),
    Fault(
        "the folders train and validation are taken the wrong way round",
        _INGEST,
        "source.by_subset()[1]",
        "source.by_subset()[0]",
        _ingest("folders_may_name_the_subset"),
    ),
    Fault(
        "validation rows are in train too",
        _INGEST,
        "WHERE subset = '{subset}' ORDER BY",
        "WHERE (subset = '{subset}' OR '{subset}' = 'train') ORDER BY",
        _ingest("time_splits_before_and_from_the_cutoff"),
    ),
    Fault(
        "sequences of one subset are made of both",
        _PUBLISHING,
        "if _place_in_run(file).stem == subset)",
        "if _place_in_run(file).stem)",
        _contract("the_files_of_each_subset_hold_its_rows_in_order"),
    ),
)

_REJECTION_FAULTS: Final = (
    Fault(
        "only the first failed column is kept",
        _SQL,
        "nullif(_failed, [])",
        "nullif(_failed[:1], [])",
        _ingest("the_first_reason_counts_and_every_failed_column_is_told"),
    ),
    Fault(
        "only the last failed column is kept",
        _SQL,
        "nullif(_failed, [])",
        "nullif(_failed[-1:], [])",
        _ingest("the_first_reason_counts_and_every_failed_column_is_told"),
    ),
    Fault(
        "validations apply in another order",
        "models/columns.py",
        "for validation in Validation:",
        "for validation in reversed(Validation):",
        ("models/test_columns.py", *_ingest("the_first_reason_counts_and_every_failed_column_is_told")),
    ),
    Fault(
        "the rejected value is shown trimmed",
        _SQL,
        'else f"CAST({source} AS VARCHAR)"',
        'else f"trim(CAST({source} AS VARCHAR))"',
        _ingest("the_first_reason_counts_and_every_failed_column_is_told"),
    ),
    Fault(
        "is_between excludes its lower end",
        _CONTRACT_SQL,
        "{value} BETWEEN {literals[0]} AND {literals[1]}",
        "{value} > {literals[0]} AND {value} <= {literals[1]}",
        _ingest("each_validation_accepts_its_bounds_as_its_name_says_and_rejects_the_rest"),
    ),
    Fault(
        "is_between excludes its upper end",
        _CONTRACT_SQL,
        "{value} BETWEEN {literals[0]} AND {literals[1]}",
        "{value} >= {literals[0]} AND {value} < {literals[1]}",
        _ingest("each_validation_accepts_its_bounds_as_its_name_says_and_rejects_the_rest"),
    ),
    Fault(
        "is_greater_than_or_equal excludes its bound",
        _CONTRACT_SQL,
        'Validation.IS_GREATER_THAN_OR_EQUAL: ">="',
        'Validation.IS_GREATER_THAN_OR_EQUAL: ">"',
        _ingest("each_validation_accepts_its_bounds_as_its_name_says_and_rejects_the_rest"),
    ),
    Fault(
        "is_lower_than includes its bound",
        _CONTRACT_SQL,
        'Validation.IS_LOWER_THAN: "<"',
        'Validation.IS_LOWER_THAN: "<="',
        _ingest("each_validation_accepts_its_bounds_as_its_name_says_and_rejects_the_rest"),
    ),
    Fault(
        "a bound of 0 is no bound",
        "models/columns.py",
        "            if value is not None:",
        "            if value:",
        ("models/test_columns.py",),
    ),
    Fault(
        "null is rejected where the column allows it",
        _CONTRACT_SQL,
        "if not column.nullable:",
        "if column.type:",
        _ingest("nulls_and_nan_are_nulls_where_the_column_allows_them"),
    ),
    Fault(
        "accounting: a rejected record counts once per failed column",
        _INGEST,
        "_rejections[1].reason, count(*)",
        "_rejections[1].reason, sum(len(_rejections))::BIGINT",
        _ingest("the_first_reason_counts_and_every_failed_column_is_told"),
    ),
    Fault(
        "accounting: the last failed column gives the reason",
        _INGEST,
        "_rejections[1].reason, count(*)",
        "_rejections[-1].reason, count(*)",
        _ingest("the_first_reason_counts_and_every_failed_column_is_told"),
    ),
    Fault(
        "accounting: what was read is the sum of what was kept",
        _INGEST,
        "accounting=stage_accounting(engine, staged.read)",
        'accounting=stage_accounting(engine, engine.row(f"SELECT count(*) AS rows FROM {STAGE}")["rows"])',
        _ingest("a_record_that_gets_lost_after_it_was_read_publishes_nothing"),
    ),
    Fault(
        "metrics are over rejected rows too",
        _INGEST,
        'accepted = f"(SELECT * FROM {STAGE} WHERE _rejections IS NULL)"',
        "accepted = STAGE",
        _ingest("metrics_are_over_accepted_rows_only"),
    ),
    Fault(
        "the variance is that of a population",
        _METRICS,
        "var_samp(",
        "var_pop(",
        _ingest("metrics_are_those_of_the_statistics_module"),
    ),
    Fault(
        "the standard deviation is the variance",
        _METRICS,
        'math.sqrt(column["variance"])',
        'column["variance"]',
        _ingest("metrics_are_those_of_the_statistics_module"),
    ),
    Fault(
        "metrics lose the digits of large values",
        _METRICS,
        'exact = "BIGINT" if found["max"] - minimum <= _LARGEST_BIGINT else measures.widest_integer',
        'exact = "FLOAT"',
        _ingest("metrics_are_those_of_the_statistics_module"),
    ),
    Fault(
        "metrics of integers that lie far apart overflow",
        _METRICS,
        "_LARGEST_BIGINT else measures.widest_integer",
        '_LARGEST_BIGINT else "BIGINT"',
        _ingest("metrics_are_those_of_the_statistics_module"),
    ),
    Fault(
        "different values are counted once per part",
        _UNIQUE_VALUES,
        "% {parts} = {part}",
        "% {parts} <= {part}",
        _TEST_UNIQUE_VALUES,
    ),
    Fault(
        "fifty labels are too many to be counted",
        _METRICS,
        "<= MOST_LABELS",
        "< MOST_LABELS",
        _ingest("labels_are_counted_up_to_fifty"),
    ),
)

_READING_FAULTS: Final = (
    Fault(
        "the first bytes of a character are lost where ASCII follows them",
        _TEXT,
        "and not self._decoder.getstate()[0]:",
        "and self._decoder:",
        _TEST_TEXT,
    ),
    Fault(
        "malformed rows of CSV are lost",
        "warehouse/sources/csv_format.py",
        "yield malformed_records(schema, index, records.malformed)",
        "yield malformed_records(schema, index, {})",
        _TEST_CSV,
    ),
    Fault(
        "malformed records before the first record of a file without a header are lost",
        _LINES,
        "itertools.chain(self._passed, self._blocks)",
        "self._blocks",
        _TEST_CSV,
    ),
    Fault(
        "noncharacters become a separator that stood there",
        _LINES,
        "            (_ESCAPED_ESCAPE, _ESCAPE),\n",
        "",
        _TEST_CSV,
    ),
    Fault(
        "a number in a line of JSON that Python does not read is lost",
        "warehouse/sources/json_format.py",
        "return _Number(piece) if",
        "return None if",
        _TEST_JSON,
    ),
    Fault(
        "lines of JSON that are no object are lost",
        "warehouse/sources/json_format.py",
        "NOT {_BEGINS_AN_OBJECT}) THEN 'no JSON object'",
        "NOT {_BEGINS_AN_OBJECT}) THEN NULL",
        _TEST_JSON,
    ),
    Fault(
        "a key of JSON may stand twice",
        "warehouse/sources/json_format.py",
        "WHEN len(keys) <> list_unique(keys) THEN",
        "WHEN len(keys) < list_unique(keys) THEN",
        _TEST_JSON,
    ),
    Fault(
        "row numbers do not count malformed rows",
        _LINES,
        'ordinals + np.searchsorted(before, ordinals, side="left")',
        "ordinals",
        _TEST_CSV,
    ),
    Fault(
        "the row before a malformed one has its number",
        _LINES,
        "- 1 - np.arange(len(others))",
        "- 2 - np.arange(len(others))",
        _TEST_CSV,
    ),
    Fault(
        "row numbers start again where the reader goes on",
        _LINES,
        "            before += records",
        "            before = records",
        _TEST_CSV,
    ),
    Fault(
        "quoted null values are nulls unasked",
        _LINES,
        "quoted_strings_can_be_null=self._options.quoted_nulls",
        "quoted_strings_can_be_null=True",
        _TEST_CSV,
    ),
    Fault(
        "null_values are ignored",
        _LINES,
        "for value in self._options.null_values",
        "for value in ()",
        _TEST_CSV,
    ),
    Fault(
        "bytes that are no text are values",
        _LINES,
        "for column in columns.columns if self._stream.undecodable else ():",
        "for column in ():",
        _TEST_CSV,
    ),
    Fault(
        "text after a closing quote belongs to the field",
        _BLOCKS,
        "return bool(opens.all() and closes.all())",
        "return bool(opens.all())",
        _TEST_CSV,
    ),
    Fault(
        "a field that is not closed goes on to the next quote",
        _BLOCKS,
        "(closing + 1 == len(text) or text[closing + 1] in between)",
        "True",
        _TEST_CSV,
    ),
    Fault(
        "a float of JSON is a text",
        "warehouse/sources/json_format.py",
        "(column.type is ColumnType.STRING and is_fraction)",
        "False",
        _TEST_JSON,
    ),
    Fault(
        "an integer of JSON goes by way of a double",
        "warehouse/sources/json_format.py",
        "return f\"({is_double} AND regexp_matches(line, '{_INEXACT_DIGITS}'))\"",
        'return "false"',
        _TEST_JSON,
    ),
    Fault(
        "a trailing comma of three-line text is a null",
        _THREE_LINE,
        'return fields[:-1] if fields[-1].strip() == "" else fields',
        "return fields",
        _TEST_THREE_LINE,
    ),
    Fault(
        "a block of three-line text may have more answers than it says",
        _THREE_LINE,
        "int(count) == skills == answers",
        "int(count) <= skills == answers",
        _TEST_THREE_LINE,
    ),
    Fault(
        "blocks of three-line text are numbered from 0",
        _THREE_LINE,
        "_blocks(file, options.encoding, longest), 1)",
        "_blocks(file, options.encoding, longest), 0)",
        _TEST_THREE_LINE,
    ),
    Fault(
        "what is kept of text is taken whatever became of it",
        _TEXT_CACHE,
        'if _hash_of(path) == path.name.split(".")[1]:',
        "if path.is_file():",
        ("warehouse/local/test_text_cache.py::test_what_is_damaged_is_read_again_and_replaced",),
    ),
    Fault(
        "what is kept of text is taken whatever contract judged it",
        _TEXT_CACHE,
        ', spec.digest("columns"), judged]',
        "]",
        ("warehouse/local/test_text_cache.py::test_text_is_read_again_where_another_contract_judges_it",),
    ),
    Fault(
        "text that changed while it was read is kept",
        _TEXT_CACHE,
        "self._source.files[index] in unchanged and rows",
        "rows",
        ("warehouse/local/test_text_cache.py::test_a_file_that_changes_while_it_is_read_is_not_kept",),
    ),
    Fault(
        "what JSON marks as unreadable is accepted at a glance",
        _SQL,
        '"_unreadable IS NULL", ',
        "",
        _ingest("floats_and_nested_values_of_json_are_no_strings"),
    ),
    Fault(
        "files whose name begins with _ count",
        _LOCATION,
        'part.startswith((".", "_"))',
        'part.startswith(".")',
        _TEST_LOCATION,
    ),
    Fault(
        "integers are what DuckDB casts: 1.5 is 2",
        _CASTS,
        "THEN {cast} WHEN regexp_full_match({value}, {_INT}) THEN {whole} END",
        "THEN {cast} ELSE {cast} END",
        _TEST_CASTS,
    ),
    Fault("1.5 is the integer 1", _GRAMMAR, r'[+-]?[0-9]+(\.0*)?"', r'[+-]?[0-9]+(\.[0-9]*)?"', _TEST_CASTS),
    Fault("0x10 is an integer", _GRAMMAR, r'[+-]?[0-9]+(\.0*)?"', r'[+-]?(0x)?[0-9]+(\.0*)?"', _TEST_CASTS),
    Fault(
        "the float 1.5 is the integer 2",
        _CASTS,
        "CASE WHEN {value} = trunc({value}) THEN TRY_CAST({value} AS {target}) END",
        "TRY_CAST({value} AS {target})",
        _TEST_CASTS,
    ),
    Fault(
        "an integer that the float cannot hold is rounded",
        _CASTS,
        "AND {exact} OR {back} THEN",
        "AND {exact} OR true THEN",
        _TEST_CASTS,
    ),
    Fault(
        "a text that overflows is infinite",
        _CASTS,
        "regexp_full_match({value}, {_FLOAT}) AND isfinite({cast})",
        "regexp_full_match({value}, {_FLOAT})",
        _TEST_CASTS,
    ),
    Fault(
        "an infinite float is a value",
        _CASTS,
        "isfinite({value}) AND isfinite({cast})",
        "NOT isnan({value})",
        _TEST_CASTS,
    ),
    Fault(
        "NaN is a value",
        _CASTS,
        "isfinite({value}) AND isfinite({cast})",
        "NOT isinf({value})",
        _ingest("nulls_and_nan_are_nulls_where_the_column_allows_them"),
    ),
    Fault(
        "the float NaN is unreadable, not null",
        _CASTS,
        "({value} IS NULL OR isnan({value}))",
        "({value} IS NULL)",
        _TEST_CASTS,
    ),
    Fault(
        "the text nan is unreadable, not null",
        _CASTS,
        "({value} IS NULL OR lower({value}) = 'nan')",
        "({value} IS NULL)",
        _TEST_CASTS,
    ),
    Fault(
        "yes is true",
        _CASTS,
        "WHEN 'true' THEN true",
        "WHEN 'true' THEN true WHEN 'yes' THEN true",
        _TEST_CASTS,
    ),
    Fault(
        "the offset of a timestamp is ignored",
        _CASTS,
        "TRY_CAST({value} AS TIMESTAMPTZ)",
        "TRY_CAST({value} AS TIMESTAMP)",
        _TEST_CASTS,
    ),
    Fault(
        "whatever DuckDB takes for a timestamp is one",
        _CASTS,
        "regexp_full_match({value}, {_TIMESTAMP}) AND NOT",
        "{value} IS NOT NULL AND NOT",
        _TEST_CASTS,
    ),
    Fault("24:00 is a time", _GRAMMAR, "([01][0-9]|2[0-3]):[0-5][0-9](:", "([01][0-9]|2[0-4]):[0-5][0-9](:", _TEST_CASTS),
    Fault(
        "a moment of a day is a date",
        _CASTS,
        "CASE WHEN ({microseconds}) % {DAY} = 0 THEN",
        "CASE WHEN ({microseconds}) % {DAY} >= 0 THEN",
        _TEST_CASTS,
    ),
    Fault(
        "parts of a microsecond are cut off epoch times",
        _CASTS,
        "CASE WHEN {decimal} = trunc({decimal}) THEN",
        "CASE WHEN {decimal} IS NOT NULL THEN",
        _TEST_CASTS,
    ),
    Fault("nanoseconds of Parquet are cut off", _CASTS, "% 1000 = 0 THEN", "% 1000 < 1000 THEN", _TEST_CASTS),
    Fault("milliseconds are read as seconds", _GRAMMAR, '"ms": 1_000,', '"ms": 1_000_000,', _TEST_CASTS),
    Fault(
        "a tab after a value is not trimmed",
        _CASTS,
        r'for blank in (" ", "\t")',
        'for blank in (" ",)',
        _TEST_CASTS,
    ),
    Fault("tabs around a value are not trimmed", _CASTS, r"trim({value}, ' \t')", "trim({value}, ' ')", _TEST_CASTS),
    Fault(
        "a fill value of 0 is none",
        "models/spec.py",
        "return None if fill is None else",
        "return None if not fill else",
        ("models/test_parsing.py::test_pad_and_fill_values_are_of_the_feature_type",),
    ),
)

_DERIVED_FAULTS: Final = (
    Fault(
        "time since the item before: an item at the end of a batch is nobody's before",
        _DERIVED,
        "begins[0] = before is None or before.column(entity)[0] != values[0]",
        "begins[0] = True",
        _TEST_KERNEL,
    ),
    Fault(
        "time since the item before: the first item of a history has the one of another entity before it",
        _DERIVED,
        "begins[1:] = pc.not_equal",
        "begins[1:] = False & pc.not_equal",
        _TEST_KERNEL,
    ),
    Fault(
        "time since the item before: in microseconds, whatever the unit",
        _DERIVED,
        "prepend=earlier) // how.unit",
        "prepend=earlier)",
        _TEST_KERNEL,
    ),
    Fault(
        "time since the item before: the first item has 0, whatever was said",
        _DERIVED,
        "np.where(begins, how.first,",
        "np.where(begins, 0,",
        _TEST_KERNEL,
    ),
    Fault(
        "time since the item before: observations in another order are used",
        _PUBLISHING,
        "feature.derivation.column not in made.order_by[:1]",
        "feature.derivation.column not in made.columns",
        ("contract/test_derived.py::test_observations_in_another_order_have_to_be_made_anew",),
    ),
)

_VOCABULARY_FAULTS: Final = (
    Fault(
        "vocabulary: what is as frequent as it must be is too rare",
        _VOCABULARY,
        'pc.greater_equal(ordered["count"], min_count)',
        'pc.greater(ordered["count"], min_count)',
        _vocabulary("what_is_rare_is_unknown_and_what_became_rare_keeps_its_id"),
    ),
    Fault(
        "audit: a rare value has an id",
        _AUDIT_VOCABULARY,
        "before IS NULL AND expected < {min_count})",
        "before IS NULL AND expected < 0)",
        _TEST_AUDIT_VOCABULARY,
    ),
    Fault(
        "vocabulary: ids count from 1",
        _VOCABULARY,
        "FIRST_ID: Final = 2",
        "FIRST_ID: Final = 1",
        _vocabulary("values_are_numbered_from_two_by_count_then_by_value"),
    ),
    Fault(
        "vocabulary: what is unknown has the id of padding",
        _VOCABULARY,
        "UNKNOWN_ID: Final = 1",
        "UNKNOWN_ID: Final = 0",
        _vocabulary("what_only_validation_has_is_unknown"),
    ),
    Fault(
        "vocabulary: what is unknown has the last id",
        _VOCABULARY,
        'np.append(vocabulary["id"].to_numpy(), np.int32(UNKNOWN_ID))',
        'vocabulary["id"].to_numpy()',
        _vocabulary("what_only_validation_has_is_unknown"),
    ),
    Fault(
        "vocabulary: the least frequent value comes first",
        _VOCABULARY,
        '("count", "descending")',
        '("count", "ascending")',
        _vocabulary("values_are_numbered_from_two_by_count_then_by_value"),
    ),
    Fault(
        "vocabulary: equally frequent values are in reverse order",
        _VOCABULARY,
        '("value", "ascending")',
        '("value", "descending")',
        _vocabulary("values_are_numbered_from_two_by_count_then_by_value"),
    ),
    Fault(
        "vocabulary: equally frequent numbers are in the order of texts",
        _VOCABULARY,
        "ordered = counts.sort_by(",
        'ordered = counts.set_column(0, "value", counts["value"].cast(pa.string())).sort_by(',
        _vocabulary("every_type_of_label_can_be_encoded"),
    ),
    Fault(
        "vocabulary: a changed source gives all ids anew",
        _VOCABULARY,
        "values_of(before, name)",
        'values_of(before, "")',
        _vocabulary("ids_stay_new_values_follow_and_what_vanished_comes_back_to_its_own"),
    ),
    Fault(
        "vocabulary: new values get ids that are taken",
        _VOCABULARY,
        'pc.max(before["id"]).as_py() or 0',
        "0",
        _vocabulary("ids_stay_new_values_follow_and_what_vanished_comes_back_to_its_own"),
    ),
    Fault(
        "vocabulary: the counts are those of the version before",
        _VOCABULARY,
        'pc.fill_null(ordered["count"].take(pc.index_in(before["value"], value_set=texts)), 0)',
        'before["count"]',
        _vocabulary("ids_stay_new_values_follow_and_what_vanished_comes_back_to_its_own"),
    ),
    Fault(
        "vocabulary: a feature that is no longer encoded loses its ids",
        _VOCABULARY,
        'pc.invert(pc.is_in(before["feature"], value_set=names))',
        'pc.is_null(before["feature"])',
        _vocabulary("ids_survive_a_time_without_the_feature"),
    ),
    Fault(
        "vocabulary: null is unknown although it is filled",
        _VOCABULARY,
        "pc.fill_null(values, _scalar(self._fill_value, values.type))",
        "values",
        _vocabulary("null_is_unknown_unless_it_is_filled"),
    ),
    Fault(
        "vocabulary: what fills null is not counted",
        _CONTRACT_SQL,
        'return value if fill_value is None else f"coalesce(',
        'return value if fill_value is None or column_type else f"coalesce(',
        _vocabulary("null_is_unknown_unless_it_is_filled"),
    ),
    Fault(
        "vocabulary: values of validation have ids",
        _INGEST,
        "(SELECT * FROM {ACCEPTED} WHERE subset = 'train')",
        "(SELECT * FROM {ACCEPTED})",
        _vocabulary("what_only_validation_has_is_unknown"),
    ),
    Fault(
        "vocabulary: values of rejected records have ids",
        _INGEST,
        "(SELECT * FROM {ACCEPTED} WHERE subset = 'train')",
        "(SELECT * FROM {STAGE})",
        _vocabulary("a_rejected_observation_has_no_say"),
    ),
    Fault(
        "vocabulary: that of an old raw version is the newest",
        _WAREHOUSE,
        "self.find(Dataset.vocabulary(plan.model), version).files",
        "self.find(Dataset.vocabulary(plan.model)).files",
        _vocabulary("sequences_of_an_old_version_have_its_vocabulary"),
    ),
    Fault(
        "vocabulary: a handle of an old version gives the newest",
        "warehouse/interface.py",
        "self.find(Dataset.vocabulary(version.dataset.model), number)",
        "self.find(Dataset.vocabulary(version.dataset.model))",
        ("client/test_datasets.py::test_a_handle_has_the_vocabulary_of_its_own_version",),
    ),
    Fault(
        "vocabulary: the view shows one that no raw version names",
        _CLIENT,
        "yield warehouse.find(dataset, named)",
        "yield warehouse.find(dataset)",
        ("client/test_datasets.py::test_views_show_what_the_newest_raw_observations_were_published_with",),
    ),
    Fault(
        "vocabulary: its audit accepts values that train does not have",
        _AUDIT_VOCABULARY,
        'if found.pop("leaked"):',
        'if found.pop("leaked") < 0:',
        _TEST_AUDIT_VOCABULARY,
    ),
    Fault(
        "vocabulary: its audit accepts ids in any order and any count",
        _AUDIT_VOCABULARY,
        "for flaw, count in found.items() if count]",
        "for flaw, count in found.items() if count < 0]",
        _TEST_AUDIT_VOCABULARY,
    ),
    Fault(
        "vocabulary: its audit accepts changed ids",
        _AUDIT_VOCABULARY,
        'if found["changed"]:',
        'if found["changed"] < 0:',
        _TEST_AUDIT_VOCABULARY,
    ),
    Fault(
        "vocabulary: it is published whatever its audit says",
        _PUBLISHING,
        "_require(vocabulary_findings(engine, counts, written, before, known.ids_from, spec.min_counts), dataset)",
        "_require([], dataset)",
        ("warehouse/local/test_failures.py::test_a_vocabulary_that_fails_its_audit_leaves_the_last_version",),
    ),
    Fault(
        "vocabulary: inspecting a raw version does not look at it",
        _PUBLISHING,
        "problems=finding.problems + problems.get(finding.check, ())",
        "problems=finding.problems",
        _audit("inspecting_a_raw_version_audits_its_vocabulary_too"),
    ),
)

_AUDIT_FAULTS: Final = (
    Fault(
        "the audit of raw observations accepts values that break the contract",
        _AUDIT_RAW,
        "for name, count in violations.items() if count]",
        "for name, count in violations.items() if count < 0]",
        _WRONG_RAW,
    ),
    Fault(
        "the audit of raw observations accepts any number of rejected records",
        _AUDIT_RAW,
        "if accounting.rejected_ratio > self.spec.checks.rejected_ratio.max:",
        "if accounting.rejected_ratio > 1:",
        _audit("a_lower_maximum_of_rejected_records_breaks_the_contract"),
    ),
    Fault(
        "the audit of raw observations refuses the largest rejected ratio that is allowed",
        _AUDIT_RAW,
        "if accounting.rejected_ratio > self.spec.checks.rejected_ratio.max:",
        "if accounting.rejected_ratio >= self.spec.checks.rejected_ratio.max > 0:",
        _ingest("a_source_may_be_rejected_whole_where_the_model_allows_it"),
    ),
    Fault(
        "the audit of raw observations accepts repeated values where each must be unique",
        _AUDIT_RAW,
        'if found["repeated"]:',
        'if found["repeated"] < 0:',
        _ingest("values_that_must_be_unique_fail_the_contract_where_they_are_not"),
    ),
    Fault(
        "the audit of raw observations refuses the largest share of nulls that is allowed",
        _AUDIT_RAW,
        'found["nulls"] > most:',
        'found["nulls"] >= most:',
        _ingest("too_large_a_share_of_nulls_fails_the_contract"),
    ),
    Fault(
        "the audit of raw observations accepts lost rows",
        _AUDIT_RAW,
        "if found[name] != count",
        "if found[name] is None",
        _WRONG_RAW,
    ),
    Fault(
        "the audit of raw observations accepts a record that stands twice",
        _AUDIT_RAW,
        '"records": accounting.accepted,',
        '"records": found["records"],',
        _WRONG_RAW,
    ),
    Fault(
        "the audit of raw observations accepts rows of the wrong subset",
        _AUDIT_RAW,
        "if observations else []",
        "if observations < 0 else []",
        _audit("an_observation_on_the_wrong_side_of_any_split_is_leakage", "an_entity_in_the_other_subset_is_leakage"),
    ),
    Fault(
        "the audit of raw observations accepts entities in both subsets",
        _AUDIT_RAW,
        'if found["shared"]:',
        'if found["shared"] < 0:',
        _audit("an_entity_in_both_subsets_is_leakage"),
    ),
    Fault(
        "the audit of raw observations accepts any order",
        _AUDIT_RAW,
        '{"are out of order": unordered,',
        '{"are out of order": 0,',
        _WRONG_RAW,
    ),
    Fault(
        "the audit of raw observations accepts any position",
        _AUDIT_RAW,
        '"have a wrong _position": misnumbered}',
        '"have a wrong _position": 0}',
        _WRONG_RAW,
    ),
    Fault(
        "the audit of raw observations accepts any columns",
        _LOCAL_AUDIT_RAW,
        "if not read_schema(storage, file).equals(schema)]",
        "if not file]",
        _WRONG_RAW + _audit("a_null_where_none_may_be_breaks_the_contract"),
    ),
    Fault(
        "the audit of sequences accepts other items than the raw ones",
        _LOCAL_AUDIT_SEQUENCES,
        "OR expected._content IS DISTINCT FROM found._content",
        "OR false",
        _WRONG_SEQUENCES,
    ),
    Fault(
        "the audit of sequences accepts any number of items",
        _LOCAL_AUDIT_SEQUENCES,
        "WHERE expected._items IS DISTINCT FROM found._items OR",
        "WHERE false AND",
        _WRONG_SEQUENCES,
    ),
    Fault(
        "the audit of sequences accepts a miscount",
        _LOCAL_AUDIT_SEQUENCES,
        "if getattr(accounting, name) != count",
        "if getattr(accounting, name) is None",
        _audit("a_miscount_is_something_lost"),
    ),
    Fault(
        "the audit of sequences accepts any item",
        _ITEM_COMPARISON,
        "return bool(np.array_equal(_bits(found)[cells], _bits(expected)[rows]))",
        "return True",
        _audit("one_wrong_thing_in_sequences_is_found_and_nothing_else"),
    ),
    Fault(
        "the audit of sequences takes each of several files for the first",
        _LOCAL_AUDIT_SEQUENCES,
        "before = [None, *(last for _, (_, last) in edges[:-1])]",
        "before = [None for _ in edges]",
        _audit("files_that_are_not_those_of_all_ranges_are_found"),
    ),
    Fault(
        "the audit of sequences leaves out the raw rows before a missing file",
        _LOCAL_AUDIT_SEQUENCES,
        "ends = [*starts[1:], rows.count]",
        "ends = [*starts[1:], starts[-1]]",
        _audit("files_of_several_ranges_pass_without_a_query_for_losses"),
    ),
    Fault(
        "ranges of raw rows are cut within a history",
        _RANGES,
        "cuts.append(self._row_after_history(row))",
        "cuts.append(row)",
        ("warehouse/local/test_ranges.py",),
    ),
    Fault(
        "a row group that ends two ranges is read twice",
        _RANGES,
        "yield batch.slice(max(start - row, 0), end - max(start, row))",
        "yield batch.slice(max(start - row, 0))",
        ("warehouse/local/test_ranges.py",),
    ),
    Fault(
        "all ranges are counted by one kernel",
        "warehouse/local/sequences.py",
        "self._write_range(kernel.another(), rows, range_, file)",
        "self._write_range(kernel, rows, range_, file)",
        ("warehouse/local/test_sequences.py",),
    ),
    Fault(
        "side by side: results come in another order",
        "warehouse/side_by_side.py",
        "for result in results:",
        "for result in reversed(results):",
        ("warehouse/test_side_by_side.py",),
    ),
    Fault(
        "the audit of sequences accepts any windows",
        _LOCAL_AUDIT_SEQUENCES,
        "if found != wanted:",
        "if len(found) != len(wanted):",
        _audit("one_wrong_thing_in_sequences_is_found_and_nothing_else"),
    ),
    Fault(
        "the audit of sequences accepts entities of the other subset",
        _AUDIT_SEQUENCES,
        'if found["misplaced"] else []',
        'if found["misplaced"] < 0 else []',
        _audit("sequences_of_an_entity_of_the_other_subset_are_leakage"),
    ),
    Fault(
        "the audit of sequences accepts what is not well formed",
        _AUDIT_SEQUENCES,
        "for name, count in wrong.items() if count]",
        "for name, count in wrong.items() if count < 0]",
        _WRONG_SEQUENCES,
    ),
    Fault(
        "the audit of sequences accepts any padding",
        _LOCAL_AUDIT_SEQUENCES,
        "padding = np.flatnonzero(~is_item)",
        "padding = np.flatnonzero(~is_item)[:0]",
        _WRONG_SEQUENCES,
    ),
    Fault(
        "the audit of sequences accepts any columns",
        _LOCAL_AUDIT_SEQUENCES,
        "if any(not read_schema(storage, file).equals(schema) for file in files):",
        "if not files:",
        _audit("other_columns_are_not_well_formed"),
    ),
    Fault(
        "raw observations are published whatever their audit says",
        _PUBLISHING,
        "    if problems:",
        '    if problems and dataset.kind != "raw_observations":',
        _contract("what_fails_is_not_published_and_the_last_version_stands"),
    ),
    Fault(
        "sequences are published whatever their audit says",
        _PUBLISHING,
        "    if problems:",
        '    if problems and dataset.kind == "raw_observations":',
        ("warehouse/local/test_failures.py::test_sequences_that_fail_their_audit_leave_the_last_version_and_no_file",),
    ),
    Fault(
        "a changed source keeps its version",
        _PUBLISHING,
        'return f"{plan.identity}:{source.fingerprint}"',
        "return plan.identity",
        _contract("a_changed_source_rebuilds_its_model_whole"),
    ),
    Fault(
        "a folder named column=value replaces the column",
        "warehouse/engine.py",
        "hive_partitioning = false",
        "hive_partitioning = true",
        ("warehouse/local/test_paths.py",),
    ),
    Fault(
        "a link leads out of the source",
        _LOCATION,
        "if not target.is_relative_to(root):",
        "if target == root:",
        _TEST_LOCATION,
    ),
    Fault(
        "a link among folders is read again and again",
        _LOCATION,
        "            elif entry.is_dir():\n",
        "            if entry.is_dir():\n",
        _TEST_LOCATION,
    ),
    Fault(
        "010 is 8",
        "models/yaml_text.py",
        "if _OCTAL.fullmatch(node.value):",
        "if False:",
        ("models/test_yaml_text.py",),
    ),
    Fault(
        "a command reads its own output the next time",
        _LOCATION,
        "if written[: len(found)] == found:",
        "if written == found:",
        _TEST_LOCATION,
    ),
    Fault(
        "a folder with files of others is replaced",
        _DELIVERY,
        "return is_ours(file.name) and file.is_file() and not file.is_symlink()",
        "return file.is_file() and not file.is_symlink()",
        ("cli/test_sequence.py",),
    ),
    Fault(
        "a file that somebody adds while a folder is replaced is removed",
        _DELIVERY,
        "found.rename(self.place / folder / found.name)",
        "pass",
        _TEST_DELIVERY,
    ),
    Fault(
        "a folder that cannot be replaced leaves others that are",
        _DELIVERY,
        "undo.callback(old.rename, place)",
        "undo.callback(old.exists)",
        _TEST_DELIVERY,
    ),
    Fault(
        "a source that was written again with the same size keeps its version",
        _LOCATION,
        r"\0{file.size}\0{file.modified}",
        r"\0{file.size}",
        _TEST_LOCATION,
    ),
    Fault(
        "a source that changes while it is read is published",
        _PUBLISHING,
        "if self.source_fingerprint(plan) != source.fingerprint:",
        "if plan.location != source.location:",
        _ingest("a_source_that_changes_while_it_is_read_is_an_error"),
    ),
    Fault(
        "columns in another order keep their version",
        "models/spec.py",
        "json.dumps([values, order], sort_keys=True)",
        "json.dumps([values], sort_keys=True)",
        ("sequencing/test_plans.py",),
    ),
    Fault(
        "an option that came later changes the digest of model files that do not name it",
        "models/spec.py",
        "_LATER_OPTIONS & options.keys()",
        "()",
        ("sequencing/test_plans.py",),
    ),
    Fault(
        "an old version is the newest",
        "warehouse/interface.py",
        "if candidate.id == version:",
        "if candidate.id:",
        _contract("a_version_is_found_by_its_id_and_the_newest_without_one"),
    ),
    Fault(
        "the newest version is the oldest",
        "warehouse/storage/iceberg_tables.py",
        "snapshot.sequence_number or 0, reverse=True)",
        "snapshot.sequence_number or 0)",
        _contract("versions_are_newest_first_and_each_keeps_its_own_columns"),
    ),
    Fault(
        "load gives the newest version whichever is asked for",
        _CLIENT,
        "_find_sequences(environment, warehouse, model, _checked(subset), sequence_length, version)",
        "_find_sequences(environment, warehouse, model, _checked(subset), sequence_length, None)",
        ("client/test_datasets.py::test_an_old_version_is_loaded_with_the_schema_that_it_was_published_with",),
    ),
    Fault(
        "load_observations gives the newest version whichever is asked for",
        _CLIENT,
        "warehouse.find(Dataset.raw(model), version)",
        "warehouse.find(Dataset.raw(model), None)",
        ("client/test_datasets.py::test_an_old_version_is_loaded_with_the_schema_that_it_was_published_with",),
    ),
    Fault(
        "load_split pairs a subset with the first of several versions",
        _CLIENT,
        "in reversed(warehouse.versions(",
        "in (warehouse.versions(",
        ("client/test_datasets.py::test_a_split_is_the_newest_pair_of_one_raw_version",),
    ),
    Fault(
        "a repeated item counts twice in a score",
        _CLIENT,
        '("is_pad_sequence", "is_repeat_sequence", "is_context_sequence")',
        '("is_pad_sequence", "is_context_sequence")',
        ("client/test_handles.py::test_each_sequenced_item_counts_once_whatever_overlaps",),
    ),
    Fault(
        "a row of a version in no order is the one that is stored there",
        _BATCHES,
        "numbers = stored.order[numbers]",
        "numbers = stored.order[stored.order][numbers]",
        ("client/test_handles.py::test_a_slice_has_the_rows_that_a_slice_of_the_arrays_has",),
    ),
    Fault(
        "a resumed iterator gives the last batch again",
        _BATCHES,
        "self._taken = int(batches)",
        "self._taken = max(int(batches) - 1, 0)",
        ("client/test_batches.py::test_after_a_resume_the_same_batches_follow",),
    ),
    Fault(
        "each worker of a DataLoader gets all batches",
        "client/workers.py",
        "range(count * self.number // self.workers, count * (self.number + 1) // self.workers)",
        "range(count)",
        ("client/test_loaders.py::test_workers_and_ranks_share_the_batches_each_once",),
    ),
    Fault(
        "rejected observations are the newest, not those of the raw version",
        "io_managers/plan_io_manager.py",
        'warehouse.find(Dataset.rejected(model), raw.metadata["rejected_version"])',
        "warehouse.find(Dataset.rejected(model))",
        (
            "io_managers/test_plan_io_manager.py::TestWhatStandsAlready"
            "::test_rejected_observations_follow_raw_even_if_a_newer_version_of_them_stands",
        ),
    ),
)

_COMPONENT_FAULTS: Final = (
    Fault(
        "component: variables beat attributes",
        _COMPONENT,
        "{**os.environ, **variables}",
        "{**variables, **os.environ}",
        ("test_component.py::test_attributes_beat_the_variables",),
    ),
    Fault(
        "component: relative paths start at the working directory",
        _COMPONENT,
        "str(folder / Path(given[name]).expanduser())",
        "str(Path(given[name]).expanduser())",
        ("test_component.py::test_relative_paths_start_at_the_folder_of_the_defs_yaml",),
    ),
    Fault(
        "component: a broken model file takes the others down",
        _COMPONENT,
        "if mistakes and os.environ.get(_ONLY_CHECKED):",
        "if mistakes:",
        ("test_component.py::test_a_broken_model_file_takes_no_other_down_but_fails_the_check_of_definitions",),
    ),
)

_DURABLE: Final = "warehouse/storage/durable.py"
_TABLES: Final = "warehouse/storage/iceberg_tables.py"
_TEST_DURABLE: Final = ("warehouse/storage/test_durable.py",)
_TEST_REPAIR: Final = ("warehouse/storage/test_repair.py",)
_TEST_CATALOG: Final = ("warehouse/local/test_catalog.py",)

_DAMAGE_FAULTS: Final = (
    Fault("power: a file is not synchronized", _DURABLE, "os.fsync(self.fileno())", "pass", _TEST_DURABLE),
    Fault("power: a folder's names are not synchronized", _DURABLE, "os.fsync(descriptor)", "pass", _TEST_DURABLE),
    Fault("power: the folder above a new one is left out", _DURABLE, "synchronize_folder(made.parent)", "pass", _TEST_DURABLE),
    Fault(
        "power: the names of what Iceberg writes are not synchronized",
        "warehouse/local/file_io.py",
        "keeps_name=is_last",
        "keeps_name=False",
        _TEST_DURABLE,
    ),
    Fault("power: a commit may come undone", "warehouse/local/catalog.py", "= EXTRA", "= FULL", _TEST_DURABLE),
    Fault(
        "damage: a table that the catalog has lost begins anew",
        _TABLES,
        "if found is None and self._has_versions(dataset):",
        "if found is None and not dataset:",
        _TEST_CATALOG,
    ),
    Fault("damage: a table without a version counts as lost", _TABLES, "any(file.number for", "any(True for", _TEST_CATALOG),
    Fault(
        "damage: a catalog that went missing is made anew",
        "warehouse/local/catalog.py",
        "if self._is_there() or not self._has_tables():",
        "if not self.path.is_dir():",
        _TEST_CATALOG,
    ),
    Fault(
        "damage: who has the catalog open goes on in a file that is gone",
        "warehouse/local/catalog.py",
        "if _identity(record.info[_FILE]) != record.info[_IDENTITY]:",
        "if not record:",
        _TEST_CATALOG,
    ),
    Fault(
        "repair: metadata stands whose rows are gone",
        _TABLES,
        " or why_unreadable_rows(self._storage, versions[0])",
        "",
        _TEST_REPAIR,
    ),
    Fault(
        "repair: metadata stands whose manifests are gone",
        _TABLES,
        "why_unreadable_manifests(snapshot, files) or ",
        "files and ",
        _TEST_REPAIR,
    ),
    Fault(
        "repair: the metadata of another table stands",
        _TABLES,
        'if metadata.location.rsplit("/", maxsplit=1)[-1] != dataset.table:',
        "if not metadata.location:",
        _TEST_REPAIR,
    ),
    Fault(
        "repair: what was never committed stands, though the old catalog tells",
        "warehouse/storage/repair.py",
        "hinted is None or file.name != hinted.name",
        "hinted is None or file.name == hinted.name",
        _TEST_CATALOG,
    ),
)

_LEFT_BEHIND_FAULTS: Final = (
    Fault(
        "delivery: a link by a name of ours is replaced",
        _DELIVERY,
        "return is_ours(file.name) and file.is_file() and not file.is_symlink()",
        "return is_ours(file.name) and file.is_file()",
        _TEST_DELIVERY,
    ),
    Fault(
        "delivery: a folder is not looked at again before it is replaced",
        _DELIVERY,
        "                _refuse_foreign_here(self._place / folder)",
        "                pass",
        _TEST_DELIVERY,
    ),
    Fault(
        "delivery: what a killed one replaced is not finished",
        _DELIVERY,
        "folders = moves.begun()",
        "folders: list[str] = []",
        _TEST_DELIVERY,
    ),
    Fault(
        "process: one of another host is judged",
        _OWNERSHIP,
        "if self.host != _host() or self.started is None:",
        "if self.started is None:",
        _TEST_OWNERSHIP,
    ),
    Fault(
        "process: one that has the number of another lives",
        _OWNERSHIP,
        "return found is not None and found != self.started",
        "return found == _NO_PROCESS",
        _TEST_OWNERSHIP,
    ),
    Fault(
        "process: one that has ended lives until its parent takes notice",
        _OWNERSHIP,
        "return _NO_PROCESS if values[_STATE] in _ENDED else values[_STARTED]",
        "return values[_STARTED]",
        _TEST_OWNERSHIP,
    ),
    Fault(
        "run: one that is executed again is as dead as the one before",
        "io_managers/dead_runs.py",
        "run.tags.get(EXECUTED_TAG) == run.run_id and ",
        "",
        ("io_managers/test_dead_runs.py",),
    ),
    Fault(
        "run: one that is dead keeps its slot of a pool",
        "io_managers/dead_runs.py",
        "instance.event_log_storage.free_concurrency_slots_for_run(run_id)",
        "pass",
        ("assets/test_dead_runs.py",),
    ),
    Fault(
        "run: its process goes on when the one that started it dies",
        "io_managers/orphans.py",
        "parent.join()",
        "threading.Event().wait()",
        ("io_managers/test_orphans.py",),
    ),
    Fault(
        "files: a version stands whose files are gone",
        _PUBLISHING,
        "return _stands(newest, identity) and not self.lost_with(newest)",
        "return _stands(newest, identity)",
        _contract("a_version_whose_files_are_gone_is_named_and_built_anew"),
    ),
    Fault(
        "files: one that is cut short counts as whole",
        _PUBLISHING,
        "return found == size if size is not None else bool(found)",
        "return bool(found)",
        _contract("a_file_that_is_cut_short_is_as_good_as_gone"),
    ),
    Fault(
        "vocabulary: ids that are lost are given to other values",
        _VOCABULARIES,
        "return Known(table, _ids_from(newest) + newest.rows,",
        "return Known(table, _ids_from(newest),",
        _vocabulary("ids_that_cannot_be_made_again_are_refused_and_with_force_never_given_to_another_value"),
    ),
    Fault(
        "vocabulary: one that is lost is forgotten without a word",
        _VOCABULARIES,
        "if known.lost is not None and not may_lose:",
        "if known.lost is not None and not may_lose and False:",
        _vocabulary("ids_that_cannot_be_made_again_are_refused_and_with_force_never_given_to_another_value"),
    ),
)

_RETENTION: Final = "warehouse/retention.py"
_EXPIRY: Final = "warehouse/storage/expiry.py"
_TEST_RETENTION: Final = ("warehouse/test_retention.py",)

_GARBAGE_FAULTS: Final = (
    Fault("gc: a version with a tag goes", _RETENTION, "or version.tags or", "or", _TEST_RETENTION),
    Fault(
        "gc: what a version that stays names goes",
        _RETENTION,
        "for kind in (_is_sequenced, _is_raw):",
        "for kind in ():",
        _TEST_RETENTION,
    ),
    Fault("gc: the vocabulary that ids come from goes", _RETENTION, "set(_continued(tables, kept))", "set()", _TEST_RETENTION),
    Fault(
        "gc: a version that was just replaced goes",
        _RETENTION,
        " or versions[place - 1].committed_at >= replaced_before",
        "",
        _TEST_RETENTION,
    ),
    Fault(
        "gc: what was just written goes",
        _EXPIRY,
        "if file.modified < self.cutoff.written and",
        "if",
        ("contract/test_garbage.py::test_what_was_replaced_or_written_less_long_ago_stays",),
    ),
    Fault(
        "gc: what a running process writes goes",
        "warehouse/storage/garbage.py",
        "written=min([old, *since, *here])",
        "written=min([old, *here])",
        ("contract/test_garbage.py::test_what_is_written_under_a_lease_and_what_was_the_newest_then_stays",),
    ),
    Fault(
        "gc: a dry run removes",
        "warehouse/storage/garbage.py",
        "if not self.dry_run:",
        "if leftover:",
        ("warehouse/storage/test_expired_versions.py::test_a_dry_run_leaves_what_lies_beside_the_tables",),
    ),
    Fault(
        "gc: a tag that comes in between is taken away",
        "warehouse/storage/expired_versions.py",
        " or self.ids & referenced",
        "",
        ("warehouse/storage/test_expired_versions.py",),
    ),
)

_VERSION_FAULTS: Final = (
    Fault(
        "diff: a null that becomes a value is no change",
        _COMPARING,
        "pc.xor(pc.is_null(one), pc.is_null(other))",
        "False",
        _TEST_COMPARING,
    ),
    Fault(
        "diff: an entity with another number of rows is unchanged",
        _COMPARING,
        "differs = np.ones(len(both), bool)",
        "differs = np.zeros(len(both), bool)",
        _TEST_COMPARING,
    ),
    Fault(
        "diff: an entity is compared before all of its rows are read",
        _COMPARING,
        "return bool(entity < self.entity)",
        "return bool(entity <= self.entity)",
        _TEST_COMPARING,
    ),
    Fault(
        "diff: where an observation stood counts as its change",
        "client/diff.py",
        "name not in _PROVENANCE",
        "name is not _PROVENANCE",
        ("client/test_diff.py::test_observations_are_compared_subset_by_subset_and_by_what_was_observed",),
    ),
    Fault(
        "export: an item counts as often as windows have it",
        _EXPORTED_PEERS,
        "field.filter(own)",
        "field",
        ("client/test_export.py::test_recbole_has_every_item_once",),
    ),
    Fault(
        "export: padding is written as items",
        _EXPORTED_PEERS,
        'is_item = pc.equal(batch.column("is_pad_sequence").flatten(), 0)',
        'is_item = pc.less(batch.column("is_pad_sequence").flatten(), 2)',
        ("client/test_export.py::test_three_lines_are_a_sequence_without_its_padding",),
    ),
    Fault(
        "export: an empty text and a null are the same in CSV",
        "client/texts.py",
        "]|^$'",
        "]'",
        ("client/test_export.py::test_an_empty_text_and_a_null_stay_different_in_csv",),
    ),
    Fault(
        "export: a file that is there is replaced unasked",
        "warehouse/storage/whole_files.py",
        "if place.exists() and not replace:",
        "if place.exists() and replace is None:",
        ("client/test_export.py::test_what_is_there_is_refused_unless_it_is_to_be_replaced",),
    ),
)

_ATHENA_FAULTS: Final = (
    Fault(
        "athena: where one query fails, those at its side go on",
        _ATHENA_CLIENT,
        "given_up.callback(work.close)",
        "given_up.callback(id, work)",
        _TEST_ATHENA_CLIENT,
    ),
    Fault(
        "athena: where one query fails, those at its side may still write when that is told",
        _ATHENA_CLIENT,
        "given_up.callback(self._await_stopped)",
        "given_up.callback(self._stopped.clear)",
        _TEST_ATHENA_CLIENT,
    ),
    Fault(
        "athena: any number of queries runs at a time",
        _ATHENA_CLIENT,
        "MOST_AT_A_TIME - len(pauses)",
        "len(works)",
        _TEST_ATHENA_CLIENT,
    ),
    Fault(
        "athena: the rows of several questions are taken for those of the first",
        _ATHENA_QUERIES,
        "number = row[_QUESTION]",
        "number = 0",
        _TEST_ATHENA_QUERIES,
    ),
    Fault(
        "athena: any number of questions is one query",
        _ATHENA_QUERIES,
        "len(questions) > MOST_TOGETHER",
        "len(questions) > 100 * MOST_TOGETHER",
        _TEST_ATHENA_QUERIES,
    ),
    Fault(
        "athena: questions are one query although it is too long",
        _ATHENA_QUERIES,
        "<= MAXIMUM_QUERY_BYTES - _PURPOSE_BYTES",
        "<= 2 * MAXIMUM_QUERY_BYTES",
        _TEST_ATHENA_QUERIES,
    ),
    Fault(
        "athena: a query does not say what it is for",
        _ATHENA_CLIENT,
        'return f"/* {purpose} */ {sql.strip()}" if purpose else sql',
        "return sql",
        _TEST_ATHENA_CLIENT,
    ),
)

FAULTS: Final[tuple[Fault, ...]] = (
    _WINDOW_FAULTS
    + _KERNEL_FAULTS
    + _ORDER_FAULTS
    + _SPLIT_FAULTS
    + _REJECTION_FAULTS
    + _READING_FAULTS
    + _DERIVED_FAULTS
    + _VOCABULARY_FAULTS
    + _AUDIT_FAULTS
    + _COMPONENT_FAULTS
    + _DAMAGE_FAULTS
    + _LEFT_BEHIND_FAULTS
    + _GARBAGE_FAULTS
    + _VERSION_FAULTS
    + _ATHENA_FAULTS
)
"""All of them, in the order in which data flow through the package, roughly."""
