"""`visionkit demo` in a real browser."""

from __future__ import annotations

import re
import shutil
import socket
from base64 import b64encode
from pathlib import Path

import pytest
from browsing import IN_A_BROWSER
from conftest import FAST, Cli, noise, train_fast
from demo.serving import Visitor, free_port, served
from PIL import Image
from playwright import sync_api as playwright

pytestmark = IN_A_BROWSER


@pytest.fixture
def run(cli: Cli, dataset: tuple[str, Path]) -> Path:
    name, folder = dataset
    result = train_fast(cli, name, folder, "--out", "run")
    assert result.exit_code == 0, result.output
    return Path("run").resolve()


def names_of(run: Path) -> list[str]:
    from visionkit.inference.bundle_files import read_description

    return read_description(run / "model").vocab


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["pets"], indirect=True)
def test_classes_of_several_images(
    browser: playwright.Browser, run: Path, dataset: tuple[str, Path], tmp_path: Path
) -> None:
    """Also a broken one; examples; only this machine is listened to; Ctrl-C ends it well."""
    broken = tmp_path / "<b>broken.jpg"
    broken.write_bytes(b"no image")
    photos = sorted((dataset[1] / "images").glob("*.jpg"))[:2]
    port = free_port()
    with served("-m", "visionkit", "demo", run, "--port", port) as (address, process):
        assert address == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", port), timeout=5).close()
        visitor = Visitor(browser, address)
        visitor.give([*photos, broken], 3)
        for photo in photos:
            assert photo.name in visitor.text
        assert "3 classes" in visitor.page.inner_text("body")
        assert all(name in visitor.text for name in names_of(run)), "three classes, all among the top five"
        assert "broken.jpg: this is not an image" in visitor.text
        assert not visitor.page.locator(".answer b").count(), "names are text"
        visitor.page.reload()
        visitor.page.wait_for_selector("#examples")
        visitor.click_example()
        assert not visitor.wrong, visitor.wrong
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["planet"], indirect=True)
def test_tags_and_their_thresholds(browser: playwright.Browser, run: Path) -> None:
    with served("-m", "visionkit", "demo", run, "--port", free_port()) as (address, _):
        visitor = Visitor(browser, address)
        visitor.click_example()
        tags = visitor.page.locator(".answer textarea")
        visitor.page.wait_for_function("document.querySelector('.answer table') !== null")
        assert all(name in visitor.text for name in names_of(run))
        limit = visitor.page.locator("#threshold input[type=number]")
        for threshold, chosen in (("1", "^none$"), ("0", "^(?!none)")):
            limit.fill(threshold)
            limit.press("Enter")
            playwright.expect(tags).to_have_value(re.compile(chosen), timeout=60_000)
        assert not visitor.wrong, visitor.wrong


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["camvid"], indirect=True)
def test_masks_from_a_bundle_alone(
    browser: playwright.Browser, run: Path, dataset: tuple[str, Path], tmp_path: Path
) -> None:
    """The legend names codes with their shares, which make up the whole."""
    alone = tmp_path / "alone"
    shutil.copytree(run / "model", alone)
    frame = next((dataset[1] / "images").iterdir())
    with served("-m", "visionkit", "demo", alone, "--port", free_port(), "--title", "Streets") as (
        address,
        _,
    ):
        visitor = Visitor(browser, address)
        assert visitor.page.title() == "Streets" and "4 codes" in visitor.page.inner_text("body")
        assert not visitor.page.locator("#examples").count()
        visitor.give([frame], 1)
        visitor.page.wait_for_selector(".answer .legend, .answer [class*=legend]")
        shares = [
            float(part.split()[-1].rstrip("%")) for part in visitor.text.splitlines() if part.endswith("%")
        ]
        assert sum(shares) == pytest.approx(100, abs=1)
        assert not visitor.wrong, visitor.wrong


@pytest.mark.slow
def test_points(browser: playwright.Browser, cli: Cli, heads: Path) -> None:
    trained = cli("headpose", "--data", heads, "--size", 32, "--then", "", *FAST, "--out", "run")
    assert trained.exit_code == 0, trained.output
    run = Path("run")
    with served("-m", "visionkit", "demo", run, "--port", free_port()) as (address, _):
        visitor = Visitor(browser, address)
        visitor.click_example()
        visitor.page.wait_for_function("document.querySelector('.answer table') !== null")
        assert "x in pixels" in visitor.text
        assert all(name in visitor.text for name in names_of(run))
        assert not visitor.wrong, visitor.wrong


