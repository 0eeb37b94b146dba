"""What the section `routing.classifier` points at: the weights, and where the calibration is.

Beside `table` and the modules of the policy, what knows the core here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tierway_core import Weights, WeightsError
from tierway_server.config.model import Config
from tierway_server.config.problems import ConfigError, Location, Problem, path_of, quoted
from tierway_server.config.references import ReferenceUnresolvedError, expand_path
from tierway_server.config.suggest import did_you_mean

_WEIGHTS = "routing.classifier.weights"
_CALIBRATION = "routing.classifier.calibration"


def load_weights(config: Config, environ: Mapping[str, str]) -> Weights | None:
    """The classifier's weights; None where it is turned off.

    Raises:
        ConfigError: the file is not there or not valid, or a model states an ability in a domain that the weights do not know.
    """
    classifier = config.routing.classifier
    if not classifier.enabled:
        return None
    weights = _shipped() if classifier.weights is None else _read(_path(_WEIGHTS, classifier.weights, environ))
    problems = [
        Problem(path=path_of(location), message=message)
        for location, message in unknown_domains(config, weights.domains)
    ]
    if problems:
        raise ConfigError(problems)
    return weights


def calibration_path(config: Config, environ: Mapping[str, str]) -> Path | None:
    """Where the calibration is; None where none is configured, or the classifier turned off.

    Raises:
        ConfigError: a variable in the path is not set.
    """
    classifier = config.routing.classifier
    if not classifier.enabled or classifier.calibration is None:
        return None
    return _path(_CALIBRATION, classifier.calibration, environ)


def check_domains(config: Config) -> Iterator[tuple[Location, str]]:
    """Yield each domain of `config` that the shipped weights do not know; other weights are asked when the server starts."""
    stated = any(model.ability_by_domain for model in config.models) or any(
        rule.domains for rule in config.routing.rules
    )
    if stated and config.routing.classifier.weights is None:
        yield from unknown_domains(config, _shipped().domains)


def unknown_domains(config: Config, known: tuple[str, ...]) -> Iterator[tuple[Location, str]]:
    """Yield where and what is wrong for each ability, and each condition of a rule, in a domain that is not `known`."""
    stated: list[tuple[Location, str]] = [
        (("models", index, "ability_by_domain", domain), domain)
        for index, model in enumerate(config.models)
        for domain in model.ability_by_domain
    ]
    stated += [
        (("routing", "rules", index, "domains", place), domain)
        for index, rule in enumerate(config.routing.rules)
        for place, domain in enumerate(rule.domains)
    ]
    for location, domain in stated:
        if domain not in known:
            suggestion = did_you_mean(domain, known) or f"; there is {', '.join(map(quoted, known))}"
            yield location, f"unknown domain {quoted(domain)}{suggestion}"


def _shipped() -> Weights:
    try:
        return Weights.default()
    except (OSError, WeightsError) as error:
        raise _weights_problem(f"the shipped weights cannot be used: {error}") from None


def _read(path: Path) -> Weights:
    try:
        return Weights.load(path)
    except OSError as error:
        raise _weights_problem(f"{path} cannot be read: {error.strerror}") from None
    except WeightsError as error:
        raise _weights_problem(f"{path}: {error}") from None


def _weights_problem(message: str) -> ConfigError:
    return ConfigError([Problem(path=_WEIGHTS, message=message)])


def _path(setting: str, text: str, environ: Mapping[str, str]) -> Path:
    try:
        return expand_path(text, environ)
    except ReferenceUnresolvedError as error:
        raise ConfigError([Problem(path=setting, message=str(error))]) from None
