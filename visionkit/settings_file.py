"""settings.ini: its sections, and how recipe, file and flags are laid over each other.

Sections: `[paths]`, `[training]` for every recipe, `[NAME]` for one recipe, `[NAME.sample]` for its
`--sample`. Precedence, weakest first: the recipe's defaults, `[training]`, `[NAME]`, then for a sample the
recipe's sample defaults and `[NAME.sample]`, then the flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from visionkit.errors import UsageError, nearest
from visionkit.settings import TrainSettings
from visionkit.shared_settings import ArchiveSettings, CacheSettings, PathSettings
from visionkit.tasks.options import check_options

if TYPE_CHECKING:
    from visionkit.progress import Progress
    from visionkit.recipe import Recipe
    from visionkit.sources.base import Store

SETTINGS_NAME = "settings.ini"
MOST_CHARACTERS = 1_000_000
MOST_SHOWN = 200
"""Characters of a file's text in a message."""
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class SettingsFile:
    """The parsed sections of a settings file: section -> key -> text. Empty where there is no file."""

    path: Path | None = None
    sections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None = None) -> SettingsFile:
        """Read `path`, or the settings.ini of the current folder where there is one.

        Raises:
            UsageError: the named file is missing or is not an INI file.
        """
        if path is None:
            path = Path(SETTINGS_NAME)
            if not path.is_file():
                return cls()
        parser = ConfigParser(interpolation=None, default_section="\0none")
        try:
            with path.open(encoding="utf-8-sig") as lines:
                text = lines.read(MOST_CHARACTERS + 1)
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the name
            raise UsageError(f"{path}: the settings file cannot be read ({error}).") from error
        if len(text) > MOST_CHARACTERS:
            raise UsageError(f"{path}: not a settings file: more than {MOST_CHARACTERS:,} characters.")
        try:
            parser.read_string(text, source=str(path))
        except ConfigError as error:
            told = _shortened(" ".join(str(error).split()))
            raise UsageError(f"{path}: not a settings file: {told}") from error
        sections = {name: dict(parser[name]) for name in parser.sections()}
        if set(sections) == {"DEFAULT"} and "lib_name" in sections["DEFAULT"]:
            return cls()  # the metadata file of nbdev 1 and 2 has the same name; it is not ours
        return cls(path, sections)

    def check(self, recipes: list[Recipe]) -> None:
        """Refuse sections, keys and values that do not exist.

        Raises:
            UsageError: names file, section, key and the nearest valid one.
        """
        models: dict[str, type[BaseModel]] = {
            "paths": PathSettings,
            "archives": ArchiveSettings,
            "cache": CacheSettings,
            "training": TrainSettings,
        }
        for recipe in recipes:
            models[recipe.name] = models[f"{recipe.name}.sample"] = recipe.settings
        for section, values in self.sections.items():
            if section not in models:
                raise UsageError(
                    f"{self.path}: unknown section [{_shortened(section)}].{nearest(section, list(models))}"
                )
            validated(
                models[section], {key: (value, self._where(section, key)) for key, value in values.items()}
            )

    def _where(self, section: str, key: str) -> str:
        return f"{self.path}, section [{section}], key '{_shortened(key)}'"

    def layer(self, section: str) -> dict[str, tuple[Any, str]]:
        """The values of one section, each with the words for where it stands."""
        return {
            key: (value, self._where(section, key)) for key, value in self.sections.get(section, {}).items()
        }

    def paths(self) -> PathSettings:
        """The `[paths]` section over its defaults, with `~` expanded."""
        paths = validated(PathSettings, self.layer("paths"))
        return PathSettings(runs=paths.runs.expanduser(), data=paths.data.expanduser())

    def store(self, progress: Progress) -> Store:
        """Where data sets are fetched to, as `[paths]` and `[archives]` say."""
        from visionkit.sources.base import Limits, Store

        archives = validated(ArchiveSettings, self.layer("archives"))
        limits = Limits(size=int(archives.max_gb * 1e9), ratio=archives.max_ratio)
        cache = validated(CacheSettings, self.layer("cache"))
        folder = None if cache.folder is None else cache.folder.expanduser()
        decoded, shards = int(cache.max_gb * 1e9), int(cache.shards_gb * 1e9)
        return Store(self.paths().data, progress, limits, folder, decoded, shards)


def resolve(
    recipe: Recipe, flags: Mapping[str, Any], file: SettingsFile, sample: bool = False
) -> TrainSettings:
    """The settings in force for `recipe`: its defaults, then `file`, then `flags` (setting name -> text or
    value).

    Raises:
        UsageError: a key that does not exist or a value of the wrong type, naming where it stands.
    """
    layers = [file.layer("training"), file.layer(recipe.name)]
    if sample and recipe.sample is not None:
        layers.append(
            {
                key: (value, f"{recipe.name}'s sample defaults")
                for key, value in recipe.sample.settings.items()
            }
        )
        layers.append(file.layer(f"{recipe.name}.sample"))
    layers.append({key: (value, f"--{key.replace('_', '-')}") for key, value in flags.items()})
    merged: dict[str, tuple[Any, str]] = {}
    for layer in layers:
        merged.update(layer)
    settings = validated(recipe.settings, merged)
    settings.check()  # before anything is read
    if recipe.task_of is None:
        check_options(settings, recipe.task)
    return settings


def validated(model: type[Model], values: Mapping[str, tuple[Any, str]]) -> Model:
    """`model` with `values` (name -> value and where it was written).

    Raises:
        UsageError: an unknown name or a wrong value, naming where it was written.
    """
    known = list(model.model_fields)
    for name, (value, where) in values.items():
        if name not in known:
            raise UsageError(f"{where}: there is no such setting.{nearest(name, known)}")
        if isinstance(value, str) and "\0" in value:
            raise UsageError(f"{where}: a NUL character is not allowed.")
    try:
        made = model.model_validate({name: value for name, (value, _) in values.items()})
    except ValidationError as error:
        first = error.errors()[0]
        value, where = values.get(str(first["loc"][0]), (first["input"], str(first["loc"][0])))
        problems = dict.fromkeys(
            _readable(problem["msg"]) for problem in error.errors() if problem["loc"][0] == first["loc"][0]
        )
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        raise UsageError(
            f"{where}: {_shortened(str(shown))!r} is not allowed: {' or '.join(problems)}."
        ) from None
    _refuse_unknown_homes(made, values)
    return made


def _refuse_unknown_homes(made: BaseModel, values: Mapping[str, tuple[Any, str]]) -> None:
    """Raise `UsageError` for a path such as ~nobody/x, where there is no user of this name."""
    for name, (_, where) in values.items():
        value = getattr(made, name)
        try:
            if isinstance(value, Path):
                value.expanduser()
        except RuntimeError:
            raise UsageError(f"{where}: {_shortened(str(value))!r} names the home of nobody.") from None


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _readable(message: str) -> str:
    """Pydantic's message as the end of a sentence."""
    message = message.split(", unable to parse")[0]
    return message.replace("Input should be", "it should be", 1)
