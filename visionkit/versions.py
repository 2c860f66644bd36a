"""What a run was made with."""

from __future__ import annotations

import platform
import subprocess
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "visionkit",
    "fastai",
    "fastcore",
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "pillow",
    "pandas",
    "scikit-learn",
    "torchmetrics",
)


def versions() -> dict[str, str]:
    """Version of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The commit of the checkout that visionkit runs from; None where it was installed without one."""
    return _git("rev-parse", "HEAD")


def git_changed() -> bool | None:
    """Whether tracked files of that checkout differ from its commit; None where there is none."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return None if changes is None else bool(changes)


def code_fingerprint() -> str:
    """A short hash over visionkit's own modules: tells whether two installations have the same code."""
    package = Path(__file__).parent
    digest = sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package).as_posix()}\0".encode())
        digest.update(sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _git(*words: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", *words],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
