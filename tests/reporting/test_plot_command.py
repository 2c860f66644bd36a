"""`visionkit plot`, `show` and `lr-find` through the command line: which files they write."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import FAST, SIZES, SMALL_UNET, Cli, train_fast
from defusedxml import ElementTree
from PIL import Image

from visionkit.reporting.palette import class_colors

OPTIONS = ["--size", SIZES["camvid"], *FAST, *SMALL_UNET]
SVG = "{http://www.w3.org/2000/svg}"


def names(folder: Path, ending: str) -> set[str]:
    return {file.stem for file in folder.glob(f"*.{ending}")}


def words(file: Path) -> set[str]:
    return {"".join(text.itertext()) for text in ElementTree.parse(file).iter(f"{SVG}text")}


@pytest.mark.slow
def test_plots_of_a_run_as_svg_too(cli: Cli, camvid: Path) -> None:
    """A training writes PNG files alone; --svg writes the others beside them, the same each time."""
    assert train_fast(cli, "camvid", camvid, "--out", "run").exit_code == 0
    plots = Path("run/plots")
    assert names(plots, "png") == {"losses", "schedule", "metrics", "per_class", "examples", "worst"}
    assert not names(plots, "svg")
    result = cli("plot", "run", "--svg")
    assert result.exit_code == 0, result.output
    assert names(plots, "svg") == names(plots, "png")
    written = [Path(line) for line in result.stdout.splitlines() if line]
    assert {file.name for file in written} == {file.name for file in plots.iterdir()}
    assert {"Sky", "Road", "truth"} <= words(plots / "examples.svg")
    for file in plots.glob("*.svg"):
        assert file.stat().st_size < 4_000_000
    before = {file.name: file.read_bytes() for file in plots.iterdir()}
    assert cli("plot", "run", "--svg").exit_code == 0
    assert {file.name: file.read_bytes() for file in plots.iterdir()} == before


@pytest.mark.parametrize(("command", "recipe"), [("show", "camvid"), ("lr-find", "pets")])
def test_pictures_by_their_ending(
    cli: Cli, command: str, recipe: str, request: pytest.FixtureRequest
) -> None:
    options = [recipe, "--data", request.getfixturevalue(recipe), "--size", SIZES[recipe], *FAST]
    result = cli(command, *options, "--out", "new/picture.SVG")
    assert result.exit_code == 0, result.output
    expected = {"Sky", "Road"} if command == "show" else {"learning rate"}
    assert expected <= words(Path("new/picture.SVG"))
    for wrong in ("picture.jpg", "picture", "new"):
        refused = cli(command, *options, "--out", wrong)
        assert refused.exit_code == 2 and ".png or .svg" in refused.output
    assert not Path("picture.jpg").exists()


@pytest.mark.usefixtures("unpainted")
def test_a_code_has_one_colour_in_sheets_and_predicted_masks(cli: Cli, camvid: Path) -> None:
    """In the legend of `show` and in the palette of the masks that `predict` writes."""
    result = cli("show", "camvid", "--data", camvid, *OPTIONS, "--out", "sheet.svg")
    assert result.exit_code == 0, result.output
    codes = (camvid / "codes.txt").read_text().split()
    colors = (255 * class_colors(codes)).round().astype(int).tolist()
    sheet = Path("sheet.svg").read_text().lower()
    for code, color in zip(codes, colors):
        assert code == "Void" or "#" + bytes(color).hex() in sheet
    assert train_fast(cli, "camvid", camvid, "--out", "run").exit_code == 0
    assert cli("predict", "run", camvid / "images" / "frame_0.png", "--out", "said").exit_code == 0
    (mask,) = Path("said/masks").rglob("*.png")
    with Image.open(mask) as picture:
        palette = picture.getpalette()
    assert palette is not None
    assert [palette[3 * code : 3 * code + 3] for code in range(len(codes))] == colors
