"""What runs by itself, and the jobs that it runs: schedules, sensors, and word of failures.

All of it is off until somebody turns it on in the UI, except where the environment says that it runs by itself.
"""

from seq_assets.assets.automation.failures import build_failure_sensors, step_failure_message
from seq_assets.assets.automation.garbage import GC_JOB, build_garbage_job
from seq_assets.assets.automation.jobs import INGEST_JOB, SEQUENCE_JOB, build_jobs
from seq_assets.assets.automation.schedules import build_schedules
from seq_assets.assets.automation.sensors import build_sensors
from seq_assets.assets.automation.unchecked import build_check_sensor, say_what_is_unchecked

__all__ = [
    "GC_JOB",
    "INGEST_JOB",
    "SEQUENCE_JOB",
    "build_check_sensor",
    "build_failure_sensors",
    "build_garbage_job",
    "build_jobs",
    "build_schedules",
    "build_sensors",
    "say_what_is_unchecked",
    "step_failure_message",
]
