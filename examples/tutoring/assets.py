"""The team's own assets, downstream of the platform's: they ask for its data sets by name and type, and compute."""

from typing import Any

import dagster as dg

from seq_assets import ObservationDataset, SequenceDataset
from seq_assets.assets.partitions import Grid
from tutoring.difficulty import Difficulty

# An upstream partition that was built again without a change keeps its data version, and is no news.
ON_NEW_SEQUENCES = dg.AutomationCondition.eager().replace("newly_updated", dg.AutomationCondition.data_version_changed())


class Learning(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How the team learns.

    Attributes:
        smoothing: How many answers a skill's own count against the average of all.
        batch_size: Sequences in memory at a time.
    """

    smoothing: float = 5.0
    batch_size: int = 256


def build_assets(grid: Grid) -> list[dg.AssetsDefinition]:
    """The assets, partitioned like what they read."""

    @dg.asset(partitions_def=grid.cells, automation_condition=ON_NEW_SEQUENCES, group_name="tutoring")
    def skill_difficulty(
        context: dg.AssetExecutionContext,
        learning: Learning,
        sequenced_train: SequenceDataset,
        sequenced_validation: SequenceDataset,
    ) -> dict[str, Any]:
        """The chance of a right answer per skill, learned from train, judged on pupils of validation."""
        learned = Difficulty.learn(sequenced_train.batches(learning.batch_size), learning.smoothing)
        loss = learned.loss(sequenced_validation.batches(learning.batch_size))
        context.add_output_metadata({"loss": loss, "skills": len(learned.rates), "sequences": len(sequenced_train)})
        return {"rates": learned.rates, "loss": loss, "version": sequenced_train.version}

    @dg.asset(partitions_def=grid.cells, group_name="tutoring")
    def hardest_skills(skill_difficulty: dict[str, Any]) -> list[str]:
        """The three skills with the lowest chance of a right answer."""
        rates = skill_difficulty["rates"]
        return sorted(rates, key=lambda skill: rates[skill])[:3]

    @dg.asset(partitions_def=grid.models, group_name="tutoring")
    def answers_per_pupil(raw_observations: ObservationDataset) -> dict[str, int]:
        """How many answers each pupil has given."""
        counts = raw_observations.to_arrow()["pupilid"].value_counts()
        return {str(count["values"]): count["counts"] for count in counts.to_pylist()}

    return [skill_difficulty, hardest_skills, answers_per_pupil]
