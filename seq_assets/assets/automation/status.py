"""Whether sensors are on before anybody has turned them on or off."""

import dagster as dg

from seq_assets.environments import Environment


def sensor_status(environment: Environment) -> dg.DefaultSensorStatus:
    """On where the environment runs by itself."""
    return dg.DefaultSensorStatus.RUNNING if environment.runs_by_itself else dg.DefaultSensorStatus.STOPPED
