"""`tierway explain`: what a decision is made of."""

import click

from tierway_cli._connection import Connection, connection_options
from tierway_cli._output import number, print_json, print_table, usd
from tierway_cli._query_options import query_options
from tierway_cli.route import assessed
from tierway_client import Assessment, Candidate, Explanation, QueryFields

_BAR_WIDTH = 20


@click.command()
@query_options
@connection_options
@click.option(
    "--features", "max_features", type=int, default=10, show_default=True, help="The most features to list, 0 to 100."
)
@click.option("--json", "as_json", is_flag=True, help="The explanation as one JSON object.")
def explain(
    *, prompt: str | None, fields: QueryFields, connection: Connection, max_features: int, as_json: bool
) -> None:
    """Shows why the decision on PROMPT (`-`: standard input) comes out so. Asks no model.

    What the classifier reads from it and by which features, what each candidate is worth, and what left the others out.
    """
    with connection.open() as client:
        explanation = client.explain(prompt, max_features=max_features, **fields)
    if as_json:
        print_json(explanation)
        return
    _print_decision(explanation)
    if explanation.assessment is not None:
        _print_assessment(explanation.assessment)
    _print_candidates(explanation.candidates)
    if explanation.features:
        heaviest = max(abs(feature.weight) for feature in explanation.features)
        print_table(
            ("feature", "", "weight", "harder +, easier -"),
            [
                (feature.name, feature.kind.name.lower(), f"{feature.weight:+.3f}", _bar(feature.weight, heaviest))
                for feature in explanation.features
            ],
        )
    print_table(
        ("reason", "about", "why"),
        [
            (reason.code.name.lower(), reason.subject, reason.detail)
            for reason in explanation.decision.reasons
            if not reason.code.name.startswith("FILTERED_")  # told with the candidates
        ],
    )


def _print_decision(explanation: Explanation) -> None:
    decision = explanation.decision
    print_table(
        ("decision", decision.decision_id),
        [
            ("model", f"{decision.model}, tier {decision.tier}"),
            ("deployment", f"{decision.deployment} ({decision.provider})"),
            ("complexity", decision.complexity.name.lower()),
            *assessed(decision),
            ("estimated cost", usd(decision.estimated_cost_usd)),
            ("falls back to", ", ".join(decision.fallback_chain) or "-"),
        ],
    )


def _print_assessment(assessment: Assessment) -> None:
    labels = ", ".join(f"{label.name.lower()} {share:.0%}" for label, share in assessment.label_probabilities.items())
    print_table(
        ("assessment", "of the query alone"),
        [
            ("difficulty", f"{assessment.difficulty:.2f} ± {assessment.sigma:.2f}"),
            ("domain", f"{assessment.domain} ({assessment.domain_probability:.0%})"),
            ("label", labels),
            ("passes by band", "  ".join(f"{share:.0%}" for share in assessment.band_pass)),
            ("worth a tier of", assessment.tier),
            ("confidence", f"{assessment.confidence:.2f}, {assessment.familiarity:.0%} of the words known"),
            *([] if assessment.gain is None else [("gain of the pair", f"{assessment.gain:+.3f}")]),
        ],
    )


def _print_candidates(candidates: tuple[Candidate, ...]) -> None:
    print_table(
        ("rank", "deployment", "tier", "quality", "cost", "utility", "left out"),
        [
            (
                candidate.rank or "-",
                candidate.deployment,
                candidate.tier,
                number(candidate.expected_quality),
                usd(candidate.cost_usd),
                "-" if candidate.utility is None else f"{candidate.utility:.4f}",
                _why_out(candidate),
            )
            for candidate in candidates
        ],
    )


def _why_out(candidate: Candidate) -> str:
    return candidate.left_out.detail.removeprefix(f"{candidate.deployment} is left out: ") if candidate.left_out else ""


def _bar(weight: float, heaviest: float) -> str:
    length = round(abs(weight) / heaviest * _BAR_WIDTH) if heaviest else 0
    return ("+" if weight > 0 else "-") * length
