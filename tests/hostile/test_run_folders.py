"""Run folders from anywhere: run.json, its tables, evaluations and the recipe that it names."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from random import Random

import pytest
from conftest import Cli
from hostile.hammering import assert_ended_well, hammer, many
from hostile.mutating import NASTY_TEXTS, NASTY_VALUES, mutated_bytes, mutated_json
from inference.stored import stored_run

from visionkit.errors import VisionkitError
from visionkit.inference.card import card_text
from visionkit.report.comparing import write_comparison
from visionkit.report.page import render_report
from visionkit.reporting import curves
from visionkit.runs import Run
from visionkit.sources.base import Store

HISTORY = "stage,size,epoch,lr,train_loss,valid_loss,accuracy,seconds,images_per_s,wait_percent\n" + "".join(
    f"{stage},32,{epoch},0.001,1.{epoch},0.9,0.{epoch},1.0,50.0,3.0\n" for stage in (1, 2) for epoch in (1, 2)
)
BATCHES = "stage,lr,mom,loss\n" + "".join(
    f"{stage},0.00{batch},0.9,1.{batch}\n" for stage in (1, 2) for batch in range(9)
)
FIGURE = {"value": 0.5, "low": 0.4, "high": 0.6}
EVALUATED = {
    "on": "valid",
    "own_data": True,
    "images": 20,
    "figures": {"accuracy": FIGURE, "log_loss": {"value": None, "low": None, "high": None}},
    "per_class": [
        {"class": f"c{n}", "images": n, "f1": n / 40, "f1_low": 0.0, "f1_high": 1.0} for n in range(30)
    ],
    "thresholds": None,
    "decision": "threshold",
    "temperature": None,
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A finished run with everything in it, whose data set is gone."""
    made = stored_run(
        tmp_path / "runs" / "good", "single-label", tmp_path / "gone",
        headline="accuracy", host="elsewhere", pid=1, evaluations={"valid": {"on": "valid"}},
    )  # fmt: skip
    (made.path / "history.csv").write_text(HISTORY)
    (made.path / "batches.csv").write_text(BATCHES)
    (made.path / "evaluation" / "valid").mkdir(parents=True)
    (made.path / "evaluation" / "valid" / "metrics.json").write_text(json.dumps(EVALUATED))
    return made


def looked_at(folder: Path) -> None:
    """All that a run tells without its data set."""
    run = Run.read(folder)
    repr(run), run.status, run.name, run.metrics
    if run.history:
        for draw in (curves.losses, curves.schedule, curves.metrics):
            draw(run).canvas.draw()


@many(25, 400)
def test_run_json_with_changes(count: int, run: Run) -> None:
    content = json.loads((run.path / "run.json").read_text())
    content["stages"] = [{**stage, "name": "all"} for stage in content["stages"]]

    def case(random: Random) -> None:
        (run.path / "run.json").write_bytes(mutated_json(content, random))
        assert isinstance(Run.read(run.path).status, str)
        card_text(run.path / "model")
        if random.random() < 0.1:
            looked_at(run.path)

    hammer("run.json", count, case)


@many(15, 250)
@pytest.mark.filterwarnings("ignore")
def test_tables_with_changes(count: int, run: Run) -> None:
    def case(random: Random) -> None:
        for name, good in (("history.csv", HISTORY), ("batches.csv", BATCHES)):
            (run.path / name).write_bytes(changed_table(good, random))
        looked_at(run.path)

    hammer("history.csv", count, case)


def changed_table(good: str, random: Random) -> bytes:
    kind = random.randrange(4)
    if kind == 0 or random.random() < 0.4:
        return good.encode()
    if kind == 1:
        return mutated_bytes(good.encode(), random, most=2)
    rows = [line.split(",") for line in good.splitlines()]
    for _ in range(random.randint(1, 3)):
        cells = random.choice(rows)
        value = random.choice([*NASTY_TEXTS[:9], *map(str, NASTY_VALUES[4:17]), "1e400", "-inf", "1_0", '"'])
        cells[random.randrange(len(cells))] = value if cells is not rows[0] else cells[0]
    if kind == 3:
        random.shuffle(rows)
    return "\n".join(",".join(cells) for cells in rows).encode("utf-8", "surrogatepass")


@many(12, 200)
@pytest.mark.filterwarnings("ignore")
def test_reports_and_comparisons_with_changes(count: int, run: Run, tmp_path: Path) -> None:
    """Pages of text: whatever the files hold is no markup, and what scripts read stays JSON."""
    content = json.loads((run.path / "run.json").read_text())
    shutil.rmtree(run.path / "model")
    shutil.copytree(run.path, tmp_path / "other")

    def case(random: Random) -> None:
        (run.path / "run.json").write_bytes(mutated_json(content, random, most=3))
        for name, good in (("history.csv", HISTORY), ("batches.csv", BATCHES)):
            (run.path / name).write_bytes(changed_table(good, random))
        changed = Run.read(run.path)
        write_comparison([changed, Run.read(tmp_path / "other")], tmp_path / "compare.html")
        for page in (render_report(changed, Store(tmp_path)), (tmp_path / "compare.html").read_text()):
            assert "<script>alert" not in page and "<img src=x" not in page and "\x1b" not in page
            data = page.rpartition('id="data">')[2].partition("</script>")[0]
            json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    hammer("report", count, case)


