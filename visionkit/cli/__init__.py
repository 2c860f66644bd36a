"""The command line: `visionkit RECIPE …` trains, the other commands look at data and runs."""

from __future__ import annotations

import os
import sys

from visionkit.errors import VisionkitError

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed at run time, 2 the call was wrong, 130 interrupted."""
    from visionkit.cli.app import app

    try:
        app(prog_name="visionkit")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # nobody reads on: `visionkit runs | head`
        sys.exit(1)


def report_error(error: VisionkitError | Exception) -> int:
    """Print what went wrong on standard error; returns the exit code."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    if isinstance(error, VisionkitError):
        console.print("Error:", str(error), style="red", markup=False)
        return error.exit_code
    summary = " ".join(str(error).split()) or "no message"
    console.print(f"Error: unexpected {type(error).__name__}: {summary}", style="red", markup=False)
    console.print(
        "This is likely a fault of visionkit's. `visionkit --debug …` shows where it comes from.",
        markup=False,
    )
    return 1
