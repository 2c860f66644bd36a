"""Files that are whole or not there, whatever fails while they are written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visionkit.atomic import atomic_file, write_atomically

OLD = "what was there before"
LIMIT = 4096


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow past `LIMIT` bytes: as on a full disk, for any user."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, was)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(blocks=st.lists(st.binary(max_size=200), max_size=5))
def test_what_is_written_arrives(blocks: list[bytes], tmp_path: Path) -> None:
    with atomic_file(tmp_path / "file.bin") as file:
        for block in blocks:
            file.write(block)
    assert (tmp_path / "file.bin").read_bytes() == b"".join(blocks)
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("text", ["", "a\r\nb\n", "ünï ‮\u2028"])
def test_text_arrives_as_it_is(text: str, tmp_path: Path) -> None:
    write_atomically(tmp_path / "file.txt", text)
    assert (tmp_path / "file.txt").read_bytes() == text.encode()


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt(), OSError("of someone else")])
def test_failing_block_leaves_the_old_file(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text(OLD)

    def write() -> None:
        with atomic_file(path) as file:
            file.write(b"half of")
            raise error

    with pytest.raises(type(error)) as raised:
        write()
    assert raised.value is error
    assert path.read_text() == OLD and list(tmp_path.iterdir()) == [path]


def test_nothing_of_the_new_file_is_seen_before_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text(OLD)
    with atomic_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == OLD
    assert path.read_text() == "new"


@pytest.mark.parametrize("at_once", [True, False])
def test_full_disk_names_the_file(at_once: bool, tmp_path: Path, small_files: None) -> None:
    path = tmp_path / "file.txt"
    path.write_text(OLD)

    def write() -> None:
        with atomic_file(path) as file:
            for _ in range(1 if at_once else 3 * LIMIT):
                file.write(b"x" * (3 * LIMIT if at_once else 1))

    with pytest.raises(OSError, match="File too large") as raised:
        write()
    assert raised.value.errno == errno.EFBIG
    assert raised.value.filename == str(path)
    assert path.read_text() == OLD and list(tmp_path.iterdir()) == [path]


def test_missing_folder_names_the_file_and_not_its_part(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "file.txt"
    with pytest.raises(FileNotFoundError) as raised:
        write_atomically(path, "new")
    assert raised.value.filename == str(path) and raised.value.filename2 is None


def test_folder_in_its_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        write_atomically(path, "new")
    assert raised.value.filename == str(path)
    assert path.is_dir() and list(tmp_path.iterdir()) == [path]


def test_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised, atomic_file(tmp_path / "copy") as file:
        file.write((tmp_path / "source").read_bytes())
    assert raised.value.filename == str(tmp_path / "source")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "." + "𝔵" * 60])
def test_longest_names_have_room_for_a_part(name: str, tmp_path: Path) -> None:
    write_atomically(tmp_path / name, "new")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_link_in_the_parts_place_is_not_followed(tmp_path: Path) -> None:
    """Whoever may write to the folder could have put links where parts are expected."""
    program = (
        "import os, sys; from pathlib import Path; from visionkit.atomic import write_atomically\n"
        "folder = Path(sys.argv[1])\n"
        "for number in range(3):\n"
        "    (folder / f'.file.{os.getpid()}-{number}.part').symlink_to(folder / 'victim')\n"
        "write_atomically(folder / 'file', 'new')\n"
    )
    (tmp_path / "victim").write_text(OLD)
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert (tmp_path / "victim").read_text() == OLD
    assert (tmp_path / "file").read_text() == "new" and not (tmp_path / "file").is_symlink()


def test_threads_that_write_one_file_leave_one_of_theirs(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    texts = [letter * 100_000 for letter in "abcdefgh"]
    failed: list[BaseException] = []

    def write(text: str) -> None:
        try:
            for _ in range(5):
                write_atomically(path, text)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert path.read_text() in texts and list(tmp_path.iterdir()) == [path]


def test_kill_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text(OLD)
    program = (
        "import os, sys; from pathlib import Path; from visionkit.atomic import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half of'); file.flush(); os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)])
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == OLD
    others = [each.name for each in tmp_path.iterdir() if each != path]
    assert len(others) == 1 and others[0].startswith(".file.txt.") and others[0].endswith(".part")


def test_rename_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced before it is renamed, and the folder after that."""
    steps: list[str] = []
    sync, rename = os.fsync, Path.replace

    def fsync(number: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{number}") else "file")
        sync(number)

    def replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_atomically(tmp_path / "file.txt", "new")
    assert steps == ["file", "rename", "folder"]
