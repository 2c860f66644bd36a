"""The classes of Open Images as a tree to read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from io import StringIO
from typing import Any

WIDTH = 200


def class_tree(hierarchy: Mapping[str, Any], classes: Mapping[str, str], chosen: Collection[str]) -> str:
    """The hierarchy as indented lines.

    A class stands wherever the hierarchy has it, below what it is a kind of, or, as "part", below what it
    is a part of. Classes that the hierarchy does not have stand at the end.

    Args:
        hierarchy: nodes with `LabelName`, `Subcategory` and `Part`.
        classes: label to name.
        chosen: labels of the classes that are marked.
    """
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    seen: set[str] = set()

    def grow(parent: Tree, node: Mapping[str, Any], note: str = "") -> None:
        label = node["LabelName"]
        seen.add(label)
        marks = f"{'  (part)' if note else ''}{'  ← chosen' if label in chosen else ''}"
        branch = parent.add(Text(f"{classes.get(label, label)}{marks}"))
        grow_below(branch, node)

    def grow_below(branch: Tree, node: Mapping[str, Any]) -> None:
        for kind, note in (("Subcategory", ""), ("Part", "part")):
            for child in sorted(
                node.get(kind, ()), key=lambda each: classes.get(each["LabelName"], "~").lower()
            ):
                grow(branch, child, note)

    root = Tree(Text(f"Open Images: {len(classes)} classes"))
    grow_below(root, hierarchy)
    for label in sorted(set(classes) - seen, key=lambda label: classes[label].lower()):
        grow(root, {"LabelName": label})
    text = StringIO()
    Console(file=text, width=WIDTH, color_system=None, legacy_windows=False).print(root)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
