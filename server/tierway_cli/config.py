"""`tierway config`: checks a configuration without serving it, reports on its chains, and publishes its schema."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tierway_cli._output import minutes, percentage, print_table
from tierway_cli._problems import problems_shown

if TYPE_CHECKING:
    from tierway_core.diversity import Chain


@click.group()
def config() -> None:
    """Checks configuration files, and shows what may be in them."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(*, file: Path) -> None:
    """Checks FILE and shows all that is wrong with it, a line each."""
    with problems_shown():
        from tierway_server.config import load

        loaded = load(file, environ=os.environ)
    click.echo(f"{file}: valid, {len(loaded.models)} models")


@config.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--before", type=click.Path(path_type=Path), help="The configuration before a change, to set beside FILE."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def report(*, file: Path | None, before: Path | None, as_json: bool) -> None:
    """Shows on whom each model's fallback chain in FILE (default: the shipped one) depends, and how long it is expected to be down.

    Expected availabilities are those of the configuration: of providers and engines, which fail independently of each other, and of
    deployments, which share the fate of what they run on.
    """
    with problems_shown():
        after_chains = _chains(file)
        before_chains = None if before is None else _chains(before)
    if as_json:
        found = {"chains": [_object(chain) for chain in after_chains.values()]}
        if before_chains is not None:
            found["before"] = [_object(chain) for chain in before_chains.values()]
        click.echo(json.dumps(found))
    elif before_chains is None:
        print_table(
            ("model", "followed by", "providers", "entropy", "single points", "availability", "down a month"),
            [
                (
                    model,
                    ", ".join(chain.models[1:]) or "-",
                    *_cells(chain),
                    percentage(chain.availability),
                    _down(chain),
                )
                for model, chain in after_chains.items()
            ],
        )
    else:
        print_table(
            ("model", "providers", "entropy", "single points", "availability", "down a month"),
            [
                _beside(before_chains.get(model), after_chains.get(model), model)
                for model in {**before_chains, **after_chains}
            ],
            title="before -> after, where they differ",
        )


@config.command()
def schema() -> None:
    """Prints the JSON Schema of configuration files; editors complete by it."""
    from tierway_server.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


def _chains(file: Path | None) -> "dict[str, Chain]":
    from tierway_server.config import chains, load

    return {chain.model: chain for chain in chains(load(file, environ=os.environ))}


def _cells(chain: "Chain") -> tuple[str, str, str]:
    return (
        ", ".join(f"{name} {count}" if count > 1 else name for name, count in chain.providers),
        f"{chain.entropy_bits:.2f} bits",
        ", ".join(chain.single_points) or "-",
    )


def _down(chain: "Chain") -> str:
    return minutes(chain.downtime_minutes)


def _beside(before: "Chain | None", after: "Chain | None", model: str) -> list[str]:
    """The cells of a chain before and after; one where they are the same."""

    def cells(chain: "Chain | None") -> tuple[str, ...]:
        return ("(none)",) * 5 if chain is None else (*_cells(chain), percentage(chain.availability), _down(chain))

    pairs = zip(cells(before), cells(after), strict=True)
    return [model, *(new if old == new else f"{old} -> {new}" for old, new in pairs)]


def _object(chain: "Chain") -> dict[str, Any]:
    return {**asdict(chain), "providers": dict(chain.providers), "downtime_minutes": chain.downtime_minutes}
