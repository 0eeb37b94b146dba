"""Single settings from the environment and from flags."""

import pytest

from tierway_server.config import ConfigError


def refusal(load_small, **settings):
    with pytest.raises(ConfigError) as caught:
        load_small(**settings)
    return [str(problem) for problem in caught.value.problems]


def test_unknown_variables_and_overrides_are_told_together_with_suggestions(load_small):
    assert refusal(
        load_small,
        environ={"TIERWAY_SERVER__LISTN": "x", "TIERWAY_ROUTING__FLOOR__TRIVIAL": "1"},
        overrides={"server.limits": "1", "server.listten": "x"},
    ) == [
        'TIERWAY_ROUTING__FLOOR__TRIVIAL: unknown setting; did you mean "TIERWAY_ROUTING__FLOORS__TRIVIAL"?',
        'TIERWAY_SERVER__LISTN: unknown setting; did you mean "TIERWAY_SERVER__LISTEN"?',
        'server.limits: unknown setting; did you mean "server.listen"?',
        'server.listten: unknown setting; did you mean "server.listen"?',
    ]


def test_variable_of_a_section_that_takes_none_is_unknown(load_small):
    [problem] = refusal(load_small, environ={"TIERWAY_ENGINES__TINY__DTYPE": "auto"})
    assert problem.startswith("TIERWAY_ENGINES__TINY__DTYPE: unknown setting")


def test_wrong_value_names_the_variable_and_the_key(load_small):
    assert refusal(load_small, environ={"TIERWAY_ROUTING__ACCURATE_TIER": "four"}) == [
        "environment TIERWAY_ROUTING__ACCURATE_TIER: routing.accurate_tier: must be an integer, not text"
    ]


def test_wrong_value_names_the_override(load_small):
    assert refusal(load_small, overrides={"server.drain_grace_s": "nan"}) == [
        "override server.drain_grace_s: server.drain_grace_s: must be a finite number"
    ]


def test_unknown_settings_are_told_together_with_what_is_wrong_in_the_file(load_small):
    [first, second] = refusal(load_small, text="server: {reflection: 1}", environ={"TIERWAY_SERVER__X": "1"})
    assert first.startswith("TIERWAY_SERVER__X: unknown setting")
    assert second.endswith("server.reflection: must be true or false, not an integer")


def test_value_is_never_told(load_small):
    assert "hunter2" not in refusal(load_small, environ={"TIERWAY_CONSTITUTION__HASH": "hunter2"})[0]


def test_section_of_a_wrong_type_is_told_not_overwritten(load_small):
    [problem] = refusal(load_small, text="server: 5", overrides={"server.listen": "127.0.0.1:1"})
    assert problem.endswith("server: must be a mapping, not an integer")


def test_flag_wins_over_environment_and_environment_over_file(load_small):
    text = "server: {listen: '127.0.0.1:1', admin_listen: '127.0.0.1:2', http_listen: '127.0.0.1:3'}"
    server = load_small(
        text,
        environ={"TIERWAY_SERVER__ADMIN_LISTEN": "127.0.0.1:20", "TIERWAY_SERVER__HTTP_LISTEN": "127.0.0.1:30"},
        overrides={"server.http_listen": "127.0.0.1:300"},
    ).server
    assert (server.listen, server.admin_listen, server.http_listen) == ("127.0.0.1:1", "127.0.0.1:20", "127.0.0.1:300")


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        ("server.reflection", "False", False),
        ("server.drain_grace_s", "2.5", 2.5),
        ("server.limits.batch_requests", "10", 10),
        ("routing.floors.trivial", " 2", 2),
        ("routing.governance.tier", "3", 3),
        ("routing.cost_quality", "0.25", 0.25),
        ("routing.classifier.enabled", "false", False),
        ("routing.classifier.calibration", "/etc/tierway/calibration.json", "/etc/tierway/calibration.json"),
        ("constitution.hash", "0123456789012345", "0123456789012345"),
    ],
)
def test_text_is_read_by_the_type_of_the_setting(setting, text, value, load_small):
    config = load_small(overrides={setting: text})
    for part in setting.split("."):
        config = getattr(config, part)
    assert config == value


def test_other_variables_are_left_alone(load_small):
    load_small(environ={"TIERWAY_MODELS": "/weights", "TIERWAY_CACHE": "/cache", "SERVER__LISTEN": "x", "PATH": "/bin"})


def test_setting_fills_a_section_that_the_file_leaves_empty(load_small):
    assert load_small("server:\n", overrides={"server.reflection": "false"}).server.reflection is False
