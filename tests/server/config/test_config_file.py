"""Files that cannot be read as a configuration, and how YAML is read."""

import pytest

from tierway_server.config import ConfigError, load

SMALL_MODEL = """
models:
  - name: small
    tier: 1
    context_tokens: 4096
    compliance: 0.82
    price_usd_per_million_tokens: {input: 0.05, output: 5e-2}
    deployments: [{engine: tiny}]
engines:
  tiny: {model: /weights/tiny, context_tokens: 2048}
"""


def test_missing_file_is_named(tmp_path):
    path = tmp_path / "none.yaml"
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    assert [str(problem) for problem in caught.value.problems] == [f"there is no file {path}"]


def test_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, environ={})
    assert str(caught.value) == f"{tmp_path} is a folder, not a file"


def test_name_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: not a file name"):
        load(tmp_path / "a\0b", environ={})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server: [1,\nmodels: 2", "tierway.yaml:2: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: b: c", "tierway.yaml:1: not YAML: mapping values are not allowed here"),
        ("a: *nothing", "tierway.yaml:1: not YAML: found undefined alias 'nothing'"),
        ("a: 1\n---\nb: 2", "tierway.yaml:2: not YAML: but found another document"),
        ("a: \x01", "tierway.yaml: not YAML: it has a character that no text has"),
        ("- models", "tierway.yaml:1: must be a mapping at the top"),
        ("models", "tierway.yaml:1: must be a mapping at the top"),
        ("", "tierway.yaml: models: must have at least one model"),
        ("# nothing\n", "tierway.yaml: models: must have at least one model"),
        ("a: &a [*a]", "tierway.yaml: too deep, or more than 20000 values once aliases are followed"),
        (
            "a: " + "[" * 5000 + "]" * 5000,
            "tierway.yaml: too deep, or more than 20000 values once aliases are followed",
        ),
    ],
)
def test_text_that_is_no_configuration_is_one_line(text, expected, write, file_problems):
    assert file_problems(write(text)) == [expected]


def test_aliases_that_multiply_are_stopped(write, file_problems):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    assert file_problems(write("\n".join(lines))) == [
        "tierway.yaml: too deep, or more than 20000 values once aliases are followed"
    ]


def test_bytes_that_are_not_utf8_are_refused(write, file_problems):
    assert file_problems(write(b"a: \xff")) == ["tierway.yaml is not UTF-8"]


def test_huge_file_is_refused(write, file_problems):
    [problem] = file_problems(write(b"#" * ((1 << 20) + 1)))
    assert problem == "tierway.yaml is larger than 1048576 bytes"


def test_duplicate_keys_are_told_with_both_lines(write, file_problems):
    text = "server:\n  listen: 127.0.0.1:1\n  reflection: true\n  listen: 127.0.0.1:2\nserver: {}\n"
    assert file_problems(write(text)) == [
        "tierway.yaml:4: server.listen: duplicate key, first on line 2",
        "tierway.yaml:5: server: duplicate key, first on line 1",
    ]


def test_tags_and_keys_that_are_no_text_are_refused(write, file_problems):
    assert file_problems(write("server: !!python/object:os.system {}\n? [a]\n: 1\n")) == [
        "tierway.yaml:1: server: YAML tags are not supported",
        "tierway.yaml:2: a key must be text",
    ]


def test_problems_name_the_line_that_was_written(write, file_problems):
    text = SMALL_MODEL + "server:\n  reflection: no\n"
    assert file_problems(write(text)) == ["tierway.yaml:12: server.reflection: must be true or false, not text"]


def test_numbers_are_those_of_yaml_1_2(write):
    config = load(write(SMALL_MODEL + 'constitution: {hash: "0123456789012345"}'), environ={})
    assert config.models[0].price_usd_per_million_tokens.output == 0.05
    assert config.constitution.hash == "0123456789012345"


def test_hash_of_digits_alone_asks_for_quotes(write, file_problems):
    assert file_problems(write(SMALL_MODEL + "constitution: {hash: 0123456789012345}")) == [
        "tierway.yaml:11: constitution.hash: must be text, not an integer; put it in quotes"
    ]


def test_byte_order_mark_is_no_content(write):
    assert load(write(b"\xef\xbb\xbf" + SMALL_MODEL.encode()), environ={}).models[0].name == "small"


@pytest.mark.parametrize(("key", "told"), [("a\\nb", "a\\nb"), ("ß\\u2028", "\\u00df\\u2028"), ("größe", "größe")])
def test_keys_of_any_content_are_told_on_one_line(key, told, write, file_problems):
    [problem] = file_problems(write(SMALL_MODEL + f'server: {{"{key}": 1}}'))
    assert problem.startswith(f'tierway.yaml:11: server["{told}"]: unknown key')


def test_half_a_surrogate_pair_is_no_text(write, file_problems):
    assert file_problems(write(SMALL_MODEL + 'server: {"\\ud800": 1, listen: "\\ud800"}')) == [
        "tierway.yaml:11: server: must be text, without half a surrogate pair"
    ]
