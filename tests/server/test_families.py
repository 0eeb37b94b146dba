"""Metrics of several processes as one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tierway_server.telemetry.exposition import expose
from tierway_server.telemetry.families import Counts, Families, Merged, collect, lasting, merge


def process(answers: int, in_flight: float, *durations_s: float, model: str = "nano") -> Families:
    """What a process has that counted so many answers."""
    registry = CollectorRegistry()
    Counter("tierway_answers", "Answers.", ["model"], registry=registry).labels(model).inc(answers)
    Gauge("tierway_in_flight", "Under way.", registry=registry).set(in_flight)
    took = Histogram("tierway_ttft_seconds", "First token.", buckets=(0.1, 1), registry=registry)
    for duration_s in durations_s:
        took.observe(duration_s)
    return collect([registry])


def values(families: Families, name: str) -> dict[tuple[str, ...], float]:
    return {tuple(labels.values()): value for labels, value in Counts(families, 0).values(name)}


def test_counters_are_added_and_kept_apart_by_their_labels() -> None:
    whole = merge([process(3, 0), process(4, 0), process(5, 0, model="fast")])
    assert values(whole, "tierway_answers_total") == {("nano",): 7, ("fast",): 5}


def test_histograms_are_added_bucket_by_bucket() -> None:
    whole = merge([process(0, 0, 0.05, 0.5), process(0, 0, 0.05, 5)])
    assert values(whole, "tierway_ttft_seconds_bucket") == {("0.1",): 2, ("1.0",): 3, ("+Inf",): 4}
    assert values(whole, "tierway_ttft_seconds_count") == {(): 4}
    assert values(whole, "tierway_ttft_seconds_sum") == {(): 5.6}


def test_a_gauge_of_what_is_shared_is_told_once() -> None:
    assert values(merge([process(0, 2), process(0, 2)]), "tierway_in_flight") == {(): 2}


def test_when_a_counter_began_is_when_the_first_did() -> None:
    first, second = process(1, 0), process(1, 0)
    began = [values(one, "tierway_answers_created")["nano",] for one in (first, second)]
    assert values(merge([second, first]), "tierway_answers_created") == {("nano",): min(began)}


def test_of_a_process_that_has_ended_its_counts_stay_and_its_gauges_do_not() -> None:
    left = lasting(process(3, 7, 0.5))
    assert values(left, "tierway_answers_total") == {("nano",): 3}
    assert values(left, "tierway_ttft_seconds_count") == {(): 1}
    assert values(left, "tierway_in_flight") == {}


def test_nothing_is_lost_on_the_way_to_the_exposition() -> None:
    registry = CollectorRegistry()
    Counter("vllm:requests", "With a colon, and text to escape: \\ and \n.", ["of"], registry=registry).labels(
        '"q"'
    ).inc()
    Histogram("tierway_ttft_seconds", "First token.", buckets=(0.1, 1), registry=registry).observe(0.2)
    assert expose([Merged(merge([collect([registry])]))]) == expose([registry])


def test_what_waits_in_each_process_is_added_up() -> None:
    def depth(number: float) -> Families:
        registry = CollectorRegistry()
        Gauge("tierway_queue_depth", "Waiting.", ["lane"], registry=registry).labels("batch").set(number)
        return collect([registry])

    assert values(merge([depth(2), depth(3)]), "tierway_queue_depth") == {("batch",): 5}
