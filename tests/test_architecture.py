"""Who imports whom: one direction, and nothing heavy before it is needed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

TOP = Path(__file__).parents[1]
MODULES = {
    path.relative_to(TOP).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for path in sorted((TOP / "imgcluster").rglob("*.py"))
}
HEAVY = ("evoc", "hdbscan", "matplotlib", "numba", "onnx", "onnxruntime", "pyarrow", "scipy", "sklearn", "torch")
HEAVY += ("imgcluster_training", "pydantic", "umap")
# What the command line may import at once: it takes no time.
LIGHT = (
    "imgcluster.cli",
    "imgcluster.errors",
    "imgcluster.fileio.path_text",
    "imgcluster.option_fields",
    "imgcluster.options",
    "imgcluster.progress",
    "imgcluster.wording",
    "imgcluster._version",
)


def imported(body: list[ast.stmt], *, at_once: bool) -> Iterator[str]:
    """Yield the modules that statements import: all of them, or only those that importing the module itself brings."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and at_once:
            continue
        elif isinstance(node, ast.If) and at_once and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imported(node.orelse, at_once=at_once)
        else:
            inside = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.ExceptHandler)]
            yield from imported(inside, at_once=at_once)  # type: ignore[arg-type]


@cache
def parsed(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports(module: str, *, at_once: bool = False) -> set[str]:
    return set(imported(parsed(module).body, at_once=at_once))


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_imports_are_told_apart() -> None:
    program = (
        "import a\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import b\nelse:\n    import c\n"
        "try:\n    from d import e\nexcept ImportError:\n    import f\n"
        "class C:\n    import g\n    def method(self):\n        import h\n"
    )
    body = ast.parse(program).body
    assert set(imported(body, at_once=False)) == {*"abcfgh", "typing.TYPE_CHECKING", "d.e"}
    assert set(imported(body, at_once=True)) == {*"acfg", "typing.TYPE_CHECKING", "d.e"}


def found(wrong: Callable[[str, str], bool], *, at_once: bool = False) -> list[str]:
    """Return the imports of all modules for which `wrong`, asked with both names, says that they are."""
    pairs = [(module, name) for module in MODULES for name in imports(module, at_once=at_once)]
    return [f"{module}: {name}" for module, name in pairs if wrong(module, name)]


STAGES = (
    "images",
    "encoders",
    "features",
    "copies",
    "clustering",
    "evaluation",
    "placement",
    "report",
    "workspace",
)
BASE = (
    "fileio",
    "types",
    "errors",
    "progress",
    "options",
    "option_fields",
    "optional",
    "machine",
    "wording",
    "_version",
)
# Later stages of an image's way that build on normalized features.
ALLOWED = {("clustering", "features"), ("report", "features"), ("evaluation", "features")}


def part(name: str) -> str:
    """Return the package or top-level module of imgcluster that a name belongs to; "" for the package itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "imgcluster" else ""


def test_every_package_has_its_place_in_the_order() -> None:
    assert {part(module) for module in MODULES} - {""} <= {*STAGES, *BASE, "cli", "commands", "__main__"}


def test_only_the_command_line_knows_terminals_and_training() -> None:
    assert not found(
        lambda module, name: (
            within(name, "typer", "rich", "imgcluster_training") and not within(module, "imgcluster.cli")
        )
    )


def test_imports_lead_from_the_command_line_to_the_commands_to_the_stages() -> None:
    above = ("imgcluster.cli", "imgcluster.__main__")
    assert not found(lambda module, name: within(name, *above) and not within(module, *above))
    above += ("imgcluster.commands",)
    # The package itself only exports the Python API.
    assert not found(
        lambda module, name: within(name, *above) and not within(module, *above) and module != "imgcluster"
    )


def test_what_commands_share_imports_no_command() -> None:
    support = "imgcluster.commands.support"
    assert not found(
        lambda module, name: (
            within(module, support) and within(name, "imgcluster.commands") and not within(name, support)
        )
    )


def test_stages_do_not_import_each_other() -> None:
    def wrong(module: str, name: str) -> bool:
        importer, imported_part = part(module), part(name)
        crosses = importer in STAGES and imported_part in STAGES and importer != imported_part
        types = f"imgcluster.{imported_part}.types"
        return crosses and (importer, imported_part) not in ALLOWED and not within(name, types)

    assert not found(wrong)


def test_the_types_of_a_stage_import_the_base_only() -> None:
    assert not found(lambda module, name: part(module) in STAGES and module.endswith(".types") and part(name) in STAGES)


def test_the_base_imports_no_stage() -> None:
    assert not found(lambda module, name: part(module) in BASE and part(name) in STAGES)


def test_there_are_no_import_cycles() -> None:
    graph = {
        module: {other for name in imports(module) for other in (name, name.rpartition(".")[0]) if other in MODULES}
        - {module}
        for module in MODULES
        if module != "imgcluster"
    }
    finished: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in finished:
            for other in sorted(graph.get(module, ())):
                visit(other, [*path, module])
            finished.add(module)

    for module in graph:
        visit(module, [])


def test_functions_are_short() -> None:
    """A function of more than 80 lines says in its docstring why it is not divided."""
    long = []
    for module in MODULES:
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > 80 and "one function because" not in (ast.get_docstring(node) or ""):
                    long.append(f"{module}.{node.name}: {lines} lines")
    assert not long


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    assert not found(lambda module, name: within(name, *HEAVY), at_once=True)
    assert not found(
        lambda module, name: (
            within(module, "imgcluster.cli") and within(name, "imgcluster", "numpy", "PIL") and not within(name, *LIGHT)
        ),
        at_once=True,
    )
