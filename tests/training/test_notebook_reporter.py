"""Trainings in a notebook: one display of bars and a table; cells that are interrupted, and gone on with."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager, start_new_kernel

import visionkit
from visionkit.errors import UsageError
from visionkit.runs import Run
from visionkit.training import notebook
from visionkit.training.notebook import NotebookReporter, in_notebook, reporting
from visionkit.training.progress import EpochResult, PlainReporter
from visionkit.training.recording import Recording
from visionkit.training.stages import Stage

pytestmark = pytest.mark.usefixtures("unpainted")

STAGE = Stage(1, 64, False, 3, 0.01, 1)
SMALL: dict[str, Any] = {
    "size": 32,
    "arch": "small_vgg",
    "pretrained": False,
    "bs": 4,
    "html": False,
    "precision": "fp32",
}


def result(epoch: int, stage: Stage = STAGE, **metrics: float) -> EpochResult:
    return EpochResult(stage, epoch, 0.01, 0.51234, 0.4, metrics or {"f2": 0.9}, 65.0, 95.0)


@pytest.fixture
def reporter(capsys: pytest.CaptureFixture[str]) -> NotebookReporter:
    """One whose displays are printed, as IPython does outside of a kernel."""
    return NotebookReporter()


def test_a_row_for_each_epoch(reporter: NotebookReporter) -> None:
    reporter.note("recipe     pets\nrun        runs/pets-1")
    reporter.epoch_started(STAGE, 1, 200)
    reporter.batch_done(50, 0.7)
    assert '<progress value="50" max="200"' in reporter.html()
    assert "64 px unfrozen epoch 1/3  50 of 200 images, loss 0.7000" in reporter.text()
    reporter.batch_done(150, 0.6)
    assert "200 images, loss 0.6000, validating" in reporter.text()
    reporter.epoch_done(result(1))
    reporter.epoch_started(STAGE, 2, 200)
    reporter.epoch_done(result(2))
    html = reporter.html()
    assert "<progress" not in html
    assert html.startswith("<div><pre>recipe     pets\nrun        runs/pets-1</pre><table")
    heads = "".join(
        f"<th>{head}</th>" for head in ("stage", "epoch", "train_loss", "valid_loss", "f2", "time")
    )
    assert heads in html
    assert re.findall(r"<td>(\d/\d)</td><td>(.*?)</td>", html) == [("1/3", "0.5123"), ("2/3", "0.5123")]
    assert html.count("<td>01:05</td>") == 2
    assert reporter.text().splitlines()[2:] == [result(1).line(), result(2).line()]


def test_names_are_shown_as_text(reporter: NotebookReporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "SECONDS_BETWEEN", 0.0)
    reporter.note("data       <script>alert(1)</script>\x1b[2J")
    with reporter.track("unpacking <b>.zip", 10, "files") as advance:
        advance(3)
        shown = reporter.html()
    reporter.epoch_done(result(1, **{"<i>": 0.5}))
    assert "<script>" not in reporter.html() and "&lt;script&gt;" in reporter.html()
    assert "\x1b" not in reporter.html() + reporter.text() and r"\x1b[2J" in reporter.text()
    assert "unpacking &lt;b&gt;.zip  3 of 10 files" in shown
    assert "<th>&lt;i&gt;</th>" in reporter.html()


def test_a_stage_that_begins_again_drops_its_rows(reporter: NotebookReporter) -> None:
    second = Stage(2, 96, False, 2, 0.01, 1)
    reporter.epoch_done(result(1))
    reporter.epoch_done(result(1, second))
    reporter.epoch_started(second, 2, 100)
    reporter.epoch_started(second, 1, 100)
    assert reporter.html().count("<td>64 px") == 1 and "<td>96 px" not in reporter.html()
    assert reporter.html().count("<progress") == 1


def test_other_work_goes_away_also_when_it_fails(
    reporter: NotebookReporter, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with reporter.track("check", 2, "images") as advance:
        advance(2)
    assert capsys.readouterr().out == "", "what is quickly done is not shown"
    monkeypatch.setattr(notebook, "SECONDS_BETWEEN", 0.0)
    seen = []
    with suppress(ValueError), reporter.track("download", None, "bytes") as advance:
        advance(2_000_000)
        seen.append(reporter.html())
        raise ValueError
    assert "<progress style" in seen[0] and "download  2.0 MB" in capsys.readouterr().out
    assert reporter.html() == "<div></div>" and reporter.text() == ""
    reporter.epoch_started(STAGE, 1, 10)
    assert "<progress" in reporter.html()
    reporter.close()
    assert "<progress" not in reporter.html()


def test_lines_outside_of_notebooks(tmp_path: Path) -> None:
    assert not in_notebook()
    with reporting(None, tmp_path) as told:
        assert isinstance(told, PlainReporter)
    own = PlainReporter()
    with reporting(own, tmp_path) as told:
        assert told is own
    with pytest.raises(KeyboardInterrupt) as interrupted, reporting(None, tmp_path):
        raise KeyboardInterrupt
    assert not str(interrupted.value), "there is no run to go on with"


def test_without_ipython() -> None:
    code = (
        "import sys; sys.modules['IPython'] = None\n"
        "from pathlib import Path\n"
        "from visionkit.training.notebook import reporting\n"
        "with reporting(None, Path('none')) as told: told.note('said')\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout == b"said\n"
    )


def test_a_run_shows_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run.create(Path("runs/<i>-1"), {"synthetic": True})
    assert run._repr_html_() == "<div><b>&lt;i&gt;-1</b>: running, on synthetic sample data</div>"
    run.update(status="done", metrics={"f2": 0.91234, "<b>": 0.5}, synthetic=False)
    (run.path / "report.html").write_text("page")
    html = run._repr_html_()
    assert "<b>&lt;i&gt;-1</b>: done<table" in html
    assert "<th>f2</th><th>&lt;b&gt;</th>" in html and "<td>0.9123</td><td>0.5000</td>" in html
    assert '<a href="runs/%3Ci%3E-1/report.html" target="_blank">' in html
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f'<a href="{(tmp_path / "runs").as_uri()}/' in Run(tmp_path / "runs/<i>-1", run.info)._repr_html_()


def test_going_on_in_python(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    after_batch, seen = Recording.after_batch, []

    def interrupted(recording: Recording) -> None:
        after_batch(recording)
        seen.append(recording.epoch)
        if len(seen) in (7, 12):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Recording, "after_batch", interrupted)
    recipe = visionkit.get_recipe("pets")
    with pytest.raises(
        KeyboardInterrupt, match=r'^visionkit\.resume\("runs/pets-.*"\) goes on with this run$'
    ):
        recipe.train(pets, epochs=(3,), **SMALL)
    (folder,) = Path("runs").iterdir()
    assert Run.read(folder).status == "interrupted"
    with pytest.raises(KeyboardInterrupt, match=r"^visionkit\.resume"):
        visionkit.resume("last")
    with pytest.raises(UsageError, match="there is no run"):
        visionkit.resume("last", runs_root="elsewhere")
    run = visionkit.resume(folder.name)
    assert run.status == "done" and len(run.history) == 3 and run.metrics
    assert "going on" in capsys.readouterr().out
    assert visionkit.resume(run).metrics == run.metrics
    assert "the run is done; there is nothing left to train" in capsys.readouterr().out


class Kernel:
    """A notebook's kernel in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.manager: KernelManager
        self.manager, self.client = start_new_kernel(cwd=str(folder))

    def run(self, code: str, heard: Callable[[Any], None] = lambda message: None) -> list[Any]:
        """What a cell shows: messages with msg_type and content; `heard` is called with each as it comes."""
        request = self.client.execute(code)
        messages = []
        while True:
            message = self.client.get_iopub_msg(timeout=180)
            if message["parent_header"].get("msg_id") != request:
                continue
            messages.append(message)
            heard(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return messages


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    started = Kernel(folder)
    yield started
    started.client.stop_channels()
    started.manager.shutdown_kernel(now=True)


def displays(messages: list[Any]) -> list[dict[str, str]]:
    """What was displayed, and then brought up to date."""
    return [
        each["content"]["data"]
        for each in messages
        if each["msg_type"] in ("display_data", "update_display_data")
    ]


def errors(messages: list[Any]) -> list[str]:
    return [each["content"]["evalue"] for each in messages if each["msg_type"] == "error"]


@pytest.mark.slow
def test_one_display_for_a_training(kernel: Kernel, pets: Path) -> None:
    messages = kernel.run(
        "from visionkit.recipes import pets\n"
        f"run = pets.train({str(pets)!r}, epochs=(2,), then=(40,), **{SMALL!r})\n"
        "run"
    )
    assert errors(messages) == []
    kinds = [each["msg_type"] for each in messages if "display" in each["msg_type"]]
    assert kinds[0] == "display_data" and set(kinds[1:]) == {"update_display_data"}
    shown = displays(messages)
    assert any("<progress" in each["text/html"] for each in shown)
    last = shown[-1]
    assert "<progress" not in last["text/html"] and "<pre>recipe     pets" in last["text/html"]
    rows = re.findall(r"<td>(\d+ px unfrozen)</td><td>(\d/\d)</td>", last["text/html"])
    stages = ("32 px unfrozen", "40 px unfrozen")
    assert rows == [(stage, epoch) for stage in stages for epoch in ("1/2", "2/2")]
    assert last["text/plain"].count(" train_loss ") == 4
    assert not [
        each for each in messages if each["msg_type"] == "stream" and each["content"]["name"] == "stdout"
    ]
    (value,) = (each["content"]["data"] for each in messages if each["msg_type"] == "execute_result")
    assert "<th>accuracy</th>" in value["text/html"]


@pytest.mark.slow
def test_interrupting_a_cell_leaves_a_run_to_go_on_with(kernel: Kernel) -> None:
    interrupted = []

    def interrupt(message: Any) -> None:
        if not interrupted and any("<td>2/" in each["text/html"] for each in displays([message])):
            interrupted.append(message)
            kernel.manager.interrupt_kernel()

    kernel.run("import visionkit\nfrom visionkit.recipes import pets")
    messages = kernel.run(
        "pets.train(sample=True, size=32, epochs=(8,), arch='small_vgg', html=False)", interrupt
    )
    (message,) = errors(messages)
    found = re.fullmatch(r'visionkit\.resume\("(runs/pets-.*)"\) goes on with this run', message)
    assert found, message
    last = displays(messages)[-1]
    assert "<progress" not in last["text/html"] and "saved      at stage 1, epoch" in last["text/plain"]
    folder = found[1]
    state = f"run = visionkit.Run.read(__import__('pathlib').Path({folder!r}))\nrun.status, "
    messages = kernel.run(state + "len(list((run.path / 'checkpoint').glob('*.safetensors'))) > 0")
    (value,) = (
        each["content"]["data"]["text/plain"] for each in messages if each["msg_type"] == "execute_result"
    )
    assert value == "('interrupted', True)"
    messages = kernel.run(f"run = visionkit.resume({folder!r})")
    assert errors(messages) == []
    assert "going on   at stage 1" in displays(messages)[-1]["text/plain"]
    assert "<td>8/8</td>" in displays(messages)[-1]["text/html"]
    messages = kernel.run("run.status, len(run.history), sorted(run.metrics)")
    (value,) = (
        each["content"]["data"]["text/plain"] for each in messages if each["msg_type"] == "execute_result"
    )
    assert value == "('done', 8, ['accuracy', 'error_rate'])"
