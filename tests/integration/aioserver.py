# SPDX-License-Identifier: Apache-2.0
"""As much of an LwM2M server as a test needs, on aiocoap: CoAP over TCP and TLS that shares nothing
with the client's."""
import asyncio
import queue
import socket
import threading

from aiocoap import CHANGED, CREATED, DELETED, GET, Context, Message
from aiocoap.resource import Resource, Site


class Registration(Resource):
    def __init__(self, server):
        super().__init__()
        self.server = server

    async def render_post(self, request):
        new = self is self.server.rd
        self.server.note("registered" if new else "updated", request)
        return Message(code=CREATED, location_path=["rd", "5"]) if new else Message(code=CHANGED)

    async def render_delete(self, request):
        self.server.note("deregistered", request)
        return Message(code=DELETED)


class Sent(Resource):
    def __init__(self, server):
        super().__init__()
        self.server = server

    async def render_post(self, request):
        self.server.note("sent", request)
        return Message(code=CHANGED)


class AioServer:
    """Runs in a thread; `ssl` is an ssl.SSLContext for TLS."""

    def __init__(self, ssl=None):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.scheme, self.events, self.remote = f"coap{'s' if ssl else ''}+tcp", queue.Queue(), None
        self.rd = Registration(self)
        site = Site()
        site.add_resource(["rd"], self.rd)
        site.add_resource(["rd", "5"], Registration(self))
        site.add_resource(["dp"], Sent(self))
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        # The port of TLS is counted from the other one.
        bind = ("127.0.0.1", self.port - (1 if ssl else 0))
        self.context = self.run(Context.create_server_context(
            site, bind=bind, transports=["tlsserver" if ssl else "tcpserver"], _ssl_context=ssl))

    @property
    def uri(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def run(self, coroutine, timeout=20):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def note(self, what, request):
        self.remote = request.remote
        self.events.put((what, request))

    def wait(self, what, timeout=20):
        """The request of the next event, which must be that."""
        got, request = self.events.get(timeout=timeout)
        assert got == what, (got, request)
        return request

    def _message(self, code, path, payload=b"", **options):
        message = Message(code=code, payload=payload, uri_path=path.strip("/").split("/"), **options)
        message.remote = self.remote
        return message

    def ask(self, code, path, payload=b"", **options):
        async def ask():
            return await self.context.request(self._message(code, path, payload, **options)).response
        return self.run(ask())

    def observe(self, path, **options):
        """(first answer, queue of the notifications)"""
        notifications = queue.Queue()

        async def observe():
            request = self.context.request(self._message(GET, path, observe=0, **options))
            answer = await request.response
            request.observation.register_callback(notifications.put)
            self.observation = request.observation  # or it ends
            return answer
        return self.run(observe()), notifications

    def drop(self):
        """The connection, without a word."""
        self.loop.call_soon_threadsafe(self.remote._transport.abort)

    def close(self):
        self.run(self.context.shutdown())
        self.loop.call_soon_threadsafe(self.loop.stop)
