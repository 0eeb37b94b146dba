"""The files that are shipped, their schema, and what the package offers."""

import jsonschema
import pytest
import yaml

import tierway_server.config as face
from tierway_server.config import (
    Secrets,
    build_table,
    default_path,
    json_schema,
    load,
    parse,
    redacted,
    unavailable_reason,
)

FIVE_TIERS = default_path().parent / "five-tiers.yaml"

# name: tier, provider, context, vision, compliance, USD per million tokens of input and of output
ENDPOINTS = {
    "qwen3-0.6b": (1, "vllm", 32 * 1024, False, 0.82, 0.05, 0.05),
    "qwen3-1.7b": (1, "vllm", 32 * 1024, False, 0.83, 0.08, 0.08),
    "qwen3-4b": (1, "vllm", 32 * 1024, False, 0.84, 0.12, 0.12),
    "llama-3.1-8b": (2, "groq", 128 * 1024, False, 0.86, 0.15, 0.15),
    "deepseek-r1-8b": (2, "groq", 128 * 1024, False, 0.87, 0.20, 0.20),
    "qwen3-32b": (3, "groq", 128 * 1024, False, 0.89, 0.80, 0.80),
    "gemini-2.0-flash": (4, "openrouter", 1024 * 1024, True, 0.91, 0.80, 0.80),
    "mixtral-8x22b": (4, "openrouter", 64 * 1024, False, 0.90, 1.20, 1.20),
    "deepseek-v3": (4, "openrouter", 64 * 1024, False, 0.92, 2.00, 2.00),
    "grok-4": (5, "openrouter", 256 * 1024, True, 0.95, 15.00, 15.00),
    "local": (1, "local", 8 * 1024, False, 0.82, 0.05, 0.05),
}


@pytest.fixture
def schema():
    return json_schema()


@pytest.mark.parametrize(
    "wrong", [{"server": {"lisen": "x"}}, {"models": [{"tier": 1}]}, {"routing": {"accurate_tier": 6}}, {"engines": []}]
)
def test_schema_refuses_what_the_loader_refuses(wrong, schema):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_schema_takes_a_file_that_only_adds_to_another(schema):
    jsonschema.validate({"include": ["five-tiers.yaml"], "models": [{"name": "grok-4", "tier": 4}]}, schema)


@pytest.mark.parametrize("path", sorted(FIVE_TIERS.parent.glob("*.yaml")), ids=lambda path: path.name)
def test_schema_takes_the_shipped_files(path, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


def test_every_field_of_the_schema_is_described(schema):
    sections = [schema, *schema["$defs"].values()]
    assert [
        name for section in sections for name, field in section["properties"].items() if not field.get("description")
    ] == []


def test_five_tiers_are_the_eleven_endpoints():
    endpoints = {
        deployment.model.name: (
            deployment.model.tier,
            deployment.spec.provider,
            deployment.spec.context_tokens,
            deployment.model.vision,
            deployment.model.compliance,
            deployment.model.input_picousd / 1_000_000,
            deployment.model.output_picousd / 1_000_000,
        )
        for deployment in build_table(load(FIVE_TIERS, environ={})).deployments
    }
    assert endpoints == ENDPOINTS
    assert list(endpoints) == list(ENDPOINTS)


def test_every_shipped_model_states_its_ability_and_stronger_ones_have_more():
    models = {model.name: model for model in load(None, environ={}).models}
    assert [name for name, model in models.items() if model.ability is None] == []
    by_ability = sorted(models, key=lambda name: models[name].ability)
    assert by_ability[0] == "smollm2-135m"
    assert by_ability[-1] == "grok-4"
    qwens = ["qwen3-0.6b", "qwen3-1.7b", "qwen3-4b", "qwen3-32b"]
    assert sorted(qwens, key=by_ability.index) == qwens


def test_every_chain_but_the_last_leaves_its_provider():
    table = build_table(load(FIVE_TIERS, environ={}))
    provider = {each.model.name: each.spec.provider for each in table.deployments}
    stays = [name for name in provider if {provider[follower] for follower in table.chain(name)} <= {provider[name]}]
    assert stays == ["mixtral-8x22b"]


def test_five_tiers_without_credentials_or_weights_say_what_is_missing():
    config = load(FIVE_TIERS, environ={})
    reasons = {
        model.name: unavailable_reason(config, deployment, {}, Secrets.of(config, {}))
        for model, deployment in config.deployments
    }
    assert reasons["qwen3-4b"] == "no weights: TIERWAY_MODELS is not set"
    assert reasons["qwen3-32b"] == "no credential: GROQ_API_KEY is not set"
    assert reasons["grok-4"] == "no credential: OPENROUTER_API_KEY is not set"
    # Whether a server is there is found out while the process runs.
    assert [name for name, reason in reasons.items() if not reason] == ["local"]


def test_default_adds_one_embedded_model_that_can_answer_everything():
    config = load(None, environ={})
    ready = [
        model.name
        for model, deployment in config.deployments
        if not unavailable_reason(config, deployment, {}, Secrets({}, {}))
    ]
    assert ready == ["local", "smollm2-135m"]
    assert {model.name for model in config.models} == {*ENDPOINTS, "smollm2-135m"}
    routing = config.routing
    floors = set(routing.floors.model_dump().values())
    assert (floors, routing.accurate_tier, routing.governance.tier) == ({1}, 1, 1)


def test_default_constitution_is_the_mission_s():
    assert load(None, environ={}).constitution.hash == "cdd01ef066bc6cf2"


def test_log_of_the_start_is_the_configuration_again_and_holds_no_secret():
    config = load(None, environ={"GROQ_API_KEY": "hunter2"})
    text = redacted(config)
    assert "hunter2" not in text
    assert parse(yaml.safe_load(text)) == config.model_copy(update={"include": ()})


def test_face_is_frozen():
    assert sorted(face.__all__) == [
        "Address", "CacheConfig", "ClassifierConfig", "Config", "ConfigError", "ConstitutionConfig", "DeploymentConfig", "EMBEDDED",
        "ENGINE_PROVIDER", "EngineConfig", "EscalationConfig", "ExpectedOutputConfig", "FeatureName", "FloorsConfig", "GovernanceConfig",
        "HedgingConfig", "LimitsConfig", "ModelConfig", "PREFILL", "PriceConfig", "Problem", "ProviderConfig", "QueueConfig",
        "ReferenceUnresolvedError", "RestartConfig", "RetriesConfig", "RoutingConfig", "Secrets", "ServerConfig", "SharedStateConfig",
        "VaultAnswer",
        "build_table", "calibration_path", "chains", "default_path", "expand_path", "json_schema", "load",
        "load_weights", "parse",
        "parse_address", "redacted", "resolve_weights", "unavailable_reason",
    ]  # fmt: skip
