"""The hot path touches no Python: `cython -a`, with the release's directives, scores every line of it 0."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tierway_core
from setup import core_directives
from tierway_core import STRATEGIES

PACKAGE = Path(tierway_core.__file__).parent
HOT = {
    "_features": [
        "hash_byte", "hash_term", "look_up", "count_terms", "is_letter", "is_word_byte", "is_space_byte", "is_within", "character_of",
        "run_length", "count_marks", "scan", "count_tokens", "input_tokens", "code_score", "has_code", "has_planning", "has_vision",
        "has_governance",
    ],
    "_signals": [
        "bucket", "add_gram_character", "add_word", "start_word", "add_word_character", "add_tenths", "end_word", "add_unspaced",
        "end_sentence", "add_mark", "follow_line", "class_beyond", "read_character", "read_stretch", "log_count", "log_tenths",
        "fill_counters", "read_signals",
    ],
    "_classifier": [
        "add_rows", "pool", "familiarity", "column_sum", "clipped", "logistic", "add_layer", "fill_inputs", "fill_outputs", "soften",
        "best_tier", "gain_of", "assess",
    ],
    "_choice": [
        "classify", "strike_kind", "is_limited", "missing_in", "is_any_opened", "is_any_limit_used_up", "are_all_fit", "strike_by_moment",
        "strike_all", "lay", "gather", "quality_by_ability", "quality_of", "exchange_rate", "set_up", "utility_of",
    ],
    "_steering": ["first_of", "place_of", "smooth"],
    "_prefixes": ["set_of", "slot_for", "find_in"],
    **{f"strategies/_{name}": [name] for name in STRATEGIES},
    "strategies/_cheapest": ["weigh", "least_from", "weigh_tier", "weigh_warm", "find_cheapest", "cheapest"],
    "strategies/_least_busy": ["is_before", "least_busy"],
    "strategies/_lowest_latency": ["weighed_s", "lowest_latency"],
}  # fmt: skip
LINE = re.compile(r'<pre class="cython line score-(\d+)"[^>]*>.*?<span class="">0*(\d+)</span>')


def lines_of(source: list[str], function: str) -> range:
    """Line numbers of a C function, from 1: up to the next line that starts at the margin."""
    first = next(index for index, line in enumerate(source) if re.match(rf"cdef\b.*\b{function}\(", line))
    last = next((i for i in range(first + 1, len(source)) if re.match(r"[^\s)]", source[i])), len(source))
    return range(first + 1, last + 1)


@pytest.fixture(scope="module", params=HOT)
def annotated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[str], dict[int, int]]:
    """A module's name, its source, and the score of each of its lines."""
    folder = tmp_path_factory.mktemp("annotated")
    source = PACKAGE / f"{request.param}.pyx"
    directives = [f"--directive={name}={value}" for name, value in core_directives(debug=False).items()]
    command = [
        sys.executable,
        "-m",
        "cython",
        "-a",
        *directives,
        "-I",
        str(PACKAGE.parent),
        "-o",
        str(folder / "out.c"),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True)
    scores = {int(line): int(score) for score, line in LINE.findall((folder / "out.html").read_text())}
    return request.param, source.read_text().splitlines(), scores


def test_the_report_tells_python_from_c(annotated):
    name, source, scores = annotated
    assert len(scores) == len(source), name
    assert any(scores.values())


def test_hot_functions_touch_no_python(annotated):
    name, source, scores = annotated
    for function in HOT[name]:
        slow = [
            f"{name}.pyx:{line} ({scores[line]}): {source[line - 1]}"
            for line in lines_of(source, function)
            if scores[line]
        ]
        assert not slow, "\n".join(slow)


def test_every_c_function_without_the_interpreter_is_watched(annotated):
    name, source, _ = annotated
    text = "\n".join(source)
    assert set(re.findall(r"^cdef [^\n]*?(\w+)\([^)]*\) noexcept nogil:", text, re.MULTILINE)) == set(HOT[name])
