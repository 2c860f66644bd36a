"""The command line: `visionkit RECIPE …` trains, the other commands look at data and runs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from visionkit.errors import EndedElsewhere, VisionkitError

INTERRUPTED = 130
HANDLES = 8192


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed at run time, 2 the call was wrong, 130 interrupted."""
    from visionkit.cli.app import app

    _take_file_handles()
    try:
        app(prog_name="visionkit")
    except KeyboardInterrupt as error:
        sys.exit(getattr(error, "exit_code", INTERRUPTED))
    except BrokenPipeError:
        _drop_output()
        sys.exit(1)
    except SystemExit as end:
        unwritten = _flush_output()
        sys.exit(end.code or unwritten)


def _take_file_handles() -> None:
    """Raise the limit of open files to what the system grants: many begin with 256, too few for loaders."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = HANDLES if most == resource.RLIM_INFINITY else min(HANDLES, most)
        if limit != resource.RLIM_INFINITY and limit < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _flush_output() -> int:
    """Have the last of the output written; returns the exit code."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return 1
    except OSError as error:
        _drop_output()
        return report_error(error)
    return 0


def _drop_output() -> None:
    """Nobody reads on, as in `visionkit runs | head`, or nobody can: Python would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report_error(error: VisionkitError | Exception) -> int:
    """Print what went wrong on standard error; returns the exit code."""
    from visionkit.cli.console import SafeConsole
    from visionkit.disk_faults import system_fault

    console = SafeConsole(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    error = error if isinstance(error, VisionkitError) else system_fault(error) or error
    if isinstance(error, EndedElsewhere):
        return error.exit_code
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
