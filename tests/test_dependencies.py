"""Nothing that is declared keeps pip from a newer version, which may be the one with a security fix."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
ASKED = [
    *PROJECT["build-system"]["requires"],
    *PROJECT["project"]["dependencies"],
    *(each for extra in PROJECT["project"]["optional-dependencies"].values() for each in extra),
]


@pytest.mark.parametrize("asked", ASKED)
def test_only_lower_bounds(asked: str) -> None:
    requirement = Requirement(asked)
    assert requirement.url is None, "an address is one version"
    assert {bound.operator for bound in requirement.specifier} <= {">=", ">"}


def test_python_has_no_upper_bound() -> None:
    assert set(PROJECT["project"]["requires-python"]) <= set(">=0123456789.")


def test_the_security_page_names_no_address_to_write_to() -> None:
    text = (Path(__file__).parent.parent / "SECURITY.md").read_text(encoding="utf-8")
    assert "advisory" in text and "mailto:" not in text and "@" not in text
