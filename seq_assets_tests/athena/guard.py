"""Runs a program for as long as its parent lives: `guard.py FOLDER PROGRAM [ARGUMENT …]`.

The parent holds this process's standard input. When that closes, because the parent wants it or because it was killed, the
program is ended and the folder removed; so not even a kill of the parent leaves something behind. When the program ends by
itself, this process ends with its exit code and leaves the folder, in which the log says why.

Belongs here: this, with the standard library alone, since it runs as a script. Not here: what is run.
"""

import shutil
import subprocess
import sys
import threading

_PATIENCE_SECONDS = 10


def main(folder: str, *command: str) -> int:
    """Run the command; the exit code is its own."""
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    let_go = threading.Event()
    threading.Thread(target=_end_with_the_parent, args=(program, let_go), daemon=True).start()
    code = program.wait()
    if let_go.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return code


def _end_with_the_parent(program: "subprocess.Popen[bytes]", let_go: threading.Event) -> None:
    sys.stdin.buffer.read()
    let_go.set()
    program.terminate()
    try:
        program.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
