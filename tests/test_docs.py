"""The documentation is true: its commands, options, variables, links and paths exist, and its examples run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import imgcluster
from imgcluster.cli.app import app
from imgcluster.workspace.plans import identity_of

TOP = Path(__file__).parents[1]
GUIDE = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
PAGES = [
    *GUIDE,
    *(TOP / name for name in ("CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md", "training/README.md")),
]
# Variables that belong to no option.
OTHER_VARIABLES = {"IMGCLUSTER_ENCODERS", "IMGCLUSTER_DATA", "IMGCLUSTER_KEY", "IMGCLUSTER_COPIES"}
OTHER_VARIABLES |= {"IMGCLUSTER_TEST_DATA", "IMGCLUSTER_TEST_EVERY"}
BUILT_IN = {"--help", "--version", "--install-completion", "--show-completion"}


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced code blocks of a page in a language; "" for those without one."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield every `imgcluster …` command of the code blocks, with the page it is from."""
    for page in PAGES:
        for line in "".join(blocks(page, "")).splitlines():
            # A command may follow a pipe or variables.
            match = re.search(r"(?:^|[|&] )(?:[A-Z_]+=\S+ )*imgcluster (.+)$", line)
            if match:
                yield page.name, shlex.split(match[1], comments=True)


@cache
def commands() -> dict[str, Any]:
    """Return every command by its name, such as ``encoders list``."""
    group: Any = typer.main.get_command(app)
    found = {}
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {key}": entry for key, entry in inner.items()} if inner else {name: command}
    return found


def options() -> set[str]:
    return {flag for command in commands().values() for entry in command.params for flag in entry.opts} - BUILT_IN


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    ("page", "words"), list(command_lines()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_is_understood(page: str, words: list[str]) -> None:
    """Parsed by the real commands without running them: unknown commands, options and wrong types fail."""
    if words[0] in BUILT_IN:
        return
    size = 2 if words[0] == "encoders" else 1
    commands()[" ".join(words[:size])].make_context("imgcluster", words[size:])


def test_an_unknown_option_is_noticed() -> None:
    with pytest.raises(Exception, match="--tidy"):
        commands()["cluster"].make_context("imgcluster", ["--tidy"])


def test_every_command_and_option_is_documented_and_exists() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in GUIDE)
    for name in commands():
        assert f"imgcluster {name}" in text, name
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    known = {option for option in options() if option.startswith("--")}
    assert known - documented == set()
    # Options of other programs stand only in these commands.
    assert documented - known - BUILT_IN == set(), "documented, but no command has it"


def test_every_environment_variable_exists() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    known = {entry.envvar for command in commands().values() for entry in command.params} | OTHER_VARIABLES
    assert set(re.findall(r"\bIMGCLUSTER_[A-Z_]+\b", text)) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())
def test_benchmarks_and_source_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"-m (benchmarks\.\w+)", text):
        assert (TOP / f"{name.replace('.', '/')}.py").exists(), name
    folders = "imgcluster|training|tests|exported|benchmarks|docs|examples"
    for path in re.findall(rf"`((?:{folders})/[\w./-]*)`", text):
        assert (TOP / path).exists(), path


def test_the_layout_names_every_package() -> None:
    text = (TOP / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for package in (TOP / "imgcluster").glob("*/__init__.py"):
        assert f"`imgcluster/{package.parent.name}/`" in text
    rows = re.findall(r"^\| `(imgcluster/\w+/)` \|[^|]*\| (\w+(?:, \w+)+) \|$", text, flags=re.MULTILINE)
    for folder, modules in rows:
        for module in modules.split(", "):
            assert (TOP / folder / f"{module}.py").exists(), f"{folder}{module}"


def test_every_benchmark_is_listed() -> None:
    text = (TOP / "benchmarks/README.md").read_text(encoding="utf-8")
    scripts = [path.stem for path in (TOP / "benchmarks").glob("*.py") if "__main__" in path.read_text("utf-8")]
    assert [name for name in scripts if f"`{name}`" not in text] == []


def test_every_public_name_is_documented() -> None:
    text = (TOP / "docs/python-api.md").read_text(encoding="utf-8")
    for name in set(imgcluster.__all__) - {"__version__"}:
        assert re.search(rf"\b{name}\b", text), name
        assert getattr(imgcluster, name).__doc__, name


def test_every_command_is_a_public_function() -> None:
    names = {"report": "report_page", "import": "import_vectors", "compare": "compare_encoders"}
    commands = {command.name for command in app.registered_commands} - {"train-encoder"}
    assert {names.get(name, name) for name in commands if name is not None} <= set(imgcluster.__all__)


def test_the_readme_is_one_page() -> None:
    assert len((TOP / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `photos/` in it: 18 of the example photographs in two folders."""
    monkeypatch.chdir(tmp_path)
    for number, path in enumerate(sorted((TOP / "examples/photos").glob("*.jpg"))[:18]):
        target = tmp_path / "photos" / ("first", "second")[number % 2] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def write_plan(workspace: str) -> None:
    """Write a plan for the clustering of a workspace, as the page saves it."""
    results = imgcluster.load(workspace)
    assert results.labels is not None
    first = str(results.labels.min())
    plan = {"imgcluster_plan": 1, "clustering": identity_of(results.paths, results.labels), "names": {first: "first"}}
    Path("imgcluster-plan.json").write_text(json.dumps(plan), encoding="utf-8")


@pytest.mark.usefixtures("folder")
def test_a_session_runs() -> None:
    shown = [words for _, words in command_lines()]
    for line in (
        "run ./photos",
        "cluster --k 10",
        "evaluate --labels folders",
        "apply imgcluster-plan.json --dry-run",
        "apply imgcluster-plan.json",
        "undo --dry-run",
        "undo",
        "report",
        "encoders list",
        "encoders info photos",
        "doctor",
    ):
        assert line.split() in shown, line
        if line.startswith("apply"):
            write_plan("imgcluster-out")
        result = CliRunner().invoke(app, line.split())
        assert result.exit_code == 0, f"{line}: {result.output}"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", ["README.md", "docs/python-api.md"])
def test_python_examples_run(page: str) -> None:
    names: dict[str, Any] = {}
    for block in blocks(TOP / page, "python"):
        if "imgcluster-plan.json" in block:
            write_plan("out")
        exec(compile(block, page, "exec"), names)
