"""The JSON Schema of what `--json` prints, made from wizard.model.documents; docs.generate writes it."""

from __future__ import annotations

import inspect
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from wizard.model import documents

_PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}


def schema(*, strict: bool = False) -> dict[str, Any]:
    """The schema; in its definitions each command has its own. `strict`: keys that it does not know are wrong."""
    definitions: dict[str, Any] = {}
    error = _document(documents.ErrorDocument, definitions, strict)
    commands = {
        name: {
            "anyOf": [*(_document(kind, definitions, strict) for kind in kinds), {"$ref": "#/$defs/error"}]
        }
        for name, kinds in documents.DOCUMENTS.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What each command of msa-wizard prints with --json",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in commands],
        "$defs": {"error": error, **commands, **dict(sorted(definitions.items()))},
    }


def _document(kind: type, definitions: dict[str, Any], strict: bool) -> dict[str, Any]:
    content = _object(kind, definitions, strict)
    return {
        **content,
        "properties": {"schema": {"const": 1}, **content["properties"]},
        "required": ["schema", *content["required"]],
    }


def _object(kind: type, definitions: dict[str, Any], strict: bool) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    required = [name for name, hint in hints.items() if get_origin(hint) is not NotRequired]
    properties = {
        name: _schema(get_args(hint)[0] if name not in required else hint, definitions, strict)
        for name, hint in hints.items()
    }
    return {
        "description": inspect.cleandoc(kind.__doc__ or "").replace("\n", " "),
        "type": "object",
        "properties": properties,
        "required": required,
        **({"additionalProperties": False} if strict else {}),
    }


def _schema(hint: Any, definitions: dict[str, Any], strict: bool) -> dict[str, Any]:
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if is_typeddict(hint):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _object(hint, definitions, strict)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"const": inner[0]} if len(inner) == 1 else {"enum": list(inner)}
    if origin in (Union, UnionType):
        return {"anyOf": [_schema(each, definitions, strict) for each in inner]}
    if origin is list:
        return {"type": "array", "items": _schema(inner[0], definitions, strict)}
    assert origin is dict, hint
    return {"type": "object", "additionalProperties": _schema(inner[1], definitions, strict)}
