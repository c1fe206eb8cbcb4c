"""Writing the page: one HTML file with its styles and pictures inside, which asks the network for nothing."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from imgcluster.report.content import Page

__all__ = ["render"]

# Nothing may be fetched or run, whatever a file's name or a mistake of ours puts into the page.
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def render(page: Page) -> str:
    """Return the page as HTML; every value is escaped on its way in."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = lambda count: f"{count:,}"
    environment.filters["percent"] = lambda share: f"{share:.1%}"
    template = environment.from_string(_text("page.html"))
    return template.render(page=page, style=_text("page.css"), policy=_POLICY)


def _text(name: str) -> str:
    return (files("imgcluster.report") / name).read_text(encoding="utf-8")
