"""What tests run in processes of their own against the stack, to be killed there.

Belongs here: the work of such a process, and killing it at a moment. Not here: what is found afterwards.
"""

import os
from collections.abc import Mapping
from multiprocessing.synchronize import Event

from seq_assets.sequencing.plans import IngestPlan
from seq_assets_tests.athena.breaking import build
from seq_assets_tests.warehouse import processes


def _build_in_a_process(settings: Mapping[str, str], plan: IngestPlan, begun: Event) -> None:
    os.environ.update(settings)
    begun.set()
    build(plan)


def killed_after(seconds: float, settings: Mapping[str, str], plan: IngestPlan) -> bool:
    """Has a process build a model, and kills it so many seconds after it has begun; whether it was not done yet."""
    context = processes.context()
    begun = context.Event()
    process = context.Process(target=_build_in_a_process, args=(settings, plan, begun))
    process.start()
    assert begun.wait(processes.PATIENCE)
    process.join(seconds)
    is_running = process.is_alive()
    process.kill()
    process.join(processes.PATIENCE)
    assert is_running or process.exitcode == 0
    return is_running
