"""What Dagster loads when the project stands alone: the graph of the current environment, and an executor."""

import dagster as dg

from seq_assets.assets import build_definitions
from seq_assets.environments import current_environment

# A process per step costs seconds of start-up; the work itself uses all cores.
defs = dg.Definitions.merge(build_definitions(current_environment()), dg.Definitions(executor=dg.in_process_executor))
