"""Starts one program, waits for it, and writes what it took as JSON: `python launch.py RESULT PROGRAM ARGUMENT …`.

A process of its own, because Linux counts the memory of whoever starts a program as the program's, and this is small.
"""

import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    """Does that."""
    result, *program = sys.argv[1:]
    started = time.perf_counter()
    process = os.posix_spawn(program[0], program, os.environ)
    _, status, usage = os.wait4(process, 0)
    measured = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }
    Path(result).write_text(json.dumps(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
