"""`--gpus`: starting, stopping, losing a process, going on with another number of them, and two hosts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from conftest import Cli
from started import CLI, LIMIT, SMALL, call, environment, torchrun

from visionkit.runs import Run

TWO = ["--gpus", "2"]


def begun(words: list[str], folder: Path, until: str) -> tuple[subprocess.Popen[str], str]:
    """A program that has printed `until`, and what it has printed so far."""
    program = subprocess.Popen(
        words,
        cwd=folder,
        env=environment() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert program.stdout is not None
    said = ""
    for line in program.stdout:
        said += line
        if until in line:
            return program, said
    raise AssertionError(said)


def process_of(rank: int, launcher: int) -> int:
    """The number of the process with this rank that `launcher` has started."""
    for each in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher and f"\0RANK={rank}\0" in (each / "environ").read_text():
                return int(each.name)
        except OSError:
            continue
    raise AssertionError("no such process")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_is_killed_and_one_goes_on(rank: int, pets: Path, tmp_path: Path) -> None:
    words = [*CLI, "pets", "--data", str(pets), *SMALL, "--bs", "4", "--epochs", "40", *TWO, "--out", "run"]
    program, _ = begun(words, tmp_path, "epoch  2/40")
    os.kill(process_of(rank, program.pid), signal.SIGKILL)
    said, _ = program.communicate(timeout=LIMIT)
    assert program.returncode == 1
    assert f"process {rank + 1} of 2 was ended by SIGKILL" in said and "Traceback" not in said
    assert "What was trained is saved, at stage 1, epoch" in said, said
    assert Run.read(tmp_path / "run").status == ("failed" if rank else "interrupted")
    done = call([*CLI, "resume", "run", "--gpus", "1"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "going on   at stage 1, epoch" in done.stdout
    run = Run.read(tmp_path / "run")
    assert run.status == "done" and [int(row["epoch"]) for row in run.history] == list(range(1, 41))
    assert len(run.batches) == 40 * (run.info["data"]["train"] // 4), "no batch is lost or done twice"


@pytest.mark.slow
def test_ctrl_c_stops_all_and_three_go_on(pets: Path, tmp_path: Path) -> None:
    words = [*CLI, "pets", "--data", str(pets), *SMALL, "--bs", "6", "--epochs", "40", *TWO, "--out", "run"]
    program, _ = begun(words, tmp_path, "epoch  2/40")
    os.killpg(program.pid, signal.SIGINT)
    said, _ = program.communicate(timeout=LIMIT)
    assert program.returncode == 130, said
    assert "Traceback" not in said and said.count("saved      at stage 1") == 1
    assert Run.read(tmp_path / "run").status == "interrupted"
    done = call([*CLI, "resume", "run", "--gpus", "3"], tmp_path)
    assert done.returncode == 0, done.stderr
    run = Run.read(tmp_path / "run")
    assert run.status == "done" and len(run.history) == 40
    assert len(run.batches) == 40 * (run.info["data"]["train"] // 6)


def pets_that(meddle: str, folder: Path) -> str:
    """A file with the recipe for pets, in whose processes `meddle` is run first."""
    (folder / "mine.py").write_text(f"{dedent(meddle)}\nfrom visionkit.recipes.pets import recipe\n")
    return "mine.py"


SLOW_VALIDATION = """
    import time
    from fastai.learner import Learner
    usual = Learner.one_batch

    def one_batch(self, *given):
        if not self.training:
            print(f"validation batch {given[0] + 1} of {self.n_iter}", flush=True)
            time.sleep(1)
        usual(self, *given)

    Learner.one_batch = one_batch
