"""Names across sections: those that must exist, those that must differ, chains that must end."""

import pytest

from tierway_server.config import parse


def test_unknown_engine_lists_what_there_is(small, problems):
    small["models"][0]["deployments"] = [{"engine": "x"}]
    assert problems(small) == ['models[0].deployments[0].engine: unknown engine "x"; there is "tiny"']


def test_unknown_engine_suggests_the_nearest(small, problems):
    small["models"][0]["deployments"] = [{"engine": "tinny"}]
    assert problems(small) == ['models[0].deployments[0].engine: unknown engine "tinny"; did you mean "tiny"?']


def test_unknown_engine_where_there_is_none_suggests_nothing(small, problems):
    del small["engines"]
    assert problems(small) == ['models[0].deployments[0].engine: unknown engine "tiny"']


def test_unknown_model_in_a_chain_is_told(small, problems):
    small["models"][1]["fallback"] = ["small", "smal"]
    assert problems(small) == ['models[1].fallback[1]: unknown model "smal"; did you mean "small"?']


def test_model_twice_in_a_chain_is_told(small, problems):
    small["models"][0]["fallback"] = ["large", "large"]
    assert problems(small) == ['models[0].fallback[1]: "large" is listed twice']


def test_cyclic_chain_is_told_whole_with_the_entry_that_closes_it(small, problems):
    small["models"][1]["fallback"] = ["small"]
    assert problems(small) == ["models[1].fallback[0]: cyclic fallback: small -> large -> small"]


def test_model_that_follows_itself_is_a_cycle(small, problems):
    small["models"][0]["fallback"] = ["small"]
    assert problems(small) == ["models[0].fallback[0]: cyclic fallback: small -> small"]


def test_duplicate_model_names_are_told_with_both_places(small, problems):
    small["models"][1]["name"] = "small"
    small["models"][0]["fallback"] = []
    assert problems(small) == ['models[1].name: duplicate name "small", first at models[0]']


def test_duplicate_deployment_names_are_told_across_models_and_with_defaults(small, problems):
    small["models"][0]["deployments"] = [{"engine": "tiny"}, {"engine": "tiny"}]
    small["models"][1]["deployments"][0]["name"] = "small@tiny"
    assert problems(small) == [
        'models[0].deployments[1].name: duplicate name "small@tiny", first at models[0].deployments[0]',
        'models[1].deployments[0].name: duplicate name "small@tiny", first at models[0].deployments[0]',
    ]


def test_provider_cannot_take_the_name_of_the_engines(small, problems):
    small["providers"]["vllm"] = {"kind": "openai", "base_url": "http://127.0.0.1/v1"}
    assert problems(small) == [
        'providers.vllm: "vllm" is the provider of the engines of this process: choose another name'
    ]


def test_limit_cannot_take_the_name_of_a_providers_own(small, problems):
    small["limits"] = {"provider:groq": {"requests": 1}, "provider:other": {"requests": 1}}
    assert problems(small) == [
        'limits["provider:groq"]: is the name of the limit that stands for provider "groq": choose another'
    ]


def test_deployment_cannot_hold_more_than_its_engine(small, problems):
    small["models"][0]["deployments"][0]["context_tokens"] = 4096
    assert problems(small) == [
        'models[0].deployments[0].context_tokens: must be at most that of engine "tiny", which is 2048'
    ]


def test_governance_term_that_the_core_cannot_match_is_told_by_its_path_in_the_file(small, problems):
    small["routing"] = {"governance": {"terms": ["governance", "one two three four five"]}}
    [problem] = problems(small)
    assert problem.startswith("routing.governance.terms[1]: ")


@pytest.mark.parametrize(
    "malformed",
    [
        {"engines": 5},
        {"providers": ["groq"]},
        {"models": "small"},
        {"models": [None, 5, {"name": 5, "fallback": "x", "deployments": 7}]},
        {
            "models": [
                {"name": "a", "fallback": [1, None], "deployments": [None, {"engine": [], "context_tokens": "x"}]}
            ]
        },
        {"models": [{"deployments": {}}], "engines": {"x": None}},
    ],
)
def test_malformed_documents_are_problems_and_never_exceptions(malformed, problems):
    assert problems(malformed)


def test_deployments_are_named_after_model_and_place(small):
    assert [deployment.name for _, deployment in parse(small).deployments] == ["small@tiny", "large@groq"]


def test_document_given_as_values_cannot_include_files(small, problems):
    assert problems({**small, "include": ["x.yaml"]}) == ["include: only a file can include others"]
