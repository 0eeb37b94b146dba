"""Every method of the contract is served, and by coroutines of the shape that it states."""

from tests.server.fleet import five_tiers
from tests.server.running import RunningServer, serving
from tierway.v1 import admin_service_pb2 as admin
from tierway.v1 import router_service_pb2 as rpc
from tierway_server.rpc.admin_service import AdminService
from tierway_server.rpc.router_service import RouterService

METHODS = {"Route", "Explain", "RouteBatch", "Execute", "Stream", "ListModels", "GetStats"}


def test_the_methods_of_the_service_are_these() -> None:
    assert {method.name for method in rpc.DESCRIPTOR.services_by_name["RouterService"].methods} == METHODS


async def test_each_of_them_answers() -> None:
    async with serving(five_tiers()) as server:
        for method in rpc.DESCRIPTOR.services_by_name["RouterService"].methods:
            await answer(server, method.name)


async def answer(server: RunningServer, method: str) -> None:
    requests = {
        "RouteBatch": rpc.RouteBatchRequest(requests=[rpc.RouteRequest(query={"prompt": "Hi"})]),
        "ListModels": rpc.ListModelsRequest(),
        "GetStats": rpc.GetStatsRequest(),
    }
    request = requests.get(method) or getattr(rpc, f"{method}Request")(query={"prompt": "Hi"})
    call = getattr(server.router, method)(request)
    replies = [event async for event in call] if method == "Stream" else [await call]
    expected = getattr(rpc, f"{method}Response")
    assert replies
    assert all(isinstance(reply, expected) for reply in replies)


def test_the_servicer_has_nothing_but_these_and_its_handlers() -> None:
    public = {name.replace("_", "") for name in vars(RouterService) if not name.startswith("_")}
    assert public == {method.lower() for method in METHODS} | {"handlers"}


def test_the_operators_service_is_served_whole() -> None:
    described = {method.name for method in admin.DESCRIPTOR.services_by_name["AdminService"].methods}
    public = {name.replace("_", "") for name in vars(AdminService) if not name.startswith("_")}
    assert described == {"ResetStats", "SetBreaker"}
    assert public == {method.lower() for method in described} | {"handlers"}
