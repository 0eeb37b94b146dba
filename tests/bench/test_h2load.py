import pytest

from tierway_bench import h2load
from tierway_bench.h2load import H2loadError, Load, parse

OUTPUT = """
finished in {took}, 4065.04 req/s, 1.23MB/s
requests: 5000 total, 5000 started, 5000 done, {succeeded} succeeded, {failed} failed, {failed} errored, 0 timeout
status codes: 5000 2xx, 0 3xx, 0 4xx, 0 5xx
"""


@pytest.mark.parametrize(
    ("took", "seconds"), [("1.25s", 1.25), ("800.50ms", 0.8005), ("1.50m", 90.0), ("900us", 0.0009)]
)
def test_output_tells_requests_and_seconds(took, seconds):
    load = parse(OUTPUT.format(took=took, succeeded=5000, failed=0), 5000)
    assert load.requests == 5000
    assert load.seconds == pytest.approx(seconds)


def test_run_with_unanswered_requests_does_not_count():
    with pytest.raises(H2loadError, match="4990 of 5000"):
        parse(OUTPUT.format(took="1s", succeeded=4990, failed=10), 5000)


def test_foreign_output_is_shown():
    with pytest.raises(H2loadError, match="what is this"):
        parse("what is this", 1)


def test_absent_h2load_names_the_package(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(H2loadError, match="nghttp2-client"):
        h2load.executable()


def test_rate_is_requests_over_seconds():
    assert Load(requests=100, seconds=0.5).per_second == 200
