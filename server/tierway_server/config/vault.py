"""Secrets in HashiCorp Vault, or in OpenBao, which speaks the same: the KV engine, version 1 and 2.

`hvac` is imported here alone, and only when a reference begins with ``vault:``. Where Vault is and who asks stands in the environment, as
for Vault's own command: VAULT_ADDR, VAULT_TOKEN (or VAULT_TOKEN_FILE, or ``~/.vault-token``), VAULT_NAMESPACE, VAULT_CACERT. A secret is
read once, when the server starts, so the token needs to live no longer than that, and nothing renews it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import hvac

TIMEOUT_S = 5.0
"""How long Vault may be silent, in seconds, while it is connected to or while it answers."""

ALL_S = 10.0
"""How long it may take to read all secrets, in seconds."""

_AT_ONCE = 8
"""So many are read side by side."""

_MAX_TOKEN_BYTES = 64 * 1024


class VaultError(Exception):
    """A secret cannot be read. Its text is one line for a person and holds no secret."""


def read_vault(paths: Collection[str], environ: Mapping[str, str]) -> dict[str, Mapping[str, Any] | VaultError]:
    """Return the secret at each path, written as ``vault kv get`` takes it (``secret/providers/groq``), or why it cannot be had.

    Blocks, for up to `ALL_S` seconds.
    """
    reading = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="vault")
    secrets = {path: reading.submit(_read, path, environ) for path in paths}
    wait(secrets.values(), timeout=ALL_S)
    # Who is still waiting for an answer then waits alone, and not long: each of its waits is bounded.
    reading.shutdown(wait=False, cancel_futures=True)
    return {
        path: secret.result() if secret.done() and not secret.cancelled() else VaultError("Vault cannot be reached")
        for path, secret in secrets.items()
    }


def value_in(secret: Mapping[str, Any], key: str) -> str:
    """What stands in a secret under a key, without surrounding white space; nothing where there is no text."""
    value = secret.get(key)
    return value.strip() if isinstance(value, str) else ""


def _read(path: str, environ: Mapping[str, str]) -> Mapping[str, Any] | VaultError:
    """The secret at a path; without hvac, without a word in the environment where Vault is or who asks, and where Vault does not give
    it, why.
    """
    try:
        return _asked(path, environ)
    except VaultError as error:
        return error


def _asked(path: str, environ: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        # Here, not at the top: without Vault nothing of it is needed.
        import hvac
        import hvac.exceptions
        import requests
    except ModuleNotFoundError as missing:
        raise VaultError(f'needs the package {missing.name}: pip install "tierway[vault]"') from None
    client = hvac.Client(
        url=_set(environ, "VAULT_ADDR"),
        token=_token(environ),
        namespace=environ.get("VAULT_NAMESPACE") or None,
        verify=environ.get("VAULT_CACERT") or True,
        timeout=TIMEOUT_S,
    )
    # Nobody's own text is told, nor kept as the cause: it may quote the address with its password, the token, or the answer.
    try:
        # A copy, which fails here and not later where the answer is none.
        return dict(_secret(client, path.strip("/")))
    except (hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized):
        raise VaultError(f"Vault refuses to read {path}") from None
    except (hvac.exceptions.VaultError, AttributeError, TypeError, LookupError, ValueError):
        raise VaultError(f"Vault fails to read {path}") from None
    except (requests.RequestException, OSError):
        raise VaultError("Vault cannot be reached") from None
    finally:
        client.adapter.close()


def _secret(client: hvac.Client, path: str) -> Mapping[str, Any]:
    """What is stored at the path; nothing, where there is none."""
    mount, version = _mount(client, path)
    if version != "2":
        answer = client.read(path)
        return answer["data"] if answer is not None else {}
    answer = client.read(f"{mount}data/{path.removeprefix(mount)}")
    # A version that was deleted is there without data.
    return (answer["data"]["data"] or {}) if answer is not None else {}


def _mount(client: hvac.Client, path: str) -> tuple[str, str]:
    """Where the KV engine that holds the path is mounted, and its version: asked as Vault's own command asks."""
    import hvac.exceptions

    try:
        answer = client.read(f"sys/internal/ui/mounts/{path}")
    except hvac.exceptions.Forbidden:
        # A Vault, or a policy, that does not tell: then the path is taken as it stands.
        return "", "1"
    data = answer["data"] if answer is not None else {}
    return data.get("path", ""), (data.get("options") or {}).get("version", "1")


def _token(environ: Mapping[str, str]) -> str:
    if token := environ.get("VAULT_TOKEN", "").strip():
        return token
    named = environ.get("VAULT_TOKEN_FILE")
    path = Path(named) if named else Path(environ.get("HOME", "/")) / ".vault-token"
    try:
        with path.open("rb") as file:
            token = file.read(_MAX_TOKEN_BYTES).decode().strip()
    except (OSError, ValueError):  # not from the error: one of a bad decoding holds the bytes
        token = ""
    if not token:
        raise VaultError(f"VAULT_TOKEN is not set, and {path} has none")
    return token


def _set(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise VaultError(f"{name} is not set")
    return environ[name]
