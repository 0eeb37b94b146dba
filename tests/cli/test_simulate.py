"""`tierway simulate`, as an operator runs it before a change."""

import json
import subprocess
import sys

import pytest

from tests.learn.outcomes import make_rows, write_rows

CONFIG = """
providers:
  first: {kind: openai, base_url: "http://first.invalid"}
  other: {kind: openai, base_url: "http://other.invalid"}
routing:
  classifier: {enabled: false}
  floors: {trivial: 1, simple: 1, moderate: 1, complex: 1}
models:
  - name: small
    tier: 1
    context_tokens: 8192
    compliance: 0.9
    price_usd_per_million_tokens: {input: 1, output: 1}
    fallback: [large]
    deployments: [{provider: first, model: small}]
  - name: large
    tier: 2
    context_tokens: 8192
    compliance: 0.9
    price_usd_per_million_tokens: {input: 4, output: 4}
    deployments: [{provider: other, model: large}]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "now.yaml"
    path.write_text(CONFIG)
    return str(path)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [
        {"id": n, "prompt": f"question {n}", "at_s": n / 10, "output_tokens": 40, "outcomes": {"s": n % 2, "large": 1}}
        for n in range(100)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def figures(done):
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_log_is_replayed_and_summed_up(run, config, log) -> None:
    [found] = figures(run("simulate", log, "--config", config, "--name", "s=small", "--json"))
    assert (found["name"], found["requests"], found["answered"]) == ("now", 100, 100)
    assert (found["quality"], found["strong"]["quality"], found["known_outcomes"]) == (0.5, 1.0, 100)
    assert found["saving"] == pytest.approx(0.75)
    assert found["throughput_per_usd_ratio"] == pytest.approx(4.0)


def test_two_configurations_stand_side_by_side(run, config, log, tmp_path) -> None:
    other = tmp_path / "then.yaml"
    other.write_text(CONFIG.replace("{trivial: 1,", "{trivial: 2,"))
    done = run("simulate", log, "--config", config, "--against", str(other))
    assert done.exit_code == 0, done.output
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "now then" in lines
    assert "saving 75.0% 0.0%" in lines
    assert any(line.startswith("small 100.0%, $0.0") and line.endswith("0.0%, $0.0000") for line in lines)


def test_faults_come_from_options_and_from_a_file(run, config, log, tmp_path) -> None:
    schedule = tmp_path / "drill.txt"
    schedule.write_text("vanish other@..\n")
    arguments = ("simulate", log, "--config", config, "--fail", "small@first:1@5..", "--json")
    [down_the_chain] = figures(run(*arguments))
    [nowhere] = figures(run(*arguments, "--faults", str(schedule)))
    assert (down_the_chain["answered"], down_the_chain["failed"]) == (100, 0)
    assert down_the_chain["fell_back"] > 0
    assert nowhere["failed"] > 0
    assert nowhere["answered"] < 60


def test_synthetic_traffic_needs_no_log(run, config) -> None:
    arguments = ("simulate", "--synthetic", "--requests", "500", "--rate", "50", "--config", config, "--json")
    [one], [same] = figures(run(*arguments)), figures(run(*arguments))
    assert one["requests"] == 500
    assert one == same


def test_fold_takes_a_part_and_all_of_them_make_the_whole(run, config, log) -> None:
    parts = [figures(run("simulate", log, "--config", config, "--fold", f"{k}/3", "--json"))[0] for k in range(3)]
    assert sum(part["requests"] for part in parts) == 100
    assert min(part["requests"] for part in parts) > 15


def test_a_sweep_draws_the_curve(run, tmp_path) -> None:
    plot = tmp_path / "curve.png"
    traffic = "docs/examples/traffic.jsonl"
    done = run(
        *("simulate", traffic, "--config", "config/five-tiers.yaml", "--strong", "qwen3-32b", "--sweep"),
        "--plot",
        str(plot),
    )
    assert done.exit_code == 0, done.output
    dials = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(" five-tiers")]
    assert (dials[0], dials[-1]) == ("0", "1")
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_what_one_half_teaches_saves_half_of_the_cost_on_the_other_at_hardly_less_quality(run, tmp_path) -> None:
    log = str(write_rows(tmp_path / "log.jsonl", make_rows(800)))
    pair, calibration = tmp_path / "pair.yaml", str(tmp_path / "calibration.json")
    pair.write_text(
        CONFIG.replace("classifier: {enabled: false}", "classifier: {min_confidence: 0}")
        .replace("name: small", "name: weak")
        .replace("[large]", "[strong]")
        .replace("name: large", "name: strong")
        .replace("{input: 4, output: 4}", "{input: 100, output: 100}")
    )
    fitted = run("fit", log, "--pair", "strong,weak", "--fold", "0/2", "--output", calibration)
    assert fitted.exit_code == 0, fitted.output
    arguments = ("--config", str(pair), "--calibration", calibration, "--sweep", "--json")
    curve = figures(run("simulate", log, "--fold", "0/2", *arguments))
    best = max(one["quality"] for one in curve)
    cheapest = min((one for one in curve if one["quality"] >= 0.95 * best), key=lambda one: one["cost_usd"])
    assert cheapest["saving"] > 0.4  # half of the prompts are hard
    assert cheapest["strong"]["quality"] == pytest.approx(0.95, abs=0.03)


def test_the_example_of_the_documents_is_valid(run) -> None:
    done = run("config", "check", "docs/examples/routerbench.yaml")
    assert done.stdout == "docs/examples/routerbench.yaml: valid, 11 models\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "either LOG or --synthetic is needed"),
        (("log.jsonl", "--synthetic"), "either LOG or --synthetic is needed"),
        (("--synthetic", "--sweep", "--dial", "0.5"), "--sweep and --dial exclude each other"),
        (("--synthetic", "--plot", "x.svg"), "must end in .png or .html"),
        (("--synthetic", "--fold", "2/2"), "must be K/N"),
        (("--synthetic", "--name", "x"), "must be DATA=MODEL"),
    ],
)
def test_wrong_usage_is_told(run, arguments, message) -> None:
    done = run("simulate", *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fail", "first:2@1..2"), "tierway: first:2@1..2: the share must be 0 to 1\n"),
        (("--vanish", "nobody@1..2"), "tierway: vanish nobody@1..2: no deployment and no provider is called 'nobody'"),
        (("--strong", "nobody"), "tierway: there is no model 'nobody'\n"),
        (("--strategy", "nobody"), "tierway: there is no strategy 'nobody'"),
        (("--faults", "nowhere.txt"), "tierway: [Errno 2] No such file or directory: 'nowhere.txt'\n"),
    ],
)
def test_what_cannot_be_simulated_is_one_line(run, config, log, arguments, message) -> None:
    done = run("simulate", log, "--config", config, *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_a_field_of_the_wrong_kind_is_named_with_its_row(run, config, tmp_path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "r1", "prompt": "hi", "at_s": "now"}\n')
    done = run("simulate", str(bad), "--config", config)
    assert (done.exit_code, done.stderr) == (1, f"tierway: {bad}: row r1: at_s: must be a number, 0 or more\n")


def test_command_that_only_asks_loads_no_simulation() -> None:
    script = "import sys; import tierway_cli.main; sys.exit('tierway_sim' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
