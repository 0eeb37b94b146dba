"""What each section refuses, by the exact line."""

import pytest

from tierway_server.config import parse


def put(document, path, value):
    *parents, last = path
    for part in parents:
        document = document.setdefault(part, {}) if isinstance(document, dict) else document[part]
    document[last] = value


PRICE = ("models", 0, "price_usd_per_million_tokens")
ADDRESS = 'must be "host:port", such as "127.0.0.1:50051"'
SECRET = 'must be a reference, "env:NAME", "file:PATH" or "vault:PATH#KEY", never the secret itself'

CASES = [
    (("servr",), {}, 'servr: unknown key; did you mean "server"?'),
    (("server", "listn"), "x", 'server.listn: unknown key; did you mean "listen"?'),
    (("server", "limits", "prompt_byte"), 1, 'server.limits.prompt_byte: unknown key; did you mean "prompt_bytes"?'),
    (("models", 0, "teir"), 1, 'models[0].teir: unknown key; did you mean "tier"?'),
    (
        ("models", 0, "deployments", 0, "engin"),
        1,
        'models[0].deployments[0].engin: unknown key; did you mean "engine"?',
    ),
    (("engines", "tiny", "dtyp"), 1, 'engines.tiny.dtyp: unknown key; did you mean "dtype"?'),
    (
        ("engines", "tiny", "restart", "max_backof_s"),
        1,
        'engines.tiny.restart.max_backof_s: unknown key; did you mean "max_backoff_s"?',
    ),
    (
        ("providers", "groq", "url"),
        "x",
        "providers.groq.url: unknown key",
    ),
    (("server",), None, "server: must be a mapping, not empty"),
    (("server",), [], "server: must be a mapping, not a list"),
    (("engines",), [], "engines: must be a mapping, not a list"),
    (("routing", "critical_agents"), "one", "routing.critical_agents: must be a list, not text"),
    (("server", "reflection"), "yes", "server.reflection: must be true or false, not text"),
    (("server", "reflection"), 1, "server.reflection: must be true or false, not an integer"),
    (("server", "listen"), 50051, "server.listen: must be text, not an integer; put it in quotes"),
    (("server", "listen"), "50051", f"server.listen: {ADDRESS}"),
    (("server", "listen"), "unix:/tmp/socket", f"server.listen: {ADDRESS}"),
    (("server", "listen"), "127.0.0.1:", f"server.listen: {ADDRESS}"),
    (("server", "listen"), "::1:50051", f"server.listen: {ADDRESS}"),
    (("server", "listen"), "127.0.0.1:65536", "server.listen: port must be at most 65535"),
    (("server", "admin_listen"), "127.0.0.1:50051", "server.admin_listen: port 50051 is already that of listen"),
    (("server", "listen"), "0.0.0.0:8020", "server.http_listen: port 8020 is already that of listen"),
    (("server", "default_deadline_s"), 601, "server.max_deadline_s: must be at least default_deadline_s, which is 601"),
    (("server", "drain_grace_s"), -1, "server.drain_grace_s: must be at least 0"),
    (("server", "drain_grace_s"), float("nan"), "server.drain_grace_s: must be a finite number"),
    (
        ("server", "limits", "receive_bytes"),
        2048,
        "server.limits.prompt_bytes: must be at most receive_bytes, which is 2048",
    ),
    (("server", "limits", "batch_requests"), 1001, "server.limits.batch_requests: must be at most 1000"),
    (("constitution", "hash"), "CDD01EF066BC6CF2", "constitution.hash: must be 16 lower-case hexadecimal digits"),
    (("constitution", "hash"), "cdd01ef066bc6cf2\n", "constitution.hash: must be 16 lower-case hexadecimal digits"),
    (("routing", "accurate_tier"), 6, "routing.accurate_tier: must be at most 5"),
    (("routing", "floors", "simple"), 0, "routing.floors.simple: must be at least 1"),
    (
        ("routing", "floors", "vision"),
        1,
        'routing.floors.vision: unknown key; there is "complex", "moderate", "simple", "trivial"',
    ),
    (("routing", "task_types", "summary"), "two", "routing.task_types.summary: must be an integer, not text"),
    (("routing", "min_compliance"), 1.01, "routing.min_compliance: must be at most 1"),
    (("routing", "governance", "terms"), [""], "routing.governance.terms[0]: must not be empty"),
    (
        ("engines", "a b"),
        {"model": "embedded", "context_tokens": 64},
        'engines["a b"]: must be a name: letters, digits and . _ : / @ -, at most 128, beginning with a letter or digit',
    ),
    (("engines", "tiny", "context_tokens"), None, "engines.tiny.context_tokens: must be an integer, not empty"),
    (
        ("engines", "tiny", "dtype"),
        "fp8",
        'engines.tiny.dtype: must be one of "auto", "bfloat16", "float16" or "float32"',
    ),
    (
        ("engines", "tiny", "model"),
        "${TIERWAY_MODELS/x",
        'engines.tiny.model: "${" must begin a variable, such as "${TIERWAY_MODELS}"',
    ),
    (
        ("engines", "tiny", "max_num_seqs"),
        4096,
        "engines.tiny.max_num_batched_tokens: must be at least max_num_seqs, which is 4096",
    ),
    (
        ("engines", "tiny", "threads_bind"),
        "0-1; rm",
        'engines.tiny.threads_bind: must be cores such as "0-1" or "0,2", or "all", "auto" or "nobind"',
    ),
    (("engines", "tiny", "gpu_memory_utilization"), 0, "engines.tiny.gpu_memory_utilization: must be above 0"),
    (
        ("engines", "tiny", "restart", "max_backoff_s"),
        0.5,
        "engines.tiny.restart.max_backoff_s: must be at least initial_backoff_s, which is 1",
    ),
    (
        ("providers", "groq", "kind"),
        "soap",
        'providers.groq.kind: must be one of "openai", "azure", "groq", "openrouter", "gemini", "xai", "ollama", "llamacpp" or "vllm"',
    ),
    (("providers", "groq", "kind"), "azure", 'providers.groq: of kind "azure" must state "base_url" and "api_version"'),
    (
        ("providers", "groq", "api_version"),
        "2024-10-21",
        'providers.groq: must have no "api_version": only kind "azure" has one',
    ),
    (("providers", "groq", "max_in_flight"), 0, "providers.groq.max_in_flight: must be at least 1"),
    (("providers", "groq", "max_connections"), 0, "providers.groq.max_connections: must be at least 1"),
    (("providers", "groq", "idle_timeout_s"), 0, "providers.groq.idle_timeout_s: must be above 0"),
    (
        ("providers", "groq", "headers"),
        {"Authorization": "hunter2"},
        'providers.groq.headers: must not state "Authorization"',
    ),
    (
        ("providers", "groq", "headers"),
        {"X-Title": "a\r\nb: c"},
        "providers.groq.headers: must be names and values of HTTP header fields, in ASCII",
    ),
    (
        ("models", 1, "deployments", 0, "parameters"),
        {"stream": False},
        'models[1].deployments[0].parameters: must not state "stream"',
    ),
    (
        ("models", 0, "deployments", 0, "lacks"),
        ["seed"],
        'models[0].deployments[0]: must have none of "lacks", "can" and "parameters": they are for providers',
    ),
    (
        ("providers", "groq", "base_url"),
        "api.groq.com",
        'providers.groq.base_url: must be an "http:" or "https:" address',
    ),
    (
        ("providers", "groq", "base_url"),
        "https://[::1",
        'providers.groq.base_url: must be an "http:" or "https:" address',
    ),
    (
        ("providers", "groq", "base_url"),
        "https://me:hunter2@x/v1",
        "providers.groq.base_url: must have no user, query or fragment",
    ),
    (("providers", "groq", "api_key"), "gsk_hunter2", f"providers.groq.api_key: {SECRET}"),
    (("providers", "groq", "api_key"), "env:gsk-hunter2", f"providers.groq.api_key: {SECRET}"),
    (("providers", "groq", "api_key"), "vault:hunter2", f"providers.groq.api_key: {SECRET}"),
    (("providers", "groq", "api_key"), "vault:hunter2?#key", f"providers.groq.api_key: {SECRET}"),
    (("models",), [], "models: must have at least one model"),
    (("models", 0), "small", "models[0]: must be a mapping, not text"),
    (("models", 0, "tier"), 6, "models[0].tier: must be at most 5"),
    (("models", 0, "tier"), True, "models[0].tier: must be an integer, not true or false"),
    (("models", 0, "tier"), 1.0, "models[0].tier: must be an integer, not a number"),
    (("models", 0, "compliance"), float("inf"), "models[0].compliance: must be a finite number"),
    (("models", 0, "vision"), "no", "models[0].vision: must be true or false, not text"),
    (("models", 0, "deployments"), [], "models[0].deployments: must have at least 1 item"),
    (("models", 0, "deployments", 0), {}, 'models[0].deployments[0]: must have exactly one of "engine" and "provider"'),
    (
        ("models", 1, "deployments", 0, "engine"),
        "tiny",
        'models[1].deployments[0]: must have exactly one of "engine" and "provider"',
    ),
    (
        ("models", 1, "deployments", 0),
        {"provider": "groq"},
        'models[1].deployments[0]: must state "model", what the provider calls it',
    ),
    (
        ("models", 0, "deployments", 0, "model"),
        "x",
        'models[0].deployments[0]: must have no "model": an engine has only its own',
    ),
    (
        ("models", 0, "deployments", 0, "expected_latency_s"),
        0,
        "models[0].deployments[0].expected_latency_s: must be above 0",
    ),
    ((*PRICE, "input"), -0.01, "models[0].price_usd_per_million_tokens.input: must be at least 0"),
    ((*PRICE, "input"), float("nan"), "models[0].price_usd_per_million_tokens.input: must be a finite number"),
    ((*PRICE, "output"), float("inf"), "models[0].price_usd_per_million_tokens.output: must be a finite number"),
    ((*PRICE, "output"), "0.1", "models[0].price_usd_per_million_tokens.output: must be a number, not text"),
    (
        (*PRICE, "output"),
        0.0000001,
        "models[0].price_usd_per_million_tokens.output: is finer than 1 pico-USD a token: at most 6 decimal places",
    ),
    ((*PRICE, "output"), 1e300, "models[0].price_usd_per_million_tokens.output: must be at most 1000000"),
]


