"""What `--json` prints, held against the schema: also a key that the schema does not know is wrong."""

from __future__ import annotations

import functools
import json
from typing import Any

import jsonschema

from docs.schema import schema


def document(command: str, text: str) -> dict[str, Any]:
    """The one document that `text` is, as `command` prints it."""
    shown: dict[str, Any] = json.loads(text)
    _validator(command).validate(shown)
    return shown


@functools.cache
def _validator(command: str) -> jsonschema.Draft202012Validator:
    whole = schema(strict=True)
    return jsonschema.Draft202012Validator(
        {"$defs": whole["$defs"], "$ref": f"#/$defs/{command.replace(' ', '-')}"}
    )