"""


@pytest.mark.slow
def test_a_validation_is_not_waited_for(pets: Path, tmp_path: Path) -> None:
    """It may take longer than whoever stops a training waits."""
    mine = pets_that(SLOW_VALIDATION, tmp_path)
    words = [*CLI, mine, "--data", str(pets), *SMALL, "--bs", "4", "--epochs", "2", "--out", "run"]
    program, _ = begun([*words, "--valid-pct", "0.6", *TWO], tmp_path, "validation batch 1 of 4")
    os.kill(program.pid, signal.SIGTERM)
    said, _ = program.communicate(timeout=LIMIT)
    assert program.returncode == 128 + signal.SIGTERM, said
    assert "validation batch 4" not in said and "Traceback" not in said
    assert said.count("saved      at stage 1, epoch 1, before its validation") == 1, said
    assert Run.read(tmp_path / "run").status == "interrupted"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell a process that its parent is gone")
def test_nobody_trains_on_where_the_launcher_is_killed(pets: Path, tmp_path: Path) -> None:
    words = [*CLI, "pets", "--data", str(pets), *SMALL, "--bs", "4", "--epochs", "400", *TWO, "--out", "run"]
    program, _ = begun(words, tmp_path, "epoch  1/400")
    os.kill(program.pid, signal.SIGKILL)
    said, _ = program.communicate(timeout=60)  # until the others have closed their output too
    assert said.count("saved      at stage 1, epoch") == 1 and "Error" not in said, said
    assert Run.read(tmp_path / "run").status == "interrupted"


KILLED_AS_IT_DECODES = """
    import os, signal
    from visionkit.data.dataset import Dataset

    def fill_cache(self, sizes):
        os.kill(os.getpid(), signal.SIGKILL)

    Dataset.fill_cache = fill_cache
"""


@pytest.mark.slow
def test_a_process_is_killed_before_the_training(pets: Path, tmp_path: Path) -> None:
    words = [*CLI, pets_that(KILLED_AS_IT_DECODES, tmp_path), "--data", str(pets), *SMALL, "--bs", "4", *TWO]
    done = call([*words, "--out", "run"], tmp_path)
    assert done.returncode == 1 and "unexpected" not in done.stderr, done.stderr
    assert "process 1 of 2 was ended by SIGKILL" in done.stderr and "resume last" not in done.stderr
    assert not (tmp_path / "run").exists()


LOOKING_AT_OTHER_TIMES = """
    import os
    from visionkit.training import recording
    recording.TELL_EVERY = 0.0 if os.environ.get("RANK") == "0" else 1000.0
"""


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_told_once(pets: Path, tmp_path: Path) -> None:
    mine = pets_that(LOOKING_AT_OTHER_TIMES, tmp_path)
    words = [*CLI, mine, "--data", str(pets), *SMALL, "--bs", "4", "--epochs", "2", "--lr", "1e30", *TWO]
    done = call([*words, "--out", "run"], tmp_path)
    assert done.returncode == 1 and done.stderr.count("Error:") == 1, done.stderr
    assert "the loss is " in done.stderr and "visionkit resume run --on-nan skip" in done.stderr
    assert Run.read(tmp_path / "run").info["error"].startswith("LossIsNaN")


@pytest.mark.slow
def test_what_one_has_to_say_is_said_once(pets: Path, tmp_path: Path) -> None:
    (pets / "images" / "Abyssinian_1.jpg").write_bytes(b"no image")
    done = call([*CLI, "pets", "--data", str(pets), *SMALL, "--bs", "4", *TWO], tmp_path)
    assert done.returncode == 1 and not (tmp_path / "runs").exists()
    assert done.stderr.count("Abyssinian_1.jpg") == 1 and "Traceback" not in done.stderr


def test_what_cannot_be_is_refused(cli: Cli, pets: Path) -> None:
    for words, said in (
        (["--gpus", "2"], "no GPUs found here"),
        (["--gpus", "2", "--device", "cuda:1"], "that is one device"),
        (["--gpus", "2", "--device", "cpu", "--bs", "auto"], "give --bs a number"),
        (["--gpus", "0"], "--gpus"),
    ):
        done = cli("pets", "--data", pets, *words)
        assert done.exit_code == 2 and said in str(done.exception or "") + done.output, done.output
    assert not Path("runs").exists()


def test_python_says_how_several_are_started(pets: Path, tmp_path: Path) -> None:
    from visionkit.recipes import pets as recipe

    from visionkit.errors import UsageError

    with pytest.raises(UsageError, match="started by the command line"):
        recipe.train(pets, gpus=2, device="cpu", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


IN_PYTHON = """
    import os, sys, time
    from pathlib import Path
    from visionkit.errors import VisionkitError
    from visionkit.recipes import pets
    from visionkit.training import train

    rank, report = os.environ["RANK"], train.report_run

    def slow(run, *given):
        time.sleep(2)
        if run.name == "bad":
            raise VisionkitError("no report")
        report(run, *given)
        Path("reported").touch()

    train.report_run = slow
    options = dict(size=32, bs=4, epochs=(1,), freeze_epochs=(0,), arch="squeezenet1_1", device="cpu")
    options |= dict(pretrained=False, precision="fp32", html=False)
    try:
        run = pets.train(sys.argv[1], out=sys.argv[2], **options)
        assert Path("reported").exists() and run.status == "done" and run.metrics, run.info
        told = str(run.path)
    except VisionkitError as error:
        told = f"{type(error).__name__}: {error}"
    Path(f"told{rank}").write_text(told)
