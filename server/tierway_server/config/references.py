"""What a configuration points at outside itself: environment variables, folders of weights, credentials.

Texts are checked when the configuration is loaded and followed when the process starts: what is missing then makes a deployment
unavailable. The environment is always passed in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+|vault:[A-Za-z0-9_./-]+#[^\s#]+")
_KEY = re.compile(r"[\x21-\x7e]+")
_MAX_SECRET_BYTES = 64 * 1024


class ReferenceUnresolvedError(Exception):
    """What a reference points at is not there. Its text is one line for a person and holds no secret."""


def check_variables(text: str) -> str:
    """Return `text` if each ``${`` in it begins a whole ``${NAME}``; raise ValueError otherwise."""
    if "${" in _VARIABLE.sub("", text):
        raise ValueError('"${" must begin a variable, such as "${TIERWAY_MODELS}"')
    return text


def check_secret(reference: str) -> str:
    """Return `reference` if it is one; raise ValueError otherwise, without telling the text, which may be the secret itself."""
    if not _SECRET.fullmatch(reference):
        raise ValueError('must be a reference, "env:NAME", "file:PATH" or "vault:PATH#KEY", never the secret itself')
    if reference.startswith("file:"):
        check_variables(reference)
    return reference


def expand_path(text: str, environ: Mapping[str, str]) -> Path:
    """Return the path that `text` writes, with a leading ``~`` and every ``${NAME}`` replaced.

    Raises:
        ReferenceUnresolvedError: when a variable is unset or empty.
    """

    def value(name: str) -> str:
        if not environ.get(name):
            raise ReferenceUnresolvedError(f"{name} is not set")
        return environ[name]

    if text == "~" or text.startswith("~/"):
        text = "${HOME}" + text[1:]
    return Path(_VARIABLE.sub(lambda match: value(match[1]), text))


def resolve_weights(model: str, environ: Mapping[str, str]) -> Path:
    """Return the folder of weights that an engine's `model` names; not for `embedded`.

    Raises:
        ReferenceUnresolvedError: when a variable is unset, or the folder or its config.json is missing.
    """
    folder = expand_path(model, environ)
    try:
        if not folder.is_dir():
            raise ReferenceUnresolvedError(f"there is no folder {folder}")
        if not (folder / "config.json").is_file():
            raise ReferenceUnresolvedError(f"{folder} has no config.json")
    except (OSError, ValueError) as error:
        raise ReferenceUnresolvedError(f"{folder} cannot be read") from error
    return folder


def check_key(reference: str, key: str) -> str:
    """Return `key`, the secret behind a reference, if it can be said in a header field.

    Raises:
        ReferenceUnresolvedError: it is no key: two lines, or a character beyond visible ASCII.
    """
    if not _KEY.fullmatch(key):
        raise ReferenceUnresolvedError(f"{reference} holds no key: white space, or characters beyond ASCII, are in it")
    return key


def resolve_secret(reference: str, environ: Mapping[str, str]) -> str:
    """Return the secret behind ``env:NAME`` or ``file:PATH``, without surrounding white space. Those in Vault are `secrets.py`'s.

    Raises:
        ReferenceUnresolvedError: when the variable is unset or empty, or the file missing, unreadable, too large or empty.
    """
    kind, _, target = check_secret(reference).partition(":")
    if kind == "env":
        secret = environ.get(target, "").strip()
        if not secret:
            raise ReferenceUnresolvedError(f"{target} is not set")
        return secret
    path = expand_path(target, environ)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SECRET_BYTES + 1)
        secret = data.decode().strip()
    except FileNotFoundError as error:
        raise ReferenceUnresolvedError(f"there is no file {path}") from error
    except (OSError, ValueError):  # not from the error: one of a bad decoding holds the bytes
        raise ReferenceUnresolvedError(f"{path} cannot be read") from None
    if not secret or len(data) > _MAX_SECRET_BYTES:
        raise ReferenceUnresolvedError(f"{path} is {'too large' if secret else 'empty'}")
    return secret
