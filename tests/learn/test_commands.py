"""`tierway fit` and `tierway eval`, as an operator runs them."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from tests.learn.outcomes import make_rows, write_rows
from tierway_cli.main import cli
from tierway_core import Classifier, Weights
from tierway_core.calibration import load


@pytest.fixture
def run():
    def invoke(*arguments):
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="tierway")

    return invoke


def test_fit_writes_a_calibration_that_the_classifier_takes(run, traffic, weights_file, tmp_path) -> None:
    output = tmp_path / "calibration.json"
    done = run(
        "fit",
        traffic,
        "--pair",
        "strong,weak",
        "--name",
        "weak=qwen3-4b",
        "--weights",
        weights_file,
        "--output",
        output,
    )
    assert done.exit_code == 0, done.output
    weights = Weights.load(weights_file)
    calibration = load(output, weights.identity)
    assert (calibration.pair.strong, calibration.pair.weak) == ("strong", "qwen3-4b")
    assert f"calibration {calibration.identity} for the weights {weights.identity}" in done.stdout
    hard, easy = (
        Classifier(weights, calibration).assess(prompt).gain
        for prompt in ("prove that an operator with care 3", "name the capital of France please 2")
    )
    assert hard > easy


def test_fit_on_what_the_weights_were_trained_on_says_so(run, weights_file, tmp_path) -> None:
    seen = write_rows(tmp_path / "seen.jsonl", make_rows(200))
    done = run("fit", seen, "--pair", "strong,weak", "--weights", weights_file, "--output", tmp_path / "c.json")
    assert "trained on rows of seen, so that share looks better than it is" in done.stdout


def test_fit_refuses_few_labels_in_one_line(run, weights_file, tmp_path) -> None:
    few = write_rows(tmp_path / "few.jsonl", make_rows(199))
    done = run("fit", few, "--weights", weights_file, "--output", tmp_path / "never.json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "tierway: abilities: 199 labelled rows are too few, at least 200 are needed\n"
    assert not (tmp_path / "never.json").exists()


def test_bad_line_is_named(run, weights_file, tmp_path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": "1", "prompt": "p"}\n{"id": "2"}\n')
    for command in ("fit", "eval"):
        done = run(command, path, "--weights", weights_file)
        assert (done.exit_code, done.stderr) == (1, f"tierway: {path}:2: prompt: is missing\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "x.jsonl", "--pair", "one"),
        ("fit", "x.jsonl", "--pair", "one,one"),
        ("fit", "x.jsonl", "--name", "one"),
        ("eval",),
        ("eval", "x.jsonl", "--labels", "200"),
        ("eval", "x.jsonl", "--weights", "w-{fold}.weights"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_before_anything_is_read(run, arguments) -> None:
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert "Usage: tierway" in done.stderr


def test_file_that_is_not_there_is_named(run, weights_file) -> None:
    done = run("eval", "nowhere.jsonl", "--weights", weights_file)
    assert done.exit_code == 1
    assert "nowhere.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def test_eval_prints_a_table_with_the_baselines(run, traffic, weights_file) -> None:
    done = run("eval", traffic, "--pair", "strong,weak", "--weights", weights_file, "--resamples", "5")
    assert done.exit_code == 0, done.output
    for shown in ("traffic: strong or weak; 400 rows", "APGR", "CPT(80 %)", "random", "word count", "class rules"):
        assert shown in done.stdout


def test_eval_as_json_fits_in_folds_beside_embeddings(run, traffic, weights_file, tmp_path) -> None:
    rows = make_rows(400)
    embeddings = tmp_path / "vectors.npz"
    vectors = np.random.default_rng(0).normal(size=(len(rows), 8)).astype(np.float16)
    np.savez(embeddings, ids=np.array([row["id"] for row in rows]), vectors=vectors)
    done = run(
        *("eval", traffic, "--weights", weights_file, "--pair", "strong,weak", "--resamples", "5", "--json"),
        *("--folds", "2", "--labels", "150", "--embeddings", embeddings, "--output", tmp_path / "curves"),
    )
    assert done.exit_code == 0, done.output
    judgement = json.loads(done.stdout)
    figures = {method["method"]: method["figures"] for method in judgement["methods"]}
    assert figures["random"]["APGR"]["value"] == 0.5
    assert figures["tierway, fitted"]["APGR"]["value"] > figures["MiniLM"]["APGR"]["value"]
    assert {path.suffix for path in (tmp_path / "curves").iterdir()} == {".png", ".html"}


def test_calibration_is_judged_beside_the_bare_weights(run, traffic, weights_file, tmp_path) -> None:
    calibration = tmp_path / "calibration.json"
    run("fit", traffic, "--pair", "strong,weak", "--weights", weights_file, "--output", calibration)
    fresh = write_rows(tmp_path / "fresh.jsonl", make_rows(300, seed=5))
    done = run(
        "eval",
        fresh,
        "--weights",
        weights_file,
        "--calibration",
        calibration,
        "--resamples",
        "5",
        "--json",
        "--pair",
        "strong,weak",
    )
    figures = {method["method"]: method["figures"] for method in json.loads(done.stdout)["methods"]}
    assert figures["tierway, calibrated"]["APGR"]["value"] > figures["tierway, difficulty"]["APGR"]["value"]


def test_calibration_of_other_weights_is_refused(run, traffic, weights_file, tmp_path) -> None:
    calibration = tmp_path / "calibration.json"
    run("fit", traffic, "--weights", weights_file, "--output", calibration)
    calibration.write_text(calibration.read_text().replace('"weights": "', '"weights": "other-'))
    done = run("eval", traffic, "--weights", weights_file, "--calibration", calibration)
    assert done.exit_code == 1
    assert "made for the weights other-" in done.stderr


def test_command_that_only_asks_does_not_load_numpy() -> None:
    script = "import sys; import tierway_cli.main; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
