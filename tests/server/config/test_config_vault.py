"""Secrets in Vault: read from a server that speaks its API, and why one could not be."""

import logging
import socket
import sys
import traceback

import pytest

from tests.server.config.vault_server import TOKEN, running_vault
from tierway_server.config import ReferenceUnresolvedError, Secrets, parse, redacted, unavailable_reason, vault

KEY = "gsk-hunter2"


@pytest.fixture
def server():
    with running_vault() as server:
        server.secrets = {
            "secret/providers/groq": {"key": f" {KEY}\n", "empty": " ", "number": 7},
            "secret/gone": None,
            "kv/groq": {"key": KEY},
        }
        yield server


def resolved(reference, environ):
    return Secrets.read([reference], environ).resolve(reference)


def refused(reference, environ):
    """Why it could not be had; and that nobody tells what must not be told."""
    with pytest.raises(ReferenceUnresolvedError) as caught:
        resolved(reference, environ)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.mark.parametrize("path", ["secret/providers/groq", "kv/groq", "/kv/groq"])
def test_either_version_of_the_engine_is_read_by_the_same_path(path, server):
    assert resolved(f"vault:{path}#key", server.environ) == KEY


def test_a_vault_that_does_not_tell_its_mounts_is_read_as_it_stands(server):
    server.tells_mounts = False
    assert resolved("vault:kv/groq#key", server.environ) == KEY


def test_the_token_may_stand_in_a_file(server, tmp_path):
    (tmp_path / ".vault-token").write_text(TOKEN + "\n")
    (tmp_path / "other").write_text(TOKEN)
    for environ in ({"HOME": str(tmp_path)}, {"VAULT_TOKEN_FILE": f"{tmp_path}/other", "HOME": "/nowhere"}):
        environ["VAULT_ADDR"] = server.address
        assert resolved("vault:kv/groq#key", environ) == KEY


def test_without_an_address_or_a_token_nobody_is_asked(server, tmp_path):
    home = {"HOME": str(tmp_path)}
    assert refused("vault:kv/groq#key", home | {"VAULT_TOKEN": TOKEN}) == "VAULT_ADDR is not set"
    nobody = f"VAULT_TOKEN is not set, and {tmp_path}/.vault-token has none"
    assert refused("vault:kv/groq#key", home | {"VAULT_ADDR": server.address}) == nobody
    (tmp_path / ".vault-token").write_bytes(b"\xffhunter2")
    assert refused("vault:kv/groq#key", home | {"VAULT_ADDR": server.address}) == nobody
    assert server.asked == []


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("vault:secret/providers/groq#no", "Vault has no no in secret/providers/groq"),
        ("vault:secret/providers/groq#empty", "Vault has no empty in secret/providers/groq"),
        ("vault:secret/providers/groq#number", "Vault has no number in secret/providers/groq"),
        ("vault:secret/nothing#key", "Vault has no key in secret/nothing"),
        ("vault:secret/gone#key", "Vault has no key in secret/gone"),
        ("vault:kv/nothing#key", "Vault has no key in kv/nothing"),
    ],
)
def test_what_is_not_there_is_named(reference, complaint, server):
    assert refused(reference, server.environ) == complaint


def test_a_token_that_may_not_is_told_so(server):
    environ = server.environ | {"VAULT_TOKEN": "hvs.hunter22"}
    assert refused("vault:secret/providers/groq#key", environ) == "Vault refuses to read secret/providers/groq"


@pytest.mark.parametrize("status", [400, 429, 472, 500, 501, 502, 503])
def test_a_vault_that_fails_is_told_apart(status, server):
    server.status = status
    assert refused("vault:kv/groq#key", server.environ) == "Vault fails to read kv/groq"


@pytest.mark.parametrize(
    "answer", [b"<html>hunter2", b"[]", b"{}", b'"hunter2"', b'{"data": "hunter2"}', b'{"data": null}']
)
def test_an_answer_that_is_none_is_a_failure(answer, server):
    server.answer = answer
    assert refused("vault:kv/groq#key", server.environ) == "Vault fails to read kv/groq"


