"""Hostile settings files: a message or settings, in bounds of time and memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hostile.children import run_cases
from hostile.image_cases import check_message
from hostile.watch import time_limit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visionkit.errors import UsageError, VisionkitError
from visionkit.registry import get_recipe
from visionkit.settings_file import SettingsFile, resolve

PETS = get_recipe("pets")


def read(file: Path, content: str | bytes) -> None:
    """All that a training reads of the file."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    found = SettingsFile.read(file)
    found.check([PETS])
    found.paths()
    resolve(PETS, {}, found)


def test_short_program() -> None:
    assert "100 cases of settings" in run_cases("settings", 0, 100)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.sampled_from(("size", "epochs", "bs", "lr", "group_by", "then", "arch", "skip")),
    value=st.text(max_size=60),
)
def test_any_value_is_taken_or_refused(key: str, value: str, tmp_path: Path) -> None:
    try:
        with time_limit():
            read(tmp_path / "s.ini", f"[training]\n{key} = {value}\n")
    except VisionkitError as error:
        check_message(error)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[training]\nsize = " + "9" * 5_000, "not allowed"),
        ("[" + "x" * 100_000 + "]\n", "unknown section"),
        ("[training]\n" + "x" * 100_000 + " = 1\n", "no such setting"),
        ("[training]\n" + "junk\n" * 10_000, "not a settings file"),
        ("x" * 2_000_000, "more than 1,000,000 characters"),
        ("[paths]\nruns = a\0b\n", "NUL"),
        ("[paths]\nruns = ~nobody-at-all/x\n", "home of nobody"),
        ("[cache]\nfolder = ~nobody-at-all/x\n", "home of nobody"),
        ("[training]\nskip = ~nobody-at-all/x\n", "home of nobody"),
        (b"[training]\nsize = \xff\xfe\n", "cannot be read"),
        ("[training]\nsize = 1\nsize = 2\n", "not a settings file"),
        ("size = 1\n", "not a settings file"),
    ],
)
def test_spoilt_files_are_refused_in_a_short_message(
    content: str | bytes, words: str, tmp_path: Path
) -> None:
    with time_limit(), pytest.raises(UsageError, match=words) as refused:
        read(tmp_path / "s.ini", content)
    check_message(refused.value)


def test_nothing_in_a_settings_file_is_carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hidden")
    monkeypatch.chdir(tmp_path)
    for value in ("%(SECRET)s", "${SECRET}", "$SECRET", "`id`", "$(id)", "{SECRET}"):
        (tmp_path / "settings.ini").write_text(f"[paths]\nruns = {value}\n")
        assert str(SettingsFile.read().paths().runs) == value


def test_what_is_no_file_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("settings.ini")
    with time_limit():
        assert SettingsFile.read() == SettingsFile()
        for place in ("/dev/zero", str(tmp_path), "gone.ini", "no\0name"):
            with pytest.raises(UsageError):
                SettingsFile.read(Path(place))
