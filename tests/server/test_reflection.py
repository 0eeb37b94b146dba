import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2 as reflection

from tests.server.fleet import five_tiers, only
from tests.server.running import SERVICE, RunningServer, serving
from tierway.v1 import router_service_pb2 as rpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

PACKAGES = pytest.mark.parametrize("package", ["grpc.reflection.v1", "grpc.reflection.v1alpha"])


async def ask(
    channel: grpc.aio.Channel, package: str, *requests: reflection.ServerReflectionRequest
) -> list[reflection.ServerReflectionResponse]:
    """The two packages differ in their name only."""
    call = channel.stream_stream(
        f"/{package}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection.ServerReflectionResponse.FromString,
    )
    return [reply async for reply in call(iter(requests))]


@PACKAGES
async def test_every_service_is_listed(shared_server: RunningServer, package: str) -> None:
    [reply] = await ask(shared_server.channel, package, reflection.ServerReflectionRequest(list_services=""))
    names = {service.name for service in reply.list_services_response.service}
    assert names == {
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@PACKAGES
async def test_the_service_is_described_down_to_its_messages(shared_server: RunningServer, package: str) -> None:
    requests = [
        reflection.ServerReflectionRequest(file_containing_symbol=SERVICE),
        reflection.ServerReflectionRequest(file_containing_symbol="tierway.v1.Decision"),
        reflection.ServerReflectionRequest(file_by_filename="tierway/v1/types.proto"),
    ]
    service, decision, types = await ask(shared_server.channel, package, *requests)
    described = described_files(service)
    assert described["tierway/v1/router_service.proto"].SerializeToString() == rpc.DESCRIPTOR.serialized_pb
    for reply in (decision, types):
        assert "tierway/v1/types.proto" in described_files(reply)


@PACKAGES
async def test_an_unknown_symbol_is_not_found(shared_server: RunningServer, package: str) -> None:
    [reply] = await ask(
        shared_server.channel, package, reflection.ServerReflectionRequest(file_containing_symbol="tierway.v1.Nothing")
    )
    assert reply.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@PACKAGES
async def test_the_listed_services_are_those_that_can_be_described(shared_server: RunningServer, package: str) -> None:
    [listed] = await ask(shared_server.channel, package, reflection.ServerReflectionRequest(list_services=""))
    for service in listed.list_services_response.service:
        [reply] = await ask(
            shared_server.channel, package, reflection.ServerReflectionRequest(file_containing_symbol=service.name)
        )
        assert described_files(reply), service.name


@PACKAGES
async def test_it_can_be_turned_off(package: str) -> None:
    async with serving(only(five_tiers(reflection=False), "nano")) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(server.channel, package, reflection.ServerReflectionRequest(list_services=""))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def described_files(reply: reflection.ServerReflectionResponse) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    files = map(descriptor_pb2.FileDescriptorProto.FromString, reply.file_descriptor_response.file_descriptor_proto)
    return {file.name: file for file in files}
