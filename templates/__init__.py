"""Every piece of text written to a server or handed to the admin, as Jinja2 templates."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("templates", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # nothing here is HTML
    )


def render(template: str, **values: object) -> str:
    """The text of `template` (a file name in this folder) with `values`.

    Raises jinja2.UndefinedError when the template asks for a value that was not given."""
    return _environment().get_template(template).render(values)