"""


@pytest.mark.slow
@pytest.mark.parametrize("out", ["good", "bad"])
def test_in_python_all_have_the_run_once_it_is_done(out: str, pets: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(dedent(IN_PYTHON))
    done = call([*torchrun(2), "script.py", str(pets), out], tmp_path)
    assert done.returncode == 0, done.stderr
    told = [(tmp_path / f"told{rank}").read_text() for rank in range(2)]
    if out == "good":
        assert told == ["good", "good"]
    else:
        assert told[0] == "VisionkitError: no report" and told[1].startswith("EndedElsewhere: ")


@pytest.fixture
def hosts() -> Iterator[list[list[str]]]:
    """Two network namespaces with a cable between them: the words that run a program in each."""
    names = [f"vk{os.getpid()}{letter}" for letter in "ab"]

    def ip(*words: str) -> int:
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode

    if not shutil.which("ip") or ip("netns", "add", names[0]):
        pytest.skip("network namespaces cannot be made here")
    try:
        ip("netns", "add", names[1])
        ip(
            "link",
            "add",
            "cable",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            names[1],
        )
        for number, name in enumerate(names, 1):
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "cable")
            for device in ("lo", "cable"):
                assert ip("-n", name, "link", "set", device, "up") == 0
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            ip("netns", "delete", name)


@pytest.mark.slow
def test_two_hosts(hosts: list[list[str]], pets: Path, tmp_path: Path) -> None:
    train = [
        "-m",
        "visionkit",
        "pets",
        "--data",
        str(pets),
        *SMALL,
        "--bs",
        "8",
        "--epochs",
        "1",
        "--out",
        "run",
    ]
    programs = []
    for number, host in enumerate(hosts):
        home = tmp_path / f"home{number}"
        home.mkdir()
        own = {"HOME": str(home), "GLOO_SOCKET_IFNAME": "cable"}
        place = ["--nnodes", "2", "--node-rank", str(number), "--nproc-per-node", "2"]
        meeting = ["--master-addr", "10.77.0.1", "--master-port", "29411"]
        words = [*host, sys.executable, "-m", "torch.distributed.run", *place, *meeting, *train]
        programs.append(
            subprocess.Popen(
                words,
                cwd=tmp_path,
                env=environment() | own,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    said = [program.communicate(timeout=LIMIT)[0] for program in programs]
    assert [program.returncode for program in programs] == [0, 0], said
    assert said[0].count("done       accuracy") == 1 and "done" not in said[1], "the first process tells"
    run = Run.read(tmp_path / "run")
    assert run.status == "done" and run.info["processes"] == 4
    homes = [tmp_path / f"home{number}" / ".visionkit" / "cache" for number in range(2)]
    caches = [[each for each in home.iterdir() if each.is_dir()] for home in homes]
    assert len(caches[0]) == len(caches[1]) == 2, "each host has decoded training and validation images once"