@many(15, 200)
def test_evaluations_with_changes(count: int, run: Run) -> None:
    file = run.path / "evaluation" / "valid" / "metrics.json"

    def case(random: Random) -> None:
        file.write_bytes(mutated_json(EVALUATED, random, most=2))
        text = card_text(run.path / "model")
        assert "<script" not in text and "\x1b" not in text

    hammer("metrics.json", count, case)


@many(8, 150)
def test_commands_with_changed_runs(count: int, cli: Cli, run: Run) -> None:
    """`runs` lists what can be read; the others say what is wrong."""
    content = json.loads((run.path / "run.json").read_text())
    root = run.path.parent
    Path("settings.ini").write_text(f"[paths]\nruns = {root}\n")
    shutil.rmtree(run.path / "model")
    commands = (
        ("runs",),
        ("plot", "last"),
        ("evaluate", "last"),
        ("report", "last"),
        ("card", "last"),
        ("predict", "last", "x.png"),
    )
    before = sorted(path.name for path in Path().iterdir())

    def case(random: Random) -> None:
        (run.path / "run.json").write_bytes(mutated_json(content, random, most=1))
        (run.path / "history.csv").write_bytes(changed_table(HISTORY, random))
        command = (*random.choice(commands), "--settings", "settings.ini")
        assert_ended_well(cli(*command), command)

    hammer("run commands", count, case)
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.parametrize("name", ["run.json", "history.csv", "batches.csv"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "large", "link to nothing", "device"])
def test_files_that_are_no_files(name: str, kind: str, run: Run) -> None:
    file = run.path / name
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "large":
        file.touch()
        os.truncate(file, 1 << 40)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.symlink_to("nothing")
    if kind == "link to nothing" and name != "run.json":
        found = Run.read(run.path)
        assert (found.history if name == "history.csv" else found.batches) == []
        return
    with pytest.raises(VisionkitError, match=name.replace(".", r"\.")):
        looked_at(run.path)


@pytest.mark.parametrize("where", ["in the run", "beside", "linked"])
@pytest.mark.parametrize("command", ["evaluate", "plot", "report", "submit", "reproduce", "card"])
def test_a_recipe_that_came_with_a_run_is_not_executed(
    cli: Cli, pets: Path, tmp_path: Path, command: str, where: str
) -> None:
    folder = Path("unpacked") / "run"
    run = stored_run(folder, "single-label", pets)
    evil = folder / "recipe.py" if where != "beside" else Path("unpacked") / "recipe.py"
    evil.write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\nfrom recipes.pets import recipe\n")
    named = str(evil) if where == "beside" else str(evil.absolute())
    if where == "linked":
        Path("elsewhere.py").symlink_to(evil.absolute())
        named = str(Path("elsewhere.py").absolute())
    run.update(recipe_file=named)
    (folder / "history.csv").write_text(HISTORY)
    (folder / "batches.csv").write_text(BATCHES)
    run.update(stages=[{**stage, "name": "all"} for stage in run.info["stages"]])
    result = cli(command, folder)
    assert_ended_well(result, command)
    assert not (tmp_path / "executed").exists()
    if command in ("evaluate", "plot", "submit"):
        assert result.exit_code == 1 and "recipe_file" in result.output, result.output


def test_a_card_takes_the_licence_from_a_recipe_file_without_executing_it(tmp_path: Path) -> None:
    run = stored_run(tmp_path / "run", "single-label", tmp_path)
    recipe = tmp_path / "own.py"
    recipe.write_text(
        f"open({str(tmp_path / 'executed')!r}, 'w')\nrecipe = Recipe(name='own', licence='CC BY 4.0')\n"
    )
    run.update(recipe_file=str(recipe))
    model = run.path / "model" / "model.json"
    model.write_text(model.read_text().replace('"synthetic": true', '"synthetic": false'))
    assert "CC BY 4.0" in card_text(run.path / "model")
    assert not (tmp_path / "executed").exists()


def test_names_of_evaluations_lead_nowhere_else(run: Run, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({**EVALUATED, "figures": {"stolen": FIGURE}}))
    for name in ("../../..", str(tmp_path), "valid/../../../.."):
        run.update(evaluations={name: {}})
        assert "stolen" not in card_text(run.path / "model")


def test_names_that_a_terminal_would_obey(cli: Cli, run: Run) -> None:
    Path("settings.ini").write_text(f"[paths]\nruns = {run.path.parent}\n")
    evil = "\x1b]0;owned\x07\x1b[2J[bold]x[/bold]"
    stages = [{"number": 1, "size": 32, "epochs": 1, "name": evil, "lr": 0.1}]
    run.update(name=evil, recipe=evil, status=evil, headline=evil, stages=stages, metrics={evil: 0.5})
    run.update(settings={"arch": evil}, data={"path": f"/nowhere/{evil}"})
    shutil.rmtree(run.path / "model")
    for command in (("runs",), ("plot", evil), ("evaluate", evil), ("plot", run.path)):
        assert_ended_well(cli(*command, "--settings", "settings.ini"), command)
    listed = cli("runs", "--settings", "settings.ini").output
    assert "\\x1b]0;owned\\x07" in listed and "[bold]x[/bold]" in listed