@pytest.mark.parametrize(
    ("path", "value", "expected"), CASES, ids=[f"{'.'.join(map(str, path))}={value!r}" for path, value, _ in CASES]
)
def test_wrong_value_is_told_in_one_exact_line(path, value, expected, small, problems):
    put(small, path, value)
    assert problems(small)[0] == expected


@pytest.mark.parametrize("name", ["model", "dtype", "engines"])
def test_unknown_key_is_told_whatever_the_engine_is_called(name, small, problems):
    small["engines"][name] = {"model": "embedded", "context_tokens": 64, "dtyp": "auto"}
    assert problems(small) == [f'engines.{name}.dtyp: unknown key; did you mean "dtype"?']


def test_missing_keys_are_told(small, problems):
    del small["models"][0]["tier"]
    del small["engines"]["tiny"]["model"]
    assert problems(small) == ["engines.tiny.model: is required", "models[0].tier: is required"]


def test_all_problems_are_told_together(small, problems):
    small["server"] = {"listen": "nowhere", "reflexion": True}
    small["models"][0]["tier"] = 9
    small["models"][0]["fallback"] = ["larg"]
    small["models"][1]["deployments"][0]["provider"] = "grok"
    assert problems(small) == [
        f"server.listen: {ADDRESS}",
        'server.reflexion: unknown key; did you mean "reflection"?',
        "models[0].tier: must be at most 5",
        'models[0].fallback[0]: unknown model "larg"; did you mean "large"?',
        'models[1].deployments[0].provider: unknown provider "grok"; did you mean "groq"?',
    ]


@pytest.mark.parametrize("field", ["api_key", "base_url"])
@pytest.mark.parametrize(
    "value", ["hunter2", "https://user:hunter2@host", ["hunter2"], {"hunter": "hunter2"}, "file:hunter2${"]
)
def test_secret_in_the_wrong_place_is_never_told(field, value, small, problems):
    small["providers"]["groq"][field] = value
    assert not any("hunter2" in problem for problem in problems(small))


def test_ports_zero_do_not_collide(small):
    small["server"] = dict.fromkeys(("listen", "admin_listen", "http_listen"), "127.0.0.1:0")
    assert parse(small).server.http_listen == "127.0.0.1:0"


def test_sections_cannot_be_changed(small):
    with pytest.raises(ValueError, match="frozen"):
        parse(small).server.listen = "127.0.0.1:1"


def test_value_that_yaml_has_not_is_a_type_error(small):
    small["server"] = {"listen": object()}
    with pytest.raises(TypeError, match="cannot hold a object"):
        parse(small)
