"""What the checks say of published versions, run with the assets and alone, and what an instance records of it.

The models by name: `absent` (never published), `broken` (a file with mistakes), `dkt` (lengths 5 and 10), `irt` (a raw model),
`lenient` (as `dkt`, with a narrow bound of the pad ratio that warns) and `strict` (length 10, and an error above a narrow one).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord, AssetCheckExecutionRecordStatus

from seq_assets.assets.automation import INGEST_JOB, SEQUENCE_JOB
from seq_assets.assets.checks import RAW_CHECKS, SEQUENCE_CHECKS
from seq_assets.io_managers.plan_io_manager import FORCE_TAG
from seq_assets.models import SUBSETS, Subset
from seq_assets.sequencing.plans import Dataset
from seq_assets.warehouse.interface import Finding, Version
from seq_assets.warehouse.local.warehouse import LocalWarehouse
from seq_assets_tests.assets.building import ANSWERS, NO_TELEMETRY, Run, Runner, School, check_keys, plain

RAW: Final = "raw_observations"
TRAIN: Final = "sequenced_train"
BLOCKING: Final = ("contract", "nothing_lost", "no_leakage", "well_formed")
MODELS: Final = ("dkt", "irt", "lenient", "strict")
CELLS: Final = ("dkt|5", "dkt|10", "lenient|5", "lenient|10", "strict|10")
WARN, MOST, STRICT_MOST = 0.05, 0.99, 0.06


@dataclass(frozen=True)
class Built:
    """A school with runs of it.

    Attributes:
        school: With what the runs published.
        instance: Recorded them.
        ingest: The run of the raw observations and their checks, over a range.
        sequence: The run of the cells and their checks, over a range.
    """

    school: School
    instance: dg.DagsterInstance
    ingest: Run
    sequence: Run


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """All models but the broken one and the absent one, with their checks. Not to be changed."""
    school = School(tmp_path_factory.mktemp("built"))
    school.add_source()
    school.add_model("absent")
    school.add_file("broken")
    school.add_model("dkt")
    school.add_model("irt", [])
    school.add_model("lenient", checks={"pad_ratio": {"warn": WARN, "max": MOST}})
    school.add_model("strict", [10], checks={"pad_ratio": {"warn": WARN, "max": STRICT_MOST}})
    with dg.DagsterInstance.ephemeral(settings=NO_TELEMETRY) as instance:
        runner = Runner(school.definitions(), instance)
        ingest = runner.job(INGEST_JOB, MODELS[0], MODELS[-1])
        yield Built(school, instance, ingest, runner.job(SEQUENCE_JOB, CELLS[0], CELLS[-1]))


@pytest.fixture
def school(built: Built, tmp_path: Path) -> School:
    """A copy of what is built."""
    return built.school.copied_to(tmp_path)


@pytest.fixture
def runner(school: School, built: Built) -> Runner:
    """Runs the graph of the copy."""
    return Runner(school.definitions(), built.instance)


def records(built: Built, key: dg.AssetCheckKey, run: Run) -> list[AssetCheckExecutionRecord]:
    """What the instance keeps of a check in a run, planned evaluations included."""
    history = built.instance.event_log_storage.get_asset_check_execution_history(key, limit=1000)
    return [record for record in history if record.run_id == run.run_id]


def pad_ratio(school: School, model: str, subset: Subset, length: int) -> float:
    """The ratio of chunks, counted from the histories of the raw observations."""
    file = next(file for file in school.warehouse.find(Dataset.raw(model)).files if Path(file).stem == subset)
    histories: dict[int, int] = {}
    for pupil in pq.read_table(file)["pupil"].to_pylist():
        histories[pupil] = histories.get(pupil, 0) + 1
    positions = sum(-(-items // length) * length for items in histories.values())
    return round(1 - sum(histories.values()) / positions, 6)


def rewrite(file: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Changes the rows of a published file, as a careless hand would."""
    changed = change(pq.ParquetFile(file).read())
    pq.write_table(changed, file)


def failed(run: Run, asset: str) -> set[tuple[str, str]]:
    """Check and partition of what did not pass."""
    return {which for which, evaluation in run.checks(asset).items() if not evaluation.passed}


