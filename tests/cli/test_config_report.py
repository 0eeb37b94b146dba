"""`tierway config report`, as an operator runs it before and after a change."""

import json

import pytest

BEFORE = """
providers:
  groq: {kind: openai, base_url: "http://groq.invalid", availability: 0.99}
  other: {kind: openai, base_url: "http://other.invalid", availability: 0.95}
engines:
  small: {model: /nowhere, context_tokens: 1024, availability: 0.9}
models:
  - name: a
    tier: 1
    context_tokens: 1024
    compliance: 0.9
    price_usd_per_million_tokens: {input: 1, output: 1}
    deployments: [{provider: groq, model: a}]
  - name: b
    tier: 1
    context_tokens: 1024
    compliance: 0.9
    price_usd_per_million_tokens: {input: 1, output: 1}
    deployments: [{engine: small}, {provider: other, model: b}]
"""


@pytest.fixture
def before(tmp_path):
    path = tmp_path / "before.yaml"
    path.write_text(BEFORE)
    return str(path)


@pytest.fixture
def after(tmp_path):
    path = tmp_path / "after.yaml"
    path.write_text(BEFORE.replace("name: a", "name: a\n    fallback: [b]", 1))
    return str(path)


def test_each_chain_is_shown_with_whom_it_depends_on(run, before) -> None:
    done = run("config", "report", before)
    assert done.exit_code == 0, done.output
    rows = {
        line.split()[0]: " ".join(line.split()) for line in done.stdout.splitlines() if line.startswith((" a", " b"))
    }
    assert rows["a"] == "a - groq 0.00 bits groq 99 % 432 min"
    assert rows["b"] == "b - vllm, other 1.00 bits - 99.5 % 216 min"  # 1 - 0.1 * 0.05


def test_a_change_is_shown_side_by_side(run, before, after) -> None:
    done = run("config", "report", after, "--before", before)
    assert done.exit_code == 0, done.output
    [row] = [" ".join(line.split()) for line in done.stdout.splitlines() if line.startswith(" a")]
    assert row == ("a groq -> groq, vllm, other 0.00 bits -> 1.58 bits groq -> - 99 % -> 99.995 % 432 min -> 2.16 min")


def test_json_has_before_and_after(run, before, after) -> None:
    found = json.loads(run("config", "report", after, "--before", before, "--json").stdout)
    assert [chain["single_points"] for chain in found["before"]] == [["groq"], []]
    assert found["chains"][0] == {
        "model": "a",
        "models": ["a", "b"],
        "providers": {"groq": 1, "vllm": 1, "other": 1},
        "entropy_bits": pytest.approx(1.585, abs=0.001),
        "single_points": [],
        "availability": pytest.approx(0.99995),
        "downtime_minutes": pytest.approx(2.16),
    }


def test_without_a_file_it_reports_on_the_shipped_configuration(run) -> None:
    found = json.loads(run("config", "report", "--json").stdout)
    assert "smollm2-135m" in {chain["model"] for chain in found["chains"]}
    assert "before" not in found


def test_what_is_wrong_with_a_file_is_told(run, tmp_path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(BEFORE.replace("availability: 0.9}", "availability: 1.9}"))
    done = run("config", "report", str(bad))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"{bad}:6: engines.small.availability: must be at most 1\n"
