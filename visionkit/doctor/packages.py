"""Which packages are installed, against the bounds that visionkit's own metadata names."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from visionkit import __version__
from visionkit.doctor.findings import Topic

MAIN = ("fastai", "torch", "torchvision")
OPTIONAL = ("timm",)


def packages(topic: Topic) -> None:
    """Versions; what is missing or too old is a problem that stops."""
    topic.add("visionkit", __version__)
    topic.add(
        "Python", f"{platform.python_version()} ({platform.python_implementation()}, {platform.system()})"
    )
    try:
        from packaging.requirements import Requirement
        from packaging.specifiers import SpecifierSet
    except ImportError:
        _installed(topic, MAIN)
        topic.wrong("packaging: is not installed, so no versions can be compared", "pip install packaging")
        return
    try:
        needed = requires("visionkit") or []
        python = metadata("visionkit")["Requires-Python"]
    except PackageNotFoundError:
        _installed(topic, MAIN)
        topic.wrong(
            "visionkit: is not installed but only found, so its requirements are unknown",
            "pip install it, or pip install --editable . in its checkout",
        )
        return
    if python and not SpecifierSet(python).contains(platform.python_version(), prereleases=True):
        topic.wrong(
            f"Python {platform.python_version()}: visionkit needs {python}", "use another Python", stops=True
        )
    asked = [Requirement(text) for text in needed]
    asked = [each for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})]
    for each in sorted(asked, key=lambda each: (each.name not in MAIN, each.name.lower())):
        found = _version(each.name)
        topic.add(each.name, found or "missing", found or "")
        told = f"{each.name}{each.specifier}"
        if not found:
            topic.wrong(f"{each.name}: is not installed", f"pip install '{told}'", stops=True)
        elif not each.specifier.contains(found, prereleases=True):
            topic.wrong(
                f"{each.name} {found}: visionkit needs {each.specifier}",
                f"pip install --upgrade '{told}'",
                stops=True,
            )
    _installed(topic, OPTIONAL)


def _installed(topic: Topic, names: tuple[str, ...]) -> None:
    for name in names:
        if found := _version(name):
            topic.add(name, found)


def _version(name: str) -> str:
    """The version of an installed package; empty where there is none, or what is left of one."""
    try:
        return str(version(name) or "")
    except PackageNotFoundError:
        return ""