class TestARunWithItsChecks:
    """Checks that run after the assets, over a range."""

    @pytest.mark.parametrize("force", ["true", "false"])
    def test_what_the_run_has_materialized_changed_or_not_is_not_read_again(
        self, runner: Runner, monkeypatch: pytest.MonkeyPatch, force: str
    ) -> None:
        inspect, inspected = LocalWarehouse.inspect, list[str]()

        def noted(warehouse: LocalWarehouse, version: Version) -> list[Finding]:
            inspected.append(version.dataset.table)
            return inspect(warehouse, version)

        monkeypatch.setattr(LocalWarehouse, "inspect", noted)
        run = runner.job(SEQUENCE_JOB, "dkt|5", "dkt|5", **{FORCE_TAG: force})
        assert run.success
        assert inspected == []
        assert {name for name, _ in run.checks(TRAIN)} == set(SEQUENCE_CHECKS)

    @pytest.mark.parametrize(
        ("asset", "names", "partitions"),
        [(RAW, RAW_CHECKS, MODELS), *((f"sequenced_{subset}", SEQUENCE_CHECKS, CELLS) for subset in SUBSETS)],
    )
    def test_every_partition_has_one_record_of_every_check(
        self, built: Built, asset: str, names: tuple[str, ...], partitions: tuple[str, ...]
    ) -> None:
        run = built.ingest if asset == RAW else built.sequence
        assert run.success
        for key in check_keys(asset, names):
            kept = records(built, key, run)
            assert sorted(str(record.partition) for record in kept) == sorted(partitions)
            assert AssetCheckExecutionRecordStatus.PLANNED not in {record.status for record in kept}

    def test_what_was_just_published_meets_all_blocking_conditions(self, built: Built) -> None:
        assert not failed(built.ingest, RAW)
        for subset in SUBSETS:
            assert {check for check, _ in failed(built.sequence, f"sequenced_{subset}")} == {"pad_ratio"}

    def test_the_checks_say_the_version_and_the_numbers_that_they_compared(self, built: Built) -> None:
        raw = built.school.warehouse.find(Dataset.raw("dkt"))
        results = {check: plain(result.metadata) for (check, key), result in built.ingest.checks(RAW).items() if key == "dkt"}
        assert {numbers["version"] for numbers in results.values()} == {str(raw.id)}
        assert results["contract"].items() >= {"accepted": ANSWERS, "rejected": 0, "rejected_ratio": 0.0}.items()
        assert results["nothing_lost"].items() >= {"read": ANSWERS, "accepted": ANSWERS, "records": ANSWERS}.items()
        assert results["no_leakage"].items() >= {"entities": 20, "entities_in_both": 0, "misplaced": 0}.items()

        cell = built.school.warehouse.find(Dataset.sequenced("dkt", "train", 5))
        results = {
            check: plain(result.metadata) for (check, key), result in built.sequence.checks(TRAIN).items() if key == "dkt|5"
        }
        assert {numbers["version"] for numbers in results.values()} == {str(cell.id)}
        accepted = raw.metadata["accounting"]["train"]
        assert results["nothing_lost"].items() >= {"observations": accepted, "sequenced": accepted}.items()
        assert results["well_formed"].items() >= {"sequences": cell.rows, "order": 0, "is_pad": 0, "pad_value": 0}.items()

    def test_what_the_ui_would_plot_over_time_is_a_number_and_no_name_of_a_version(self, built: Built) -> None:
        evaluations = [*built.ingest.checks(RAW).values(), *built.sequence.checks(TRAIN).values()]
        plotted = {
            name
            for evaluation in evaluations
            for name, value in evaluation.metadata.items()
            if isinstance(value, (dg.IntMetadataValue, dg.FloatMetadataValue))
        }
        assert {"rejected_ratio", "pad_ratio", "sequences"} <= plotted
        assert not {name for name in plotted if "version" in name}

    def test_no_check_runs_where_its_asset_failed(self, school: School, runner: Runner) -> None:
        school.add_source(wrong_answers=1)
        run = runner.job(INGEST_JOB, "dkt")
        assert not run.success
        assert not run.checks(RAW)


