"""A decision laid open: what the classifier read, what each deployment was worth, which features weighed most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tierway.v1 import router_service_pb2 as router_pb
from tierway.v1 import types_pb2 as types_pb
from tierway_core import Assessment, Candidate, Contribution, Decision, Deployment, contributions
from tierway_server.errors import InvalidRequestError
from tierway_server.rpc.encode import PICO, label

_DEFAULT_FEATURES, _MOST_FEATURES = 10, 100
_FEATURE_KINDS = {
    "counter": types_pb.FEATURE_KIND_COUNTER,
    "word": types_pb.FEATURE_KIND_WORD,
    "pair": types_pb.FEATURE_KIND_PAIR,
    "characters": types_pb.FEATURE_KIND_CHARACTERS,
}


def features_wanted(request: router_pb.ExplainRequest) -> int:
    """How many features the request asks for.

    Raises:
        InvalidRequestError: too few or too many.

    """
    if not request.HasField("max_features"):
        return _DEFAULT_FEATURES
    if not 0 <= request.max_features <= _MOST_FEATURES:
        raise InvalidRequestError(f"must be 0 to {_MOST_FEATURES}", field="max_features")
    return request.max_features


def explanation(decision: Decision, most_features: int) -> router_pb.ExplainResponse:
    """What there is to say of a decision beside the decision itself. Takes some milliseconds."""
    reply = router_pb.ExplainResponse(candidates=_candidates(decision))
    if decision.assessment is not None and decision.classifier is not None:
        reply.assessment.CopyFrom(_assessment(decision.assessment))
        found = contributions(decision.classifier.weights, decision.request.text, most_features)
        reply.features.extend(_features(found[:most_features]))
    return reply


def _assessment(assessment: Assessment) -> types_pb.Assessment:
    return types_pb.Assessment(
        difficulty=assessment.difficulty,
        sigma=assessment.sigma,
        band_pass=assessment.bands,
        tier=assessment.tier,
        domain=assessment.domain,
        domain_probability=assessment.domain_probability,
        label=label(assessment.label),  # type: ignore[arg-type]  # open enums are ints
        label_probabilities=assessment.label_probabilities,
        confidence=assessment.confidence,
        gain=assessment.gain,
        familiarity=assessment.familiarity,
    )


def _candidates(decision: Decision) -> Iterator[types_pb.Candidate]:
    # Ranks begin at 1; what is left out has 0 and comes last. Sorting keeps the configuration's order among equals.
    for candidate in sorted(decision.candidates, key=lambda each: each.rank or len(decision.candidates) + 1):
        yield _candidate(candidate, decision.table.deployments[candidate.deployment])


def _candidate(candidate: Candidate, deployment: Deployment) -> types_pb.Candidate:
    name = deployment.spec.name
    message = types_pb.Candidate(
        deployment=name,
        model=deployment.model.name,
        tier=deployment.model.tier,
        expected_quality=candidate.expected_quality,
        cost_usd=candidate.cost_picousd * PICO,
        utility=candidate.utility,
        rank=candidate.rank,
    )
    if candidate.code is not None:
        message.left_out.code = candidate.code.value  # type: ignore[assignment]  # open enums are ints
        message.left_out.subject = name
        message.left_out.detail = candidate.detail
    return message


def _features(found: Iterable[Contribution]) -> Iterator[types_pb.Feature]:
    for each in found:
        yield types_pb.Feature(kind=_FEATURE_KINDS[each.kind], name=each.name, weight=each.weight)
