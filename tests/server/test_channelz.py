import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc

from tests.server.asking import route
from tests.server.fleet import five_tiers, only
from tests.server.running import RunningServer, serving
from tierway.v1.router_service_pb2_grpc import RouterServiceStub

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_admin_port_tells_of_servers_and_their_calls(shared_server: RunningServer) -> None:
    await shared_server.router.Route(route())
    channelz = channelz_pb2_grpc.ChannelzStub(shared_server.admin_channel)
    reply = await channelz.GetServers(channelz_pb2.GetServersRequest(start_server_id=0))
    assert sum(server.data.calls_succeeded for server in reply.server) >= 1


async def test_the_public_port_does_not(shared_server: RunningServer) -> None:
    channelz = channelz_pb2_grpc.ChannelzStub(shared_server.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channelz.GetServers(channelz_pb2.GetServersRequest(start_server_id=0))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_admin_port_does_not_answer_the_public_service(shared_server: RunningServer) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await RouterServiceStub(shared_server.admin_channel).Route(route())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_it_can_be_turned_off() -> None:
    async with serving(only(five_tiers(channelz=False), "nano")) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channelz_pb2_grpc.ChannelzStub(server.admin_channel).GetServers(channelz_pb2.GetServersRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
