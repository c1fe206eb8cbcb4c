"""Reads recipes from TOML, and turns a wrong key or value into one line that names it and what is allowed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from imgcluster.errors import UsageError
from imgcluster_training.recipe.schema import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["DEFAULT_RECIPES", "load_recipe", "parse_recipe", "recipe_names", "recipes_folder", "with_changes"]

_PACKAGE: Final = Path(__file__).resolve().parents[1]
DEFAULT_RECIPES: Final = {
    "mnist": "mnist",
    "fashion-mnist": "fashion-mnist",
    "cifar10": "cifar10",
    "strokes": "strokes",
}
"""The default recipe of each data set; folders of images have `folder`."""

# About 40 MB; a line may have 3,000 numbers with a decimal point.
_MOST_BEGINNINGS: Final = 10_000_000

_TYPES: Final = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "tuple_type": "a list of tables",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def recipes_folder() -> Path:
    """Return the folder of the recipes that come with imgcluster.

    It lies inside the package in a wheel, and beside it in a source tree or an editable install.
    """
    inside = _PACKAGE / "recipes"
    return inside if inside.is_dir() else _PACKAGE.parent / "recipes"


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with imgcluster, sorted."""
    return sorted(path.stem for path in recipes_folder().glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """Return the recipe `name` of those that come with imgcluster, or the one in the TOML file at that path.

    Raises:
        UsageError: There is no such recipe, the file cannot be read, or a key or value in it is wrong.
    """
    path = Path(name) if name.endswith(".toml") else recipes_folder() / f"{name}.toml"
    if not name.endswith(".toml") and name not in recipe_names():
        raise UsageError(f"recipe {name!r} is unknown; choose one of {', '.join(recipe_names())}, or a FILE.toml")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the recipe {name} cannot be read: {error}") from None
    return parse_recipe(text, path.stem, source=name)


def parse_recipe(text: str, name: str, *, source: str | None = None) -> Recipe:
    """Return the recipe in `text` (TOML); errors call it `source`, or `name` without one.

    Raises:
        UsageError: The text is not TOML, or a key or value in it is wrong.
    """
    where = f"recipe {source or name}"
    # The parser keeps every beginning of a key with dots, so that a long one would take gigabytes.
    if sum(line.count(".") ** 2 for line in text.splitlines()) > _MOST_BEGINNINGS:
        raise UsageError(f"{where} is nested too deeply")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is not TOML: {error}") from None
    except ValueError:  # the only other one that it raises
        raise UsageError(f"{where} has a number with too many digits") from None
    except RecursionError:
        raise UsageError(f"{where} is nested too deeply") from None
    return _validate({"name": name, **table}, where)


def with_changes(recipe: Recipe, **changes: dict[str, Any]) -> Recipe:
    """Return `recipe` with some values replaced, by section: ``with_changes(r, training={"epochs": 3})``.

    Raises:
        UsageError: A value is not allowed.
    """
    sections = {section: {**dict(getattr(recipe, section)), **values} for section, values in changes.items()}
    return _validate({**dict(recipe), **sections}, f"recipe {recipe.name}")


def _validate(table: dict[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise UsageError(f"{where}: {_first_problem(error, table)}") from None


def _first_problem(error: ValidationError, table: dict[str, Any]) -> str:
    """Describe the first wrong key or value in one line."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key, kind, context = _key(first, table), first["type"], first.get("ctx", {})
    if kind == "value_error":
        return f"{key}: {context['error']}" if key else str(context["error"])
    if kind == "missing":
        return f"the key {key} is missing"
    if kind == "union_tag_not_found":
        return f"the key {key}.type is missing"
    if kind == "union_tag_invalid":
        return f"{key}.type = {context['tag']!r:.60} is unknown; choose one of {context['expected_tags']}"
    # A value of several possible types has one entry for each of them.
    allowed = [_allowed(problem) for problem in problems if _key(problem, table) == key]
    return f"{key} = {first['input']!r:.60} is not allowed; it must be {', or '.join(allowed)}"


def _allowed(problem: Any) -> str:
    return _TYPES.get(problem["type"]) or problem["msg"].removeprefix("Input should be ")


def _key(problem: Any, table: Any) -> str:
    """Return where a problem lies as ``model.encoder[0].filters``, without the names that pydantic gives to unions."""
    text, missing = "", problem["loc"][-1] if problem["type"] == "missing" else None
    for part in problem["loc"]:
        if isinstance(part, int):
            text, table = f"{text}[{part}]", table[part]
        elif isinstance(table, dict) and (part in table or part == missing):
            text, table = f"{text}.{part}", table.get(part)
    return text.removeprefix(".")
