"""Taking ports: all before anything starts, each for one server only, and never beyond this machine in silence."""

import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.server.fleet import five_tiers, only
from tests.server.running import serving
from tierway_server import app
from tierway_server.app import Process
from tierway_server.config import parse
from tierway_server.rpc.server import PortError

LISTENS = pytest.mark.parametrize("listen", ["listen", "admin_listen", "http_listen"])
NAMES = {"listen": "grpc", "admin_listen": "admin", "http_listen": "http"}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another process listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


Open = Callable[..., Process]


@pytest.fixture
async def open_process() -> AsyncIterator[Open]:
    """Constructs processes that will be asked to listen, and lets go of their ports when the test ends."""
    opened: list[Process] = []

    def open_one(**server: str) -> Process:
        opened.append(Process(parse(only(five_tiers(**server), "nano")), {}))
        return opened[-1]

    yield open_one
    for process in opened:
        await process._public.stop(None)
        await process._admin.stop(None)
        if process._http is not None:
            process._http._listener.close()


@LISTENS
async def test_a_taken_port_is_an_error_that_names_it(listen: str, taken: int, open_process: Open) -> None:
    process = open_process(**{listen: f"127.0.0.1:{taken}"})
    with pytest.raises(PortError, match=f"127.0.0.1:{taken}"):
        process.listen()


@LISTENS
async def test_an_address_of_another_machine_is_an_error(listen: str, open_process: Open) -> None:
    process = open_process(**{listen: "192.0.2.1:0"})
    with pytest.raises(PortError, match=r"192\.0\.2\.1"):
        process.listen()


@LISTENS
async def test_a_second_server_on_the_port_is_refused(listen: str, open_process: Open) -> None:
    async with serving(only(five_tiers(), "nano")) as server:
        address = server.process.addresses[NAMES[listen]]
        second = open_process(**{listen: str(address)})
        with pytest.raises(PortError, match=str(address.port)):
            second.listen()


@LISTENS
async def test_a_port_is_held_from_listening_on_and_not_only_from_serving_on(listen: str, open_process: Open) -> None:
    first = open_process()
    first.listen()
    second = open_process(**{listen: str(first.addresses[NAMES[listen]])})
    with pytest.raises(PortError):
        second.listen()


async def test_port_0_is_a_free_one_that_is_told(open_process: Open) -> None:
    process = open_process()
    process.listen()
    ports = {address.port for address in process.addresses.values()}
    assert len(ports) == 3
    assert 0 not in ports


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
@LISTENS
async def test_listening_beyond_this_machine_is_warned_of(
    listen: str, address: str, caplog: pytest.LogCaptureFixture, open_process: Open
) -> None:
    process = open_process(**{listen: address})
    with caplog.at_level(logging.WARNING):
        process.listen()
    [warning] = [record for record in caplog.records if "WITHOUT AUTHENTICATION" in record.message]
    assert warning.port == NAMES[listen]  # type: ignore[attr-defined]


async def test_listening_on_this_machine_is_not(caplog: pytest.LogCaptureFixture, open_process: Open) -> None:
    with caplog.at_level(logging.WARNING):
        open_process().listen()
    assert not caplog.records


class TestExitCode:
    """`serve` is what the command runs."""

    @pytest.fixture(autouse=True)
    def _logging_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tierway_server.telemetry.logging.configure", lambda level: None)

    @LISTENS
    def test_is_2_when_a_port_is_taken_with_one_line_that_says_so(
        self, listen: str, taken: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        free = {f"server.{name}": "127.0.0.1:0" for name in NAMES}
        assert app.serve(None, {**free, f"server.{listen}": f"127.0.0.1:{taken}"}) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        [line] = printed.err.splitlines()
        assert f"127.0.0.1:{taken}" in line

    def test_is_2_when_the_configuration_is_wrong_with_a_line_a_problem(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert app.serve(None, {"server.listen": "nowhere", "server.lisen": "x"}) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2
        assert any("server.listen" in line for line in lines)
