"""What Dagster loads."""

from seq_assets.assets import build_definitions
from seq_assets.environments import current_environment

defs = build_definitions(current_environment())
