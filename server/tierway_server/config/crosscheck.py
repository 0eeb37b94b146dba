"""What the sections say about each other: names that must exist, names that must differ.

Works on the plain document and passes over what is malformed, so that these problems are reported together with those of the sections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tierway_server.config.models import ENGINE_PROVIDER, UNNAMED, default_deployment_name
from tierway_server.config.policy_specs import provider_limit
from tierway_server.config.policycheck import Finding, check_names, mapping, mappings
from tierway_server.config.problems import Location, path_of, quoted
from tierway_server.config.suggest import did_you_mean

_Models = list[tuple[Location, Mapping[str, object]]]


def cross_check(document: Mapping[str, object]) -> Iterator[Finding]:
    """Yield where and what is wrong between the sections of `document`."""
    engines, providers = mapping(document.get("engines")), mapping(document.get("providers"))
    models: _Models = [(("models", index), model) for index, model in mappings(document.get("models"))]
    if ENGINE_PROVIDER in providers:
        yield (
            ("providers", ENGINE_PROVIDER),
            f'"{ENGINE_PROVIDER}" is the provider of the engines of this process: choose another name',
        )
    for provider in providers:
        if provider_limit(provider) in mapping(document.get("limits")):
            yield (
                ("limits", provider_limit(provider)),
                f"is the name of the limit that stands for provider {quoted(provider)}: choose another",
            )
    if "models" not in document or document["models"] == []:
        yield ("models",), "must have at least one model"
    yield from _duplicates((location, model.get("name")) for location, model in models)
    yield from _chains(models)
    deployments = [
        ((*location, "deployments", index), model, deployment)
        for location, model in models
        for index, deployment in mappings(model.get("deployments"))
    ]
    yield from _duplicates(
        (location, deployment.get("name", default_deployment_name(model.get("name"), deployment)))
        for location, model, deployment in deployments
        if deployment.get("engine") or deployment.get("provider")
    )
    for location, _, deployment in deployments:
        yield from _place(location, deployment, "engine", engines)
        yield from _place(location, deployment, "provider", providers)
        yield from _context(location, deployment, engines)
    yield from check_names(document)


def _duplicates(named: Iterator[tuple[Location, object]]) -> Iterator[Finding]:
    first: dict[str, Location] = {}
    for location, name in named:
        if not isinstance(name, str) or name == UNNAMED:
            continue
        if name in first:
            yield (*location, "name"), f"duplicate name {quoted(name)}, first at {path_of(first[name])}"
        first.setdefault(name, location)


def _chains(models: _Models) -> Iterator[Finding]:
    names = {name for _, model in models if isinstance(name := model.get("name"), str)}
    for location, model in models:
        listed = model.get("fallback")
        fallback = listed if isinstance(listed, list) else []
        for index, follower in enumerate(fallback):
            if not isinstance(follower, str):
                continue
            if follower not in names:
                yield (*location, "fallback", index), f"unknown model {quoted(follower)}{did_you_mean(follower, names)}"
            elif follower in fallback[:index]:
                yield (*location, "fallback", index), f"{quoted(follower)} is listed twice"


def _place(
    location: Location, deployment: Mapping[str, object], kind: str, known: Mapping[str, object]
) -> Iterator[Finding]:
    name = deployment.get(kind)
    if isinstance(name, str) and name not in known:
        yield (*location, kind), f"unknown {kind} {quoted(name)}{did_you_mean(name, known)}"


def _context(location: Location, deployment: Mapping[str, object], engines: Mapping[str, object]) -> Iterator[Finding]:
    engine, asked = deployment.get("engine"), deployment.get("context_tokens")
    if not isinstance(engine, str):
        return
    there = mapping(engines.get(engine)).get("context_tokens")
    if isinstance(asked, int) and isinstance(there, int) and asked > there:
        yield (*location, "context_tokens"), f"must be at most that of engine {quoted(engine)}, which is {there}"
