"""Providers of the kind `vllm_grpc`: where they are, what they need besides."""

import sys

import pytest

from tierway_server.config import Secrets, parse, unavailable_reason


@pytest.fixture
def far(small):
    small["providers"]["groq"] = {"kind": "vllm_grpc", "base_url": "grpc://engines:50051"}
    return small


def reason(document, environ):
    config = parse(document)
    return unavailable_reason(config, config.deployments[1][1], environ, Secrets.of(config, environ))


@pytest.mark.parametrize("url", ["grpc://engines:50051", "grpcs://engines:443/", "grpc://[::1]:50051"])
def test_it_is_at_a_host_and_a_port(far, url):
    far["providers"]["groq"]["base_url"] = url
    assert parse(far).providers["groq"].address == url


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://engines:50051", 'must be a "grpc:" or "grpcs:" address'),
        ("grpc://", 'must be a "grpc:" or "grpcs:" address'),
        ("grpc://engines", "must be a host and a port"),
        ("grpc://engines:50051/v1", "must be a host and a port"),
        ("grpc://me:hunter2@engines:50051", "must have no user, query or fragment"),
    ],
)
def test_anything_else_is_no_place_for_it(far, problems, url, complaint):
    far["providers"]["groq"]["base_url"] = url
    assert problems(far) == [f"providers.groq.base_url: {complaint}"]


def test_such_an_address_is_for_no_other_kind(far, problems):
    far["providers"]["groq"]["kind"] = "vllm"
    assert problems(far) == ['providers.groq.base_url: must be an "http:" or "https:" address']


def test_a_tokenizer_is_for_no_other_kind(far, problems):
    far["providers"]["groq"] |= {"tokenizer": "~/model"}
    assert parse(far).providers["groq"].tokenizer == "~/model"
    far["providers"]["groq"] |= {"kind": "vllm", "base_url": "http://engines"}
    assert problems(far) == ['providers.groq: must have no "tokenizer": only kind "vllm_grpc" needs one']


def test_a_tokenizer_that_is_nowhere_makes_it_unavailable_with_the_reason(far):
    far["providers"]["groq"]["tokenizer"] = "${TIERWAY_MODELS}/model"
    assert reason(far, {}) == "no tokenizer: TIERWAY_MODELS is not set"
    assert reason(far, {"TIERWAY_MODELS": "/models"}) == ""


def test_without_the_extra_the_reason_says_what_to_install(far, monkeypatch):
    monkeypatch.setitem(sys.modules, "smg_grpc_proto", None)
    assert reason(far, {}) == 'needs the package smg_grpc_proto: pip install "tierway[vllm-grpc]"'
