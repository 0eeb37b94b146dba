"""Secrets in HashiCorp Vault, or in OpenBao, which speaks the same: the KV engine, version 1 and 2.

`hvac` is imported here alone, and only when a reference begins with ``vault:``. Where Vault is and who asks stands in the environment, as
for Vault's own command: VAULT_ADDR, VAULT_TOKEN (or VAULT_TOKEN_FILE, or ``~/.vault-token``), VAULT_NAMESPACE, VAULT_CACERT. A secret is
read once, when the process starts, so the token needs to live no longer than that, and nothing renews it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import hvac

TIMEOUT_S = 5.0
"""How long Vault may be silent, in seconds, while it is connected to or while it answers."""

_MAX_TOKEN_BYTES = 64 * 1024


class VaultError(Exception):
    """A secret cannot be read. Its text is one line for a person and holds no secret."""


def read_vault(path: str, key: str, environ: Mapping[str, str]) -> str:
    """Return the value of `key` in the secret at `path`, written as ``vault kv get`` takes it: ``secret/providers/groq``.

    Raises:
        VaultError: hvac is not installed, the environment does not say where Vault is or who asks, or Vault does not give it.

    """
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
        value = _secret(client, path.strip("/")).get(key)
    except (hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized):
        raise VaultError(f"Vault refuses to read {path}") from None
    except (hvac.exceptions.VaultError, AttributeError, TypeError, LookupError, ValueError):
        raise VaultError(f"Vault fails to read {path}") from None
    except (requests.RequestException, OSError):
        raise VaultError("Vault cannot be reached") from None
    finally:
        client.adapter.close()
    if not isinstance(value, str) or not value.strip():
        raise VaultError(f"Vault has no {key} in {path}")
    return value.strip()


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
