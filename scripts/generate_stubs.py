"""Generates the Python stubs of protos/ into clients/python/, or with ``--check`` says where the committed ones differ.

Run by the generator's own environment (requirements/gen.lock): see `make gen`, `make gen-check`.
"""

from __future__ import annotations

import filecmp
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

_ROOT = Path(__file__).resolve().parent.parent
_PROTOS = _ROOT / "protos"
_STUBS = _ROOT / "clients" / "python"
_GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def generate(target: Path) -> None:
    """Write the stubs of every proto below `target`.

    Raises:
        SystemExit: protoc refused a proto, and has said why.

    """
    protos = sorted(_PROTOS.rglob("*.proto"))
    # A proto without services would get a *_pb2_grpc.py with nothing in it.
    services = [proto for proto in protos if re.search(r"^service\s", proto.read_text(encoding="utf-8"), re.MULTILINE)]
    _protoc(protos, f"--python_out={target}", f"--pyi_out={target}")
    _protoc(services, f"--grpc_python_out={target}")


def differences(generated: Path) -> list[Path]:
    """Stubs that are missing, left over or different, as paths below clients/python."""
    wanted, committed = _stubs(generated), _stubs(_STUBS)
    changed = {path for path in wanted & committed if not filecmp.cmp(generated / path, _STUBS / path, shallow=False)}
    return sorted((wanted ^ committed) | changed)


def _protoc(protos: Sequence[Path], *outputs: str) -> None:
    includes = [f"-I{_PROTOS}", f"-I{files('grpc_tools') / '_proto'}"]
    if protoc.main(["protoc", *includes, *outputs, *(str(proto) for proto in protos)]) != 0:
        sys.exit(1)


def _stubs(root: Path) -> set[Path]:
    package = root / "tierway"
    return {path.relative_to(root) for pattern in _GENERATED for path in package.rglob(pattern)}


def main(arguments: Sequence[str]) -> int:
    """Generate or check; the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        generated = Path(folder)
        generate(generated)
        different = differences(generated)
        if "--check" in arguments:
            for path in different:
                print(
                    f"tierway: {_STUBS.relative_to(_ROOT) / path} is not what protos/ gives; run `make gen`",
                    file=sys.stderr,
                )
            return bool(different)
        for path in different:
            if (generated / path).exists():
                (_STUBS / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(generated / path, _STUBS / path)
            else:
                (_STUBS / path).unlink()
            print(f"tierway: {_STUBS.relative_to(_ROOT) / path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