DROP = """async ([content, name]) => {
  const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, {type: "image/jpeg"}));
  const target = document.querySelector("#images button");
  for (const kind of ["dragenter", "dragover", "drop"])
    target.dispatchEvent(new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""
COPY = """async content => {
  const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes], {type: "image/jpeg"}));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").drawImage(picture, 0, 0);
  const png = await new Promise(done => canvas.toBlob(done, "image/png"));
  await navigator.clipboard.write([new ClipboardItem({"image/png": png})]);
}"""


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["pets"], indirect=True)
def test_dropped_pasted_and_too_large(
    browser: playwright.Browser, run: Path, dataset: tuple[str, Path], tmp_path: Path
) -> None:
    """Images come by drag and drop and from the clipboard; a file above the limit is refused by name."""
    photo = next((dataset[1] / "images").glob("*.jpg"))
    content = b64encode(photo.read_bytes()).decode()
    large = tmp_path / "large.jpg"
    Image.fromarray(noise(1, 400, 400)).save(large, quality=95)
    command = ("-m", "visionkit", "demo", run, "--port", free_port(), "--max-mb", 0.05, "--examples", 0)
    with served(*command) as (address, _):
        visitor = Visitor(browser, address)
        visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        visitor.page.evaluate(DROP, [content, "dropped.jpg"])
        visitor.answered(1)
        assert "dropped.jpg" in visitor.text
        visitor.page.reload()
        visitor.page.wait_for_selector("#images")
        visitor.page.evaluate(COPY, content)
        visitor.page.locator("#images [aria-label*=lipboard]").first.click()
        visitor.answered(1)
        assert not visitor.wrong, visitor.wrong
        visitor.page.reload()
        visitor.page.wait_for_selector("#images")
        visitor.page.set_input_files("#images input[type=file]", str(large))
        told = visitor.page.get_by_text(re.compile("exceed.*large.jpg", re.DOTALL)).first
        playwright.expect(told).to_be_visible(timeout=60_000)
        assert not visitor.page.locator(".answer").count()


ALONE = """
import runpy, sys
for name in {blocked}:
    sys.modules[name] = None
sys.path.insert(0, {folder!r})
sys.argv = ["app.py"]
runpy.run_path({folder!r} + "/app.py", run_name="__main__")
"""
BLOCKED = [
    *("fastai", "fastcore", "kaggle", "py7zr", "sklearn", "torchmetrics", "onnx", "onnxruntime", "captum"),
    *("cv2", "rapidfuzz", "uniplot", "iterstrat", "tenacity", "six", "matplotlib"),
]
"""What a Space does not install."""


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["pets"], indirect=True)
def test_a_space_runs_by_itself(browser: playwright.Browser, cli: Cli, run: Path) -> None:
    """With the visionkit that lies in it, and no package that its requirements do not name."""
    assert cli("demo", run, "--space", "space", "--examples", 2).exit_code == 0
    space = Path("space").resolve()
    assert sorted(path.name for path in space.iterdir()) == [
        *("README.md", "app.py", "examples", "model", "requirements.txt", "visionkit")
    ]
    program = ALONE.format(blocked=BLOCKED, folder=str(space))
    environment = {"GRADIO_SERVER_PORT": str(free_port()), "GRADIO_ANALYTICS_ENABLED": "False"}
    with served("-P", "-c", program, **environment) as (address, _):
        visitor = Visitor(browser, address)
        visitor.click_example()
        assert any(name in visitor.text for name in names_of(run))
        assert not visitor.wrong, visitor.wrong


@pytest.mark.parametrize("dataset", ["pets"], indirect=True)
def test_what_cannot_be(cli: Cli, run: Path) -> None:
    """A port that is taken, a folder that holds something, a model that is none."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = cli("demo", run, "--port", port)
        assert said.exit_code == 2 and f"--port {port}" in said.output
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
    said = cli("demo", run, "--space", "full")
    assert said.exit_code == 2 and "full" in said.output
    assert [path.name for path in Path("full").iterdir()] == ["mine.txt"]
    assert cli("demo", "nothing").exit_code == 2
