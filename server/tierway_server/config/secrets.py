"""The secrets of one server: what stands in Vault is read once, when the server starts; the rest where it is needed.

Each secret of Vault's is read once however many deployments need it, all of them side by side, and all together in bounded time. The
processes of one server are told what the first of them read: the token is needed only then, and who starts again later has the same keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tierway_server.config.model import Config
from tierway_server.config.references import ReferenceUnresolvedError, check_key, resolve_secret
from tierway_server.config.vault import VaultError, read_vault, value_in

_VAULT = "vault:"


@dataclass(frozen=True, slots=True)
class VaultAnswer:
    """What Vault gave for a reference."""

    secret: str = field(default="", repr=False)
    complaint: str = ""
    """Why it gave none, in one line for a person; empty: it did."""


class Secrets:
    """Resolves references. May be used from any thread."""

    def __init__(self, environ: Mapping[str, str], vault: Mapping[str, VaultAnswer]) -> None:
        """Take over what Vault was asked before.

        Args:
            environ: the environment.
            vault: its answers, by reference.

        """
        self._environ = environ
        self.vault = vault
        """What Vault answered, by reference: for the other processes of the server."""

    @classmethod
    def read(cls, references: Iterable[str], environ: Mapping[str, str]) -> Secrets:
        """Ask Vault for those of the references that are its own. Blocks, for up to `vault.ALL_S` seconds."""
        targets = {
            reference: reference.removeprefix(_VAULT).partition("#")
            for reference in references
            if reference.startswith(_VAULT)
        }
        found = read_vault({path for path, _, _ in targets.values()}, environ) if targets else {}
        vault = {}
        for reference, (path, _, key) in targets.items():
            secret = found[path]
            if isinstance(secret, VaultError):
                vault[reference] = VaultAnswer(complaint=str(secret))
            elif value := value_in(secret, key):
                vault[reference] = VaultAnswer(secret=value)
            else:
                vault[reference] = VaultAnswer(complaint=f"Vault has no {key} in {path}")
        return cls(environ, vault)

    @classmethod
    def of(cls, config: Config, environ: Mapping[str, str]) -> Secrets:
        """Read what the deployments of a configuration and its shared state need; see `read`."""
        names = {deployment.provider for _, deployment in config.deployments if deployment.provider is not None}
        references = [key for name in names if (key := config.providers[name].api_key) is not None]
        if config.shared_state is not None:
            references.append(config.shared_state.redis)
        return cls.read(references, environ)

    def key(self, reference: str) -> str:
        """The key of a provider: a secret that can be said in a header field.

        Raises:
            ReferenceUnresolvedError: as `resolve`, or it is none.

        """
        return check_key(reference, self.resolve(reference))

    def resolve(self, reference: str) -> str:
        """The secret behind ``env:NAME``, ``file:PATH`` or ``vault:PATH#KEY``, without surrounding white space.

        Raises:
            ReferenceUnresolvedError: the variable is unset or empty; the file is missing, unreadable, too large or empty; Vault did not
                give it.

        """
        if not reference.startswith(_VAULT):
            return resolve_secret(reference, self._environ)
        answer = self.vault[reference]
        if answer.complaint:
            raise ReferenceUnresolvedError(answer.complaint)
        return answer.secret
