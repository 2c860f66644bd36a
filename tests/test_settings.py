"""settings.ini: precedence, errors that name where they stand, and the shipped file."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Cli, train_fast

from visionkit.errors import UsageError
from visionkit.registry import get_recipe, recipe_names
from visionkit.settings import TrainSettings
from visionkit.settings_file import SettingsFile, resolve
from visionkit.settings_template import settings_template

pytestmark = pytest.mark.usefixtures("unpainted")

SHIPPED = Path(__file__).parents[1] / "settings.ini"


def written(folder: Path, text: str) -> SettingsFile:
    file = folder / "settings.ini"
    file.write_text(text, encoding="utf-8")
    return SettingsFile.read(file)


def test_shipped_file_holds_the_built_in_defaults() -> None:
    recipes = [get_recipe(name) for name in recipe_names()]
    assert SHIPPED.read_text(encoding="utf-8") == settings_template(recipes)
    file = SettingsFile.read(SHIPPED)
    file.check(recipes)
    for recipe in recipes:
        for sample in (False, True):
            assert resolve(recipe, {}, file, sample) == resolve(recipe, {}, SettingsFile(), sample)


@pytest.mark.parametrize("name", recipe_names())
def test_every_setting_is_explained_and_in_the_file(name: str) -> None:
    recipe = get_recipe(name)
    file = SettingsFile.read(SHIPPED)
    for setting, field in recipe.settings.model_fields.items():
        assert field.description
        assert setting in {**file.sections["training"], **file.sections[name]}


def test_a_redeclared_default_keeps_help_and_limits() -> None:
    class Mine(TrainSettings):
        size: int = 128

    assert Mine.model_fields["size"].description == TrainSettings.model_fields["size"].description
    assert Mine().size == 128 and TrainSettings().size == 224
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Mine(size=0)


def test_precedence(tmp_path: Path) -> None:
    planet = get_recipe("planet")
    assert resolve(planet, {}, SettingsFile()).arch == "resnet50"
    file = written(
        tmp_path,
        "[training]\narch = resnet18\nwd = 0.3\nbs = 8\n[planet]\nbs = 16\n[planet.sample]\nbs = 32\n",
    )
    file.check([planet])
    settings = resolve(planet, {}, file)
    assert (settings.arch, settings.wd, settings.bs) == ("resnet18", 0.3, 16)
    assert resolve(planet, {"bs": "4", "then": "256,299"}, file).bs == 4
    assert resolve(planet, {"then": "256 299"}, file).then == (256, 299)
    assert resolve(planet, {}, file, sample=True).bs == 32
    assert resolve(planet, {"bs": 5}, file, sample=True).bs == 5
    largest = resolve(planet, {"bs": "auto"}, file)
    assert (largest.bs, largest.batch_size, settings.batch_size) == ("auto", 64, 16)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[training]\nsizee = 3\n", ["settings.ini", "[training]", "'sizee'", "'size'"]),
        ("[training]\nsize = big\n", ["settings.ini", "[training]", "'size'", "'big'", "integer"]),
        ("[planet]\nthreshold = 3\n", ["settings.ini", "[planet]", "'threshold'", "less than 1"]),
        ("[plannet]\nsize = 3\n", ["settings.ini", "[plannet]", "'planet'"]),
        ("[paths]\nrun = 3\n", ["settings.ini", "[paths]", "'run'", "'runs'"]),
        ("size = 3\n", ["settings.ini", "not a settings file"]),
        ("[training]\nsize = 3\nsize = 4\n", ["settings.ini", "not a settings file", "size"]),
        ("[training]\npretrained = maybe\n", ["'pretrained'", "'maybe'"]),
        ("[training]\nlr = nan\n", ["'lr'", "'nan'"]),
    ],
)
def test_wrong_file(tmp_path: Path, text: str, named: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        written(tmp_path, text).check([get_recipe(name) for name in recipe_names()])
    for word in named:
        assert word in str(error.value)


def test_a_file_of_nbdev_is_not_ours(tmp_path: Path) -> None:
    assert written(tmp_path, "[DEFAULT]\nlib_name = mine\nversion = 1\n").sections == {}


def test_in_force_in_its_folder(cli: Cli, pets: Path, tmp_path: Path) -> None:
    Path("settings.ini").write_text(f"[paths]\nruns = {tmp_path / 'elsewhere'}\n[pets]\nseed = 7\n")
    result = train_fast(cli, "pets", pets)
    assert result.exit_code == 0, result.output
    run = next((tmp_path / "elsewhere").iterdir())
    assert '"seed": 7' in (run / "run.json").read_text()
    assert run.name in cli("runs").output
    Path("settings.ini").write_text("[pets]\nsed = 7\n")
    result = cli("pets", "--sample")
    assert result.exit_code == 2 and "'seed'" in result.output


def test_settings_command_prints_the_shipped_file(cli: Cli) -> None:
    assert cli("settings").output == SHIPPED.read_text(encoding="utf-8")


def test_a_number_alone_is_a_list_of_one() -> None:
    settings = get_recipe("planet").resolved(size=48, then=64, epochs=2, freeze_epochs=0)
    assert (settings.sizes, settings.epochs, settings.freeze_epochs) == ((48, 64), (2,), (0,))
    with pytest.raises(UsageError, match="then"):
        get_recipe("planet").resolved(then=True)
