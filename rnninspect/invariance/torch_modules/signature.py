"""What a torch module or function takes."""

from __future__ import annotations

import inspect
from typing import Any


def signature_of(called: Any) -> inspect.Signature:
    """The arguments of a function or method; of a traced or scripted one by its schema."""
    schema = getattr(called, "schema", None)
    return inspect.signature(called) if schema is None else _of_schema(schema)


def _of_schema(schema: Any) -> inspect.Signature:
    """The arguments of a scripted method, but itself."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return inspect.Signature(
        [
            inspect.Parameter(
                one.name,
                kinds[one.kwarg_only],
                default=one.default_value if one.has_default_value() else inspect._empty,
            )
            for one in schema.arguments[1:]
        ]
    )