def test_a_vault_that_is_not_there_cannot_be_reached():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        environ = {"VAULT_ADDR": f"http://127.0.0.1:{held.getsockname()[1]}", "VAULT_TOKEN": TOKEN}
        assert refused("vault:kv/groq#key", environ) == "Vault cannot be reached"


def test_a_vault_that_stays_silent_is_waited_for_no_longer_than_stated(server, monkeypatch):
    server.stays_silent.set()
    monkeypatch.setattr(vault, "TIMEOUT_S", 0.05)
    assert refused("vault:kv/groq#key", server.environ) == "Vault cannot be reached"


def test_all_together_are_waited_for_no_longer_than_stated(server, monkeypatch):
    server.stays_silent.set()
    monkeypatch.setattr(vault, "TIMEOUT_S", 600.0)
    monkeypatch.setattr(vault, "ALL_S", 0.05)
    references = [f"vault:secret/{number}#key" for number in range(20)]
    secrets = Secrets.read(references, server.environ)
    server.may_end.set()
    assert {answer.complaint for answer in secrets.vault.values()} == {"Vault cannot be reached"}
    assert list(secrets.vault) == references


def test_those_that_fail_leave_the_others_alone(server):
    references = ["vault:secret/nothing#key", "vault:kv/groq#key", "vault:secret/gone#key"]
    secrets = Secrets.read(references, server.environ)
    assert secrets.resolve("vault:kv/groq#key") == KEY
    assert [answer.complaint for answer in secrets.vault.values()] == [
        "Vault has no key in secret/nothing",
        "",
        "Vault has no key in secret/gone",
    ]


def test_each_secret_is_read_once_however_many_need_it(server, small):
    server.secrets["kv/both"] = {"groq": KEY, "redis": "redis://127.0.0.1"}
    small["providers"]["groq"]["api_key"] = "vault:kv/both#groq"
    small["providers"]["unused"] = {"kind": "groq", "api_key": "vault:kv/unused#key"}
    small["models"][1]["deployments"].append({"name": "other", "provider": "groq", "model": "another"})
    small["shared_state"] = {"redis": "vault:kv/both#redis"}
    config = parse(small)
    secrets = Secrets.of(config, server.environ)
    reasons = [unavailable_reason(config, each, server.environ, secrets) for _, each in config.deployments[1:]]
    assert reasons == ["", ""]
    assert [secrets.resolve(f"vault:kv/both#{key}") for key in ("groq", "redis")] == [KEY, "redis://127.0.0.1"]
    assert server.asked == ["sys/internal/ui/mounts/kv/both", "kv/both"]


def test_what_was_read_is_passed_on_and_asks_nobody(server):
    reference = "vault:kv/groq#key"
    passed_on = Secrets({}, Secrets.read([reference], server.environ).vault)
    server.status = 503
    assert passed_on.resolve(reference) == KEY


def test_without_the_extra_the_reason_says_what_to_install(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "hvac", None)
    assert refused("vault:kv/groq#key", server.environ) == 'needs the package hvac: pip install "tierway[vault]"'


def test_a_provider_whose_key_vault_does_not_give_is_unavailable_with_the_reason(server, small):
    small["providers"]["groq"]["api_key"] = "vault:secret/nothing#key"
    config = parse(small)
    reason = unavailable_reason(config, config.deployments[1][1], server.environ, Secrets.of(config, server.environ))
    assert reason == "no credential: Vault has no key in secret/nothing"


def test_neither_the_key_nor_the_token_is_ever_logged_or_shown(server, small, caplog):
    small["providers"]["groq"]["api_key"] = "vault:secret/providers/groq#key"
    config = parse(small)
    with caplog.at_level(logging.DEBUG):
        secrets = Secrets.of(config, server.environ)
        assert unavailable_reason(config, config.deployments[1][1], server.environ, secrets) == ""
    assert len(server.asked) == 2
    assert caplog.records  # the HTTP client talks at this level
    assert "hunter2" not in caplog.text + repr(config) + repr(redacted(config)) + repr(secrets) + repr(secrets.vault)
