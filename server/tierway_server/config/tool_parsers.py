"""The names of vLLM's tool parsers, known without importing vLLM, which takes seconds: from the text of its own table of them.

Which there are differs from one version of vLLM to the next, so the installed one is asked. tests/server/test_vllm_tools.py holds this to
what vLLM says itself.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

_TABLE = "_TOOL_PARSERS_TO_REGISTER"


def tool_parser_names() -> frozenset[str]:
    """The names that the installed vLLM has; empty where there is no vLLM, or none that keeps them in the place that is known."""
    try:
        package = find_spec("vllm")
        if package is None or package.origin is None:
            return frozenset()
        tree = ast.parse((Path(package.origin).parent / "tool_parsers" / "__init__.py").read_bytes())
    except (OSError, SyntaxError, ValueError):  # ValueError: of a module that somebody put in its place
        return frozenset()
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=keys)) if name == _TABLE:
                return frozenset(
                    key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
                )
    return frozenset()
