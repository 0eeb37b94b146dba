"""Files that include others: what wins, and what is refused."""

import yaml

from tierway_server.config import load


def test_included_file_that_is_missing_is_told_where_it_is_asked_for(write, file_problems, tmp_path):
    path = write("include:\n  - none.yaml\n")
    assert file_problems(path) == ["tierway.yaml:2: include[0]: there is no file none.yaml"]


def test_cycle_of_includes_is_told(write, file_problems):
    write("include: [tierway.yaml]", "other.yaml")
    assert file_problems(write("include: [other.yaml]")) == [
        'other.yaml:1: include[0]: "tierway.yaml" includes itself, directly or through others'
    ]


def test_file_that_includes_itself_is_told(write, file_problems):
    assert file_problems(write("include: [./tierway.yaml]")) == [
        'tierway.yaml:1: include[0]: "./tierway.yaml" includes itself, directly or through others'
    ]


def test_includes_that_are_too_deep_are_told(write, file_problems):
    for level in range(12):
        write(f"include: [{level + 1}.yaml]", f"{level}.yaml")
    assert file_problems(write("include: [0.yaml]")) == ["7.yaml:1: include[0]: more than 8 levels deep"]


def test_include_of_a_wrong_type_is_told(write, file_problems):
    assert file_problems(write("include: other.yaml")) == ["tierway.yaml:1: include: must be a list of files"]
    assert file_problems(write("include: [1, null]")) == [
        "tierway.yaml:1: include[0]: must be the name of a file",
        "tierway.yaml:1: include[1]: must be the name of a file",
    ]


def test_problems_of_all_files_are_told_together(write, file_problems):
    write("a: 1\na: 2", "one.yaml")
    write("[", "two.yaml")
    assert file_problems(write("include: [one.yaml, two.yaml]\nb: 1\nb: 2")) == [
        "tierway.yaml:3: b: duplicate key, first on line 2",
        "one.yaml:2: a: duplicate key, first on line 1",
        "two.yaml:1: not YAML: expected the node content, but found '<stream end>'",
    ]


def test_problem_in_an_included_file_names_that_file(write, file_problems, small):
    small["models"][0]["tier"] = 7
    write(yaml.safe_dump(small, sort_keys=False), "small.yaml")
    [problem] = file_problems(write("include: [small.yaml]"))
    assert problem == "small.yaml:12: models[0].tier: must be at most 5"


def test_mappings_merge_key_by_key_and_this_file_wins(load_small):
    config = load_small("engines: {tiny: {queue_size: 7}}\nserver: {reflection: false}")
    assert (config.engines["tiny"].queue_size, config.engines["tiny"].context_tokens) == (7, 2048)
    assert not config.server.reflection


def test_lists_of_named_things_merge_by_name_and_keep_their_order(load_small):
    config = load_small(
        """
models:
  - name: new
    tier: 2
    context_tokens: 64
    compliance: 0.5
    price_usd_per_million_tokens: {input: 1, output: 1}
    deployments: [{engine: tiny}]
  - name: large
    tier: 4
"""
    )
    assert [(model.name, model.tier) for model in config.models] == [("small", 1), ("large", 4), ("new", 2)]
    assert config.models[1].context_tokens == 32768


def test_other_lists_are_replaced(load_small):
    config = load_small("models:\n  - {name: small, fallback: []}\nrouting: {critical_agents: [auditor]}")
    assert config.models[0].fallback == ()
    assert config.routing.critical_agents == ("auditor",)


def test_later_include_wins_over_an_earlier_one(write, small):
    write(yaml.safe_dump({**small, "server": {"drain_grace_s": 1}}), "one.yaml")
    write("server: {drain_grace_s: 2}", "sub/two.yaml")
    write("include: [sub/two.yaml]", "three.yaml")
    assert load(write("include: [one.yaml, three.yaml]"), environ={}).server.drain_grace_s == 2


def test_name_twice_in_the_including_file_is_reported_not_merged(write, file_problems, small):
    write(yaml.safe_dump(small), "small.yaml")
    path = write("include: [small.yaml]\nmodels:\n  - {name: small, tier: 2}\n  - {name: small, tier: 3}\n")
    assert 'tierway.yaml:4: models[2].name: duplicate name "small", first at models[0]' in file_problems(path)
