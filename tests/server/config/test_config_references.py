"""Credentials and weights: what is missing, and that no secret is told."""

import traceback

import pytest

from tierway_server.config import ReferenceUnresolvedError, Secrets, parse, resolve_weights, unavailable_reason


def reason(document, index, environ):
    config = parse(document)
    return unavailable_reason(config, config.deployments[index][1], environ, Secrets.of(config, environ))


@pytest.mark.parametrize("environ", [{}, {"GROQ_API_KEY": ""}, {"GROQ_API_KEY": " \n"}])
def test_provider_without_its_credential_says_which(environ, small):
    assert reason(small, 1, environ) == "no credential: GROQ_API_KEY is not set"


@pytest.mark.parametrize("key", ["schl\u00fcssel-hunter2", "hunter2\nhunter3", "hunter2 hunter3", "hunter2\x00"])
def test_key_that_no_header_field_takes_is_none_and_is_not_told(key, small):
    told = reason(small, 1, {"GROQ_API_KEY": key})
    assert told == "no credential: env:GROQ_API_KEY holds no key: white space, or characters beyond ASCII, are in it"


def test_provider_whose_key_file_is_missing_says_which(small, tmp_path):
    small["providers"]["groq"]["api_key"] = f"file:{tmp_path}/key"
    assert reason(small, 1, {}) == f"no credential: there is no file {tmp_path}/key"


@pytest.mark.parametrize("has_key", [True, False])
def test_provider_with_all_it_needs_has_nothing_static_in_its_way(has_key, small):
    if not has_key:
        del small["providers"]["groq"]["api_key"]
    environ = {"GROQ_API_KEY": "hunter2"} if has_key else {}
    assert reason(small, 1, environ) == ""


@pytest.mark.parametrize("kind", ["openai", "groq", "openrouter", "gemini", "xai"])
def test_service_that_lets_nobody_in_without_a_key_needs_one_at_its_own_address(kind, small):
    small["providers"]["groq"] = {"kind": kind}
    assert reason(small, 1, {}) == "no credential: the provider states no api_key"
    small["providers"]["groq"]["base_url"] = "http://gateway.internal/v1"
    assert reason(small, 1, {}) == ""


@pytest.mark.parametrize("kind", ["ollama", "llamacpp", "vllm"])
def test_server_of_one_s_own_needs_no_key(kind, small):
    small["providers"]["groq"] = {"kind": kind}
    assert reason(small, 1, {}) == ""


def test_engine_whose_variable_is_unset_says_which(small):
    small["engines"]["tiny"]["model"] = "${TIERWAY_MODELS}/tiny"
    assert reason(small, 0, {}) == "no weights: TIERWAY_MODELS is not set"


def test_engine_without_its_folder_says_which(small, tmp_path):
    small["engines"]["tiny"]["model"] = "${TIERWAY_MODELS}/tiny"
    assert reason(small, 0, {"TIERWAY_MODELS": str(tmp_path)}) == f"no weights: there is no folder {tmp_path}/tiny"


def test_engine_whose_folder_holds_no_model_says_so(small, tmp_path):
    small["engines"]["tiny"]["model"] = str(tmp_path)
    assert reason(small, 0, {}) == f"no weights: {tmp_path} has no config.json"


def test_engine_with_weights_may_start(small, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    small["engines"]["tiny"]["model"] = "~"
    assert reason(small, 0, {"HOME": str(tmp_path)}) == ""
    assert resolve_weights("~", {"HOME": str(tmp_path)}) == tmp_path


def test_embedded_engine_may_always_start(small):
    small["engines"]["tiny"]["model"] = "embedded"
    assert reason(small, 0, {}) == ""


def test_secret_comes_without_surrounding_white_space(tmp_path):
    (tmp_path / "key").write_text("hunter2\n")
    assert Secrets({"HERE": str(tmp_path)}, {}).resolve("file:${HERE}/key") == "hunter2"
    assert Secrets({"KEY": " hunter2 "}, {}).resolve("env:KEY") == "hunter2"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"\xffhunter2", "cannot be read"), (b"h" * 100_000, "is too large")],
)
def test_key_file_without_a_key_is_refused_without_telling_it(content, complaint, tmp_path):
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ReferenceUnresolvedError, match=complaint) as caught:
        Secrets({}, {}).resolve(f"file:{path}")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_literal_secret_is_refused_without_telling_it():
    with pytest.raises(ValueError, match="must be a reference") as caught:
        Secrets({}, {}).resolve("hunter2")
    assert "hunter2" not in str(caught.value)
