"""`serve` and `config`: what they hand to the server, and how they show what is wrong."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tierway_server.config import ConfigError, Problem, default_path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path | None, dict[str, str]]]:
    """What `tierway_server.app.serve` was called with; it says 7, or raises what is put into `started`."""
    calls: list[tuple[Path | None, dict[str, str]]] = []
    app = ModuleType("tierway_server.app")

    def serve(config_path: Path | None, overrides: dict[str, str]) -> int:
        calls.append((config_path, overrides))
        return 7

    app.serve = serve
    monkeypatch.setitem(sys.modules, "tierway_server.app", app)
    return calls


def test_serve_without_options_overrides_nothing_and_exits_as_the_server_says(run, started) -> None:
    assert run("serve").exit_code == 7
    assert started == [(None, {})]


def test_serve_hands_over_its_options(run, started) -> None:
    options = (
        "--config",
        "a.yaml",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:1",
        "--http-listen",
        "127.0.0.1:2",
    )
    run("serve", *options)
    overrides = {
        "server.listen": "127.0.0.1:0",
        "server.admin_listen": "127.0.0.1:1",
        "server.http_listen": "127.0.0.1:2",
    }
    assert started == [(Path("a.yaml"), overrides)]


def test_serve_shows_the_problems_of_its_configuration(run, started, monkeypatch) -> None:
    def refuse(*_: object) -> int:
        raise ConfigError(
            [Problem(path="server.listen", message="is not an address"), Problem(path="", message="no such file")]
        )

    monkeypatch.setattr(sys.modules["tierway_server.app"], "serve", refuse)
    result = run("serve")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "server.listen: is not an address\nno such file\n"


def test_config_check_shows_all_problems(run, tmp_path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("server: {listne: 127.0.0.1:1}\nrouting: {accurate_tier: 9}\n")
    result = run("config", "check", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "server.listne: " in result.stderr
    assert "routing.accurate_tier: " in result.stderr


def test_config_check_of_a_missing_file(run, tmp_path) -> None:
    result = run("config", "check", str(tmp_path / "none.yaml"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "none.yaml" in result.stderr


def test_config_check_of_the_default(run) -> None:
    result = run("config", "check", str(default_path()))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "valid" in result.stdout


def test_config_schema_is_json_schema(run) -> None:
    schema = json.loads(run("config", "schema").stdout)
    assert {"server", "routing", "models"} <= set(schema["properties"])