class TestPadRatio:
    """The check that warns."""

    @pytest.mark.parametrize("length", [5, 10])
    @pytest.mark.parametrize("subset", SUBSETS)
    def test_it_says_the_ratio_its_bounds_and_the_ratios_of_the_other_lengths(
        self, built: Built, subset: Subset, length: int
    ) -> None:
        result = built.sequence.checks(f"sequenced_{subset}")["pad_ratio", f"lenient|{length}"]
        numbers = plain(result.metadata)
        other = 15 - length
        assert 0 <= numbers.pop("mostly_padding") <= 1
        longest = {"train": 2, "validation": 1}[subset]
        assert numbers.pop("longest_within", None) == (None if numbers["pad_ratio"] <= WARN else longest)
        assert numbers == {
            "version": str(built.school.warehouse.find(Dataset.sequenced("lenient", subset, length)).id),
            "pad_ratio": pad_ratio(built.school, "lenient", subset, length),
            "warn": WARN,
            "max": MOST,
            f"pad_ratio_{other}": pad_ratio(built.school, "lenient", subset, other),
        }

    def test_it_passes_within_the_bounds(self, built: Built) -> None:
        result = built.sequence.checks(TRAIN)["pad_ratio", "dkt|10"]
        assert result.passed
        assert plain(result.metadata)["pad_ratio"] == pad_ratio(built.school, "dkt", "train", 10) > 0

    @pytest.mark.parametrize(
        ("model", "severity", "bound"),
        [
            ("lenient", dg.AssetCheckSeverity.WARN, f"checks.pad_ratio.warn ({WARN:.1%})"),
            ("strict", dg.AssetCheckSeverity.ERROR, f"checks.pad_ratio.max ({STRICT_MOST:.1%})"),
        ],
    )
    def test_above_a_bound_it_says_so_with_the_remedy_and_its_severity(
        self, built: Built, model: str, severity: dg.AssetCheckSeverity, bound: str
    ) -> None:
        result = built.sequence.checks(TRAIN)["pad_ratio", f"{model}|10"]
        ratio = pad_ratio(built.school, model, "train", 10)
        assert not result.passed
        assert result.severity == severity
        assert f"{ratio:.1%} of all positions are padding, above {bound}" in str(result.description)
        assert f"Choose a shorter sequence length (a length of 2 meets the bound; seq-assets advise {model} shows" in str(
            result.description
        )

    def test_an_error_of_it_blocks_nothing(self, built: Built) -> None:
        assert built.sequence.success
        assert not built.sequence.checks(TRAIN)["pad_ratio", "strict|10"].passed
        assert built.sequence.materialized(TRAIN).keys() == set(CELLS)

    def test_the_bounds_are_those_of_the_model_file_now_and_the_bound_itself_is_within(
        self, school: School, built: Built
    ) -> None:
        ratio = pad_ratio(school, "strict", "train", 10)
        school.add_model("strict", [10], checks={"pad_ratio": {"warn": ratio, "max": ratio}})
        run = Runner(school.definitions(), built.instance).checks(check_keys(TRAIN, ["pad_ratio"]), "strict|10")
        assert run.checks(TRAIN)["pad_ratio", "strict|10"].passed

    def test_a_length_that_was_never_published_is_not_among_the_others(self, school: School, built: Built) -> None:
        school.add_model("dkt", [5, 10, 20])
        run = Runner(school.definitions(), built.instance).checks(check_keys(TRAIN, ["pad_ratio"]), "dkt|5")
        numbers = plain(run.checks(TRAIN)["pad_ratio", "dkt|5"].metadata)
        assert {name for name in numbers if name.startswith("pad_ratio_")} == {"pad_ratio_10"}


