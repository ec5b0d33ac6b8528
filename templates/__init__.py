"""Every piece of text written to a server or handed to the admin, as Jinja2 templates."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


_ESCAPED = ("html.j2", "xml.j2")
"""Endings of the templates in which every value is escaped; the others are plain text."""


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader("templates", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=select_autoescape(_ESCAPED, default=False),
    )


def render(template: str, **values: object) -> str:
    """The text of `template` (a file name in this folder) with `values`.

    Raises jinja2.UndefinedError when the template asks for a value that was not given."""
    return _environment().get_template(template).render(values)


def html_page(markdown: str) -> str:
    """A report in Markdown, which begins with its title, as a page of HTML.

    Reports hold text from outside: HTML, links, images and entities in it are shown as they are written."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.disable(
        ["html_block", "html_inline", "link", "image", "autolink", "reference", "entity", "escape"]
    )
    title = markdown.partition("\n")[0].removeprefix("# ")
    return render("page.html.j2", title=title, body=reader.render(markdown))
