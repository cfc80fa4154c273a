"""Failures: telling people that a run failed, where they talk.

Belongs here: what is said, and how it is sent. Not here: what is tried again (`seq_assets.io_managers.plan_io_manager`).

A chat's incoming webhook is the one way: Slack, Mattermost and what is compatible with Teams take `{"text": …}`, and can send
it on as mail. Dagster's own mail would need the password of a mail account wherever the daemon runs.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Final

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from seq_assets.assets.automation.status import sensor_status
from seq_assets.environments import Environment

ATTEMPTS: Final = 3
SECONDS_BETWEEN_ATTEMPTS: Final = 1.0
_SECONDS_TO_ANSWER: Final = 10
_MOST_TEXT: Final = 1500


def build_failure_sensors(environment: Environment) -> list[dg.SensorDefinition]:
    """The sensor that posts failures of runs; none where no webhook is set."""
    webhook = environment.failure_webhook
    if webhook is None:
        return []

    @dg.run_failure_sensor(
        name="failures",
        default_status=sensor_status(environment),
        description="Posts what failed, and why, to the webhook of SEQ_ASSETS_FAILURE_WEBHOOK.",
    )
    def failures(context: dg.RunFailureSensorContext) -> None:
        text = failure_text(context.dagster_run, context.get_step_failure_events(), context.failure_event, environment)
        problem = _post(webhook, text)
        # Not in an `except`: the error that was caught may hold the address, and Dagster shows an error with its causes.
        if problem is not None:
            raise dg.Failure(f"The failure of run {context.dagster_run.run_id} could not be posted: {problem}")

    return [failures]


def step_failure_message(event: dg.DagsterEvent) -> str:
    """What a step failed with: the words for people where there are some."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    return data.error.message if data.error else "failed"


def failure_text(
    run: dg.DagsterRun, steps: Sequence[dg.DagsterEvent], failure: dg.DagsterEvent, environment: Environment
) -> str:
    """What is posted: what was run on which partitions, each failed step with its message, and where to look.

    Args:
        run: The failed run.
        steps: The failures of its steps.
        failure: The failure of the run itself, which says what happened where no step has failed.
        environment: Where it ran.
    """
    lines = [f"{_partitions(run)}: {run.job_name} failed in the environment {environment.name}."]
    lines += [f"{event.step_key}: {_shortened(step_failure_message(event))}" for event in steps]
    if not steps:
        lines.append(_shortened(failure.message or "It did not say why."))
    if environment.dagster_url is not None:
        lines.append(f"{environment.dagster_url.rstrip('/')}/runs/{run.run_id}")
    return "\n".join(lines)


def _partitions(run: dg.DagsterRun) -> str:
    first, last = (run.tags.get(tag) for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG))
    if first is None or last is None:
        return run.tags.get(PARTITION_NAME_TAG, "No partition")
    return first if first == last else f"{first} to {last}"


def _shortened(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"


def _post(webhook: str, text: str) -> str | None:
    """Posts a text; returns what went wrong, without the address, or None."""
    body = json.dumps({"text": text}).encode()
    problem = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        problem = _attempt(webhook, body)
        if problem is None:
            return None
    return problem


def _attempt(webhook: str, body: bytes) -> str | None:
    try:
        request = urllib.request.Request(webhook, body, {"Content-Type": "application/json"})  # noqa: S310  # checked as set
        with urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER):  # noqa: S310
            return None
    except urllib.error.HTTPError as error:
        return f"the webhook answered {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Not its text, which may hold the address.
        return f"the webhook could not be reached ({type(error).__name__})"