class TestChecksAlone:
    """Checks that are run again, without their assets, on what is published."""

    def test_a_lost_sequence_is_found_in_its_partition_and_in_no_other(
        self, school: School, runner: Runner, built: Built
    ) -> None:
        file = school.warehouse.find(Dataset.sequenced("dkt", "train", 5)).files[0]
        rewrite(file, lambda table: table.slice(0, table.num_rows - 1))
        run = runner.checks(check_keys(TRAIN, SEQUENCE_CHECKS), "dkt|5", "dkt|10")

        assert run.success
        assert failed(run, TRAIN) == {("nothing_lost", "dkt|5"), ("up_to_date", "dkt|5")}, "its size is another, too"
        result = run.checks(TRAIN)["nothing_lost", "dkt|5"]
        assert result.severity == dg.AssetCheckSeverity.ERROR
        assert "pupil 20: un-padding gives 5 items" in str(result.description)
        [record] = [
            record for record in records(built, check_keys(TRAIN, ["nothing_lost"])[0], run) if record.partition == "dkt|5"
        ]
        assert record.status == AssetCheckExecutionRecordStatus.FAILED

    def test_a_changed_pad_value_is_found_in_a_run_of_one_partition(self, school: School, runner: Runner) -> None:
        file = school.warehouse.find(Dataset.sequenced("dkt", "train", 10)).files[0]
        rewrite(file, with_zeros_for_pads)
        run = runner.checks(check_keys(TRAIN, SEQUENCE_CHECKS), "dkt|10")

        assert failed(run, TRAIN) == {("well_formed", "dkt|10"), ("up_to_date", "dkt|10")}
        assert plain(run.checks(TRAIN)["well_formed", "dkt|10"].metadata)["pad_value"] > 0

    def test_other_columns_are_found_in_a_run_of_one_partition(self, school: School, runner: Runner) -> None:
        file = school.warehouse.find(Dataset.sequenced("dkt", "validation", 10)).files[0]
        rewrite(file, lambda table: table.append_column("more", pa.nulls(table.num_rows)))
        run = runner.checks(check_keys("sequenced_validation", ["well_formed"]), "dkt|10")
        assert failed(run, "sequenced_validation") == {("well_formed", "dkt|10")}

    def test_lost_and_reordered_observations_are_found_in_their_models_and_in_no_other(
        self, school: School, runner: Runner
    ) -> None:
        for model, change in (("dkt", without_its_last_row), ("lenient", in_reverse)):
            rewrite(school.warehouse.find(Dataset.raw(model)).files[0], change)
        run = runner.checks(check_keys(RAW, RAW_CHECKS), "dkt", "strict")

        assert run.success
        wrong = {("nothing_lost", "dkt"), ("well_formed", "lenient")}
        assert failed(run, RAW) == wrong | {("up_to_date", model) for model in ("dkt", "lenient")}
        results = run.checks(RAW)
        assert f"accepted: the files hold {ANSWERS - 1}, the ingest counted {ANSWERS}" in str(
            results["nothing_lost", "dkt"].description
        )
        assert plain(results["nothing_lost", "dkt"].metadata)["accepted"] == ANSWERS - 1
        assert plain(results["well_formed", "lenient"].metadata)["unordered"] > 0

    def test_an_observation_in_the_wrong_subset_is_found(self, school: School, runner: Runner) -> None:
        files = school.warehouse.find(Dataset.raw("dkt")).files
        train = next(file for file in files if Path(file).stem == "train")
        rewrite(train, as_validation)
        run = runner.checks(check_keys(RAW, ["no_leakage"]), "dkt")
        assert failed(run, RAW) == {("no_leakage", "dkt")}

    @pytest.mark.parametrize(("asset", "partition"), [(RAW, "dkt"), (TRAIN, "dkt|5"), (TRAIN, "strict|10")])
    def test_what_the_audit_found_is_found_again(self, runner: Runner, built: Built, asset: str, partition: str) -> None:
        names = RAW_CHECKS if asset == RAW else SEQUENCE_CHECKS
        of_run = (built.ingest if asset == RAW else built.sequence).checks(asset)
        again = runner.checks(check_keys(asset, names), partition).checks(asset)
        for name in BLOCKING:
            if name in names:
                assert again[name, partition].metadata == of_run[name, partition].metadata

    @pytest.mark.slow
    @pytest.mark.parametrize("content", [None, b"not Parquet"])
    def test_a_file_that_cannot_be_read_fails_its_own_partition_only(
        self, school: School, runner: Runner, content: bytes | None
    ) -> None:
        file = Path(school.warehouse.find(Dataset.sequenced("dkt", "train", 5)).files[0])
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        run = runner.checks(check_keys(TRAIN, SEQUENCE_CHECKS), "dkt|5", "dkt|10")

        assert run.success
        # The pad ratio is read from the version, not from its file.
        told = ("nothing_lost", "no_leakage", "well_formed", "up_to_date")
        assert failed(run, TRAIN) == {(check, "dkt|5") for check in told}
        message = str(run.checks(TRAIN)["nothing_lost", "dkt|5"].description)
        assert message.startswith("dkt_sequenced_train_5 could not be inspected")
        assert "seq_assets/force=true" in message

        mended = runner.sequence("dkt|5", **{FORCE_TAG: "true"})
        assert mended.success
        assert not failed(runner.checks(check_keys(TRAIN, SEQUENCE_CHECKS), "dkt|5"), TRAIN)

    def test_a_lost_file_of_raw_observations_fails_what_reads_it_and_no_other_model(
        self, school: School, runner: Runner
    ) -> None:
        for file in school.warehouse.find(Dataset.raw("dkt")).files:
            Path(file).unlink()
        run = runner.checks(check_keys(TRAIN, SEQUENCE_CHECKS), "dkt|5", "lenient|5")
        assert run.success
        read = ("nothing_lost", "no_leakage", "well_formed", "pad_ratio", "up_to_date")
        assert {name for name, key in failed(run, TRAIN) if key == "dkt|5"} == set(read)
        assert not {name for name, key in failed(run, TRAIN) if key == "lenient|5" and name != "pad_ratio"}

    def test_without_a_partition_everything_that_is_published_is_checked_and_what_failed_comes_last(
        self, school: School, runner: Runner
    ) -> None:
        run = runner.checks(check_keys(TRAIN, SEQUENCE_CHECKS), first=None)
        assert run.success
        published = {
            f"{dataset.model}|{dataset.sequence_length}" for dataset in school.warehouse.datasets() if dataset.kind == TRAIN
        }
        assert {key for _, key in run.checks(TRAIN)} == published
        passed = [evaluation.passed for evaluation in run.checks(TRAIN).values()]
        assert passed == sorted(passed, reverse=True)
        assert not all(passed)

    def test_without_a_partition_every_model_that_is_published_is_checked(self, school: School, runner: Runner) -> None:
        run = runner.checks(check_keys(RAW, ["no_leakage"]), first=None)
        models = {dataset.model for dataset in school.warehouse.datasets() if dataset.kind == RAW}
        assert run.checks(RAW).keys() == {("no_leakage", model) for model in models}

    def test_only_the_checks_that_were_asked_for_are_evaluated(self, runner: Runner) -> None:
        run = runner.checks(check_keys(TRAIN, ["no_leakage", "pad_ratio"]), "dkt|5")
        assert run.checks(TRAIN).keys() == {("no_leakage", "dkt|5"), ("pad_ratio", "dkt|5")}
        assert run.steps == {"check_sequenced_train"}

    def test_nothing_is_published_or_materialized(self, school: School, runner: Runner) -> None:
        before = {dataset: school.warehouse.versions(dataset) for dataset in school.warehouse.datasets()}
        run = runner.checks([*check_keys(RAW, RAW_CHECKS)], "dkt", "irt")
        assert not run.materialized(RAW)
        assert {dataset: school.warehouse.versions(dataset) for dataset in school.warehouse.datasets()} == before


