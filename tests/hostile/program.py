"""Runs many cases in this process, and prints those that broke: `python -m hostile.program KIND FIRST COUNT`.

A case that broke is repeated by its seed: `python -m hostile.program images 4711 1`.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from hostile.watch import Hang, limit_memory, say, time_limit

Case = Callable[[int, Path], None]


def cases(kind: str) -> Case:
    if kind == "images":
        from hostile.image_cases import image_case

        return image_case
    if kind == "tables":
        from hostile.table_cases import table_case

        return table_case
    from hostile.settings_cases import settings_case

    return settings_case


def run(kind: str, first: int, count: int) -> int:
    """Run the cases with the seeds from `first` on; how many broke."""
    case, broken = cases(kind), 0
    limit_memory()
    with tempfile.TemporaryDirectory() as name:
        for seed in range(first, first + count):
            folder = Path(name)
            try:
                with time_limit():
                    case(seed, folder)
            except (Exception, Hang):
                broken += 1
                say(f"BROKEN {kind} {seed}\n{traceback.format_exc(limit=-6)}")
            if (seed - first) % 100 == 0:
                say(f"begun {kind} {seed}")
    say(f"{count} cases of {kind} from seed {first}, {broken} broken")
    return broken


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(bool(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
