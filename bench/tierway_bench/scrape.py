"""Reads numbers off a Prometheus page."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tierway_bench.processes import fetch


class ScrapeError(Exception):
    """The page could not be read."""


def page(http: str) -> str:
    """The page `/metrics` below `http`.

    Raises:
        ScrapeError: nobody answered, or not with the page.

    """
    status, text = fetch(f"{http}/metrics")
    if status != 200:
        raise ScrapeError(f"{http}/metrics answered {status or 'nothing'}")
    return text


def total(text: str, sample_name: str, **labels: str) -> float | None:
    """The sum of the samples of that name whose labels include `labels`; None when there is none."""
    values = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == sample_name and labels.items() <= sample.labels.items()
    ]
    return sum(values) if values else None
