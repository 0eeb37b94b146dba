"""The section `queue`, and how many places and waiting requests an engine has by its own."""

import pytest

from tierway_server.config import parse


def test_every_lane_has_its_share_and_its_patience_by_default(small):
    queue = parse(small).queue
    assert (queue.shares.interactive, queue.shares.normal, queue.shares.batch) == (16, 4, 1)
    assert queue.max_wait_s.interactive < queue.max_wait_s.normal < queue.max_wait_s.batch
    assert queue.first_choice_wait_s.interactive < queue.first_choice_wait_s.normal < queue.first_choice_wait_s.batch


def test_a_lane_can_be_changed_alone(small):
    small["queue"] = {"max_wait_s": {"batch": 7}}
    assert (parse(small).queue.max_wait_s.batch, parse(small).queue.max_wait_s.normal) == (7, 30)


@pytest.mark.parametrize(
    ("queue", "path"),
    [
        ({"size": -1}, "queue.size"),
        ({"shares": {"batch": 0}}, "queue.shares.batch"),
        ({"max_wait_s": {"normal": 0}}, "queue.max_wait_s.normal"),
        ({"first_choice_wait_s": {"interactive": -1}}, "queue.first_choice_wait_s.interactive"),
        ({"lanes": {}}, "queue.lanes"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_path(small, problems, queue, path):
    small["queue"] = queue
    [problem] = problems(small)
    assert problem.startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("runs", "queue_size", "places", "waiting"),
    [(1, 8, 2, 7), (64, 256, 66, 254), (64, 1, 65, 0), (64, 0, 64, 0), (2, 1, 3, 0)],
)
def test_an_engine_is_given_what_it_runs_and_a_few_and_the_rest_waits(small, runs, queue_size, places, waiting):
    small["engines"]["tiny"] |= {"max_num_seqs": runs, "queue_size": queue_size}
    engine = parse(small).engines["tiny"]
    assert (engine.places, engine.waiting) == (places, waiting)
    assert engine.places + engine.waiting == runs + queue_size


def test_engines_and_providers_have_queues_of_their_own_size(small):
    small["engines"]["tiny"]["queue_size"] = 11
    small["queue"] = {"size": 5}
    assert parse(small).queue_sizes == (9, 5)
