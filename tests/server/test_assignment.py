"""What a child process is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.server.fleet import five_tiers
from tierway_server.config import VaultAnswer, default_path, load, parse
from tierway_server.workers.assignment import Assignment

FILES = sorted(default_path().parent.glob("*.yaml"))


def told(config: object) -> Assignment:
    document = config.model_dump(mode="json", exclude={"include"})  # type: ignore[attr-defined]
    assignment = Assignment(config=document, supervisor_pid=os.getpid(), socket="none", worker=3)
    return msgspec.json.decode(assignment.encode(), type=Assignment)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_configuration_arrives_as_it_was(path: Path) -> None:
    config = load(path, environ={})
    assert told(config).configuration() == config.model_copy(update={"include": ()})


def test_grants_arrive_as_they_were() -> None:
    document = {
        **five_tiers(),
        "limits": {"few": {"requests": 1.5, "period_s": 1}},
        "budgets": {"team": {"limit_usd": 0.000000000001, "hard": False}},
        "tenants": {"a": {"max_tier": 2, "models": ["nano"], "regions": ["eu"], "limits": ["few"], "budget": "team"}},
        "breaker": {"error_share": 0.5},
    }
    config = parse(document)
    assert told(config).configuration() == config


def test_what_vault_answered_arrives_and_is_not_shown() -> None:
    vault = {"vault:kv/a#key": VaultAnswer(secret="hunter2"), "vault:kv/b#key": VaultAnswer(complaint="Vault fails")}
    assignment = Assignment(config={}, supervisor_pid=1, socket="none", vault=vault)
    assert msgspec.json.decode(assignment.encode(), type=Assignment) == assignment
    assert "hunter2" not in repr(assignment)


def test_one_whose_supervisor_has_ended_does_not_begin() -> None:
    assignment = Assignment(config={}, supervisor_pid=1 << 22, socket="none").encode()
    script = "from tierway_server.workers.assignment import assigned; assigned(); print('began')"
    done = subprocess.run([sys.executable, "-c", script], input=assignment, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"supervisor" in done.stderr
