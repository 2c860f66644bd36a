"""The long program: thousands of spoilt files, counted. A case that breaks is printed with its seed."""

from __future__ import annotations

import re

import pytest
from hostile.children import run_cases

PROGRAMS = {"images": 4_000, "tables": 3_500, "settings": 1_000}
FIRST = 10_000
"""Seeds of the long program begin here."""


@pytest.mark.slow
def test_long_program() -> None:
    told = [run_cases(kind, FIRST, count) for kind, count in PROGRAMS.items()]
    print("\n".join(told))
    counts = [int(re.match(r"\d+", line)[0]) for line in told]  # type: ignore[index]
    assert sum(counts) >= 7_000