class TestWithoutAVersion:
    """Checks of what was not, or cannot be, published."""

    def test_raw_observations_that_were_never_published_fail_with_the_remedy(self, runner: Runner) -> None:
        run = runner.checks(check_keys(RAW, RAW_CHECKS), "absent")
        results = run.checks(RAW)
        assert failed(run, RAW) == {(check, "absent") for check in RAW_CHECKS}
        assert {result.description for result in results.values()} == {
            "absent_raw_observations has no published version; materialize it first."
        }

    def test_a_declared_cell_that_was_never_published_fails_with_the_remedy(self, runner: Runner) -> None:
        run = runner.checks(check_keys(TRAIN, SEQUENCE_CHECKS), "absent|5")
        assert failed(run, TRAIN) == {(check, "absent|5") for check in SEQUENCE_CHECKS}
        assert {result.description for result in run.checks(TRAIN).values()} == {
            "absent_sequenced_train_5 has no published version; materialize it first."
        }

    def test_a_broken_model_file_fails_its_own_checks_and_no_others(self, runner: Runner) -> None:
        run = runner.checks(check_keys(RAW, RAW_CHECKS), "broken", "dkt")
        assert failed(run, RAW) == {(check, "broken") for check in RAW_CHECKS}

    def test_a_model_file_that_breaks_after_it_was_built_warns_with_its_mistakes(self, school: School, built: Built) -> None:
        school.add_file("dkt")
        run = Runner(school.definitions(), built.instance).checks(check_keys(RAW, RAW_CHECKS), "dkt")
        assert failed(run, RAW) == {("up_to_date", "dkt"), ("drift", "dkt")}
        assert "did you mean 'source'?" in str(run.checks(RAW)["up_to_date", "dkt"].description)


def with_zeros_for_pads(table: pa.Table) -> pa.Table:
    """Every pad value of `skill` is 0."""
    field = table.schema.field("skill_sequence")
    items: list[list[Any]] = [[max(item, 0) for item in row] for row in table["skill_sequence"].to_pylist()]
    return table.set_column(table.schema.get_field_index(field.name), field, pa.array(items, field.type))


def without_its_last_row(table: pa.Table) -> pa.Table:
    """The last row is lost."""
    return table.slice(0, table.num_rows - 1)


def in_reverse(table: pa.Table) -> pa.Table:
    """The last row comes first."""
    return table.take(list(range(table.num_rows - 1, -1, -1)))


def as_validation(table: pa.Table) -> pa.Table:
    """Every row says that it is of the validation subset."""
    field = table.schema.field("subset")
    values = pa.array(["validation"] * table.num_rows, field.type)
    return table.set_column(table.schema.get_field_index("subset"), field, values)
