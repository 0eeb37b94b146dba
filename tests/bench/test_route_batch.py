from tierway.v1 import router_service_pb2 as pb
from tierway_bench.route_batch import batch_of


def test_a_batch_has_as_many_prompts_as_asked_for_each_of_the_length_and_none_twice():
    batch = pb.RouteBatchRequest.FromString(batch_of(12, 1_000, include_reasons=True))
    prompts = [request.query.prompt for request in batch.requests]
    assert {len(prompt) for prompt in prompts} == {12}
    assert len(set(prompts)) == len(prompts) == 1_000
    assert batch.include_reasons
