"""Where `apply` looks for a plan, and what it proposes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgcluster import UsageError
from imgcluster.commands.support.plan_location import find_plan


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    (tmp_path / "Downloads").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: Path, seconds: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}", encoding="utf-8")
    os.utime(file, (seconds, seconds))
    return file


def test_the_home_folder_is_expanded(home: Path) -> None:
    plan = write(home / "Downloads" / "a.json", 1)
    assert find_plan("~/Downloads/a.json") == plan


def test_a_file_in_the_folder_of_that_name_comes_first(home: Path) -> None:
    write(home / "~" / "a.json", 1)
    write(home / "a.json", 1)
    assert find_plan("~/a.json") == Path("~/a.json")


def test_a_plan_of_that_name_among_the_downloads_is_proposed(home: Path) -> None:
    wanted = write(home / "Downloads" / "mine.json", 1)
    write(home / "Downloads" / "imgcluster-plan-1.json", 2)
    with pytest.raises(UsageError) as error:
        find_plan("mine.json")
    assert str(wanted) in str(error.value)


def test_otherwise_the_newest_plan_is_proposed(home: Path) -> None:
    write(home / "Downloads" / "imgcluster-plan-1.json", 1)
    newest = write(home / "Downloads" / "imgcluster-plan (1).json", 3)
    write(home / "Downloads" / "imgcluster-plan-2.json", 2)
    with pytest.raises(UsageError) as error:
        find_plan("imgcluster-plan.json")
    assert str(newest) in str(error.value)


def test_the_download_folder_of_the_desktop(home: Path) -> None:
    wanted = write(home / "Téléchargements" / "imgcluster-plan-1.json", 1)
    names = 'XDG_DESKTOP_DIR="$HOME/Bureau"\nXDG_DOWNLOAD_DIR="$HOME/Téléchargements"\n'
    (home / ".config").mkdir()
    (home / ".config" / "user-dirs.dirs").write_text(names, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        find_plan("imgcluster-plan.json")
    assert str(wanted) in str(error.value)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("plan", ["missing.json", "~/missing.json", "Downloads"])
def test_without_any_plan_the_page_is_named(plan: str) -> None:
    with pytest.raises(UsageError) as error:
        find_plan(plan)
    assert plan in str(error.value)
    assert "report.html" in str(error.value)
