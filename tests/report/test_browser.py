"""The report in a real browser: nothing goes wrong, clicks work, and everybody can use it."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import IN_A_BROWSER
from conftest import Cli, train_fast
from playwright import sync_api as playwright

pytestmark = [*IN_A_BROWSER, pytest.mark.usefixtures("unpainted")]

WIDTHS = (360, 1280)


@pytest.fixture
def report(cli: Cli, dataset: tuple[str, Path]) -> Path:
    name, folder = dataset
    result = train_fast(cli, name, folder, "--out", "run", "--html")
    assert result.exit_code == 0, result.output
    return Path("run/report.html").resolve()


def opened(
    browser: playwright.Browser, report: Path, width: int = 1280, scheme: str = "light"
) -> tuple[playwright.Page, list[str]]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
    page.goto(report.as_uri())
    return page, wrong


@pytest.mark.parametrize(
    "dataset",
    ["pets", *(pytest.param(name, marks=pytest.mark.slow) for name in ("planet", "camvid"))],
    indirect=True,
)
def test_in_order_for_everybody(browser: playwright.Browser, report: Path) -> None:
    """No error, no request, nothing that reaches beyond the window, no grave fault of accessibility."""
    from axe_playwright_python.sync_playwright import Axe

    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page, wrong = opened(browser, report, width, scheme)
            assert not wrong, wrong
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "it fits the window"
            assert page.evaluate("[...document.images].every(i => !i.src || i.naturalWidth > 0)")
            found = Axe().run(page).response["violations"]
            grave = [each for each in found if each["impact"] in ("serious", "critical")]
            assert not grave, [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in grave]
            page.close()


@pytest.mark.parametrize("dataset", ["pets"], indirect=True)
def test_clicks_and_keys(browser: playwright.Browser, report: Path) -> None:
    page, wrong = opened(browser, report)

    page.locator("button[data-cell]").first.click()
    dialog = page.locator("dialog#images")
    assert dialog.is_visible()
    pictures = dialog.locator("img")
    assert pictures.count() >= 1 and pictures.first.evaluate("image => image.naturalWidth > 0")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()

    table = page.locator("table.sorts")
    table.get_by_role("button", name="F1").click()
    column = [head.inner_text().split()[0] for head in table.locator("thead th").all()].index("F1")
    cells = [float(row.locator("td").nth(column - 1).inner_text()) for row in table.locator("tbody tr").all()]
    assert cells == sorted(cells, reverse=True)
    table.get_by_role("button", name="F1").click()
    cells = [float(row.locator("td").nth(column - 1).inner_text()) for row in table.locator("tbody tr").all()]
    assert cells == sorted(cells)

    figure = page.locator("figure", has=page.locator("svg[data-chart=losses]"))
    chart, reading = figure.locator("svg"), figure.locator(".reading")
    chart.hover()
    assert "training batches" in reading.inner_text()
    chart.focus()
    page.keyboard.press("Home")
    first = reading.inner_text()
    page.keyboard.press("ArrowRight")
    assert first.startswith("training batches 1:") and reading.inner_text() != first

    heat = page.locator("img.heat").first
    assert heat.evaluate("image => getComputedStyle(image).opacity") == "0"
    page.get_by_role("button", name="Grad-CAM").click()
    assert heat.evaluate("image => getComputedStyle(image).opacity") == "1"
    assert not wrong, wrong


@pytest.mark.parametrize("dataset", ["camvid"], indirect=True)
def test_layers(browser: playwright.Browser, report: Path) -> None:
    page, wrong = opened(browser, report)

    def shown() -> set[str]:
        return set(
            page.evaluate(
                "[...document.querySelectorAll('img.layer')]"
                ".filter(i => i.style.visibility === 'visible').map(i => i.dataset.layer)"
            )
        )

    assert shown() == {"prediction"}
    page.get_by_label("difference").check()
    assert shown() == {"difference"}
    page.get_by_label("image alone").check()
    assert not shown()
    page.get_by_label("truth").check()
    page.locator("#opacity").fill("25")
    assert page.locator("img.layer").first.evaluate("image => image.style.opacity") == "0.25"
    assert page.locator("output").inner_text() == "25 %"
    assert not wrong, wrong
