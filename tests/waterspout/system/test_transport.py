"""Transports that can't end by themselves."""

import asyncio

from tests.waterspout.http.harness import on_loops
from tests.waterspout.tls import tls_contexts
from waterspout.system.transport import close_once


@on_loops
async def test_one_that_is_closed_twice_can_still_be_asked_and_aborted():
    """asyncio's TLS, behind a client that takes nothing: its own second `close` cuts it loose."""
    lost = asyncio.get_running_loop().create_future()

    class Talks(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport
            transport.write(bytes(16 * 1024 * 1024))
            for _ in range(2):
                close_once(transport)
            assert transport.get_write_buffer_size() > 0
            asyncio.get_running_loop().call_later(0.2, transport.abort)

        def connection_lost(self, exc):
            lost.set_result(None)

    ours, theirs = tls_contexts()
    server = await asyncio.get_running_loop().create_server(Talks, "127.0.0.1", 0, ssl=ours)
    address = server.sockets[0].getsockname()
    _reader, writer = await asyncio.open_connection(
        *address, ssl=theirs, server_hostname="localhost", limit=1
    )
    async with asyncio.timeout(5):
        await lost
    writer.transport.abort()
    server.close()
