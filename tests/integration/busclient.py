# SPDX-License-Identifier: Apache-2.0
"""A D-Bus client on dbus-fast, with calls that wait and handlers that answer when the test wants.
It is an implementation of its own, so it proves more than sd-bus talking to itself."""
import asyncio
import threading
import time

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusError

NAME = "org.lwm2md.Client1"
ROOT = "/org/lwm2md/Client1"


def plain(value):
    """A value without its Variants."""
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


class Call:
    """A method call that came to a handler; answer it with reply() or fail(), now or later."""

    def __init__(self, client, message):
        self.client, self.message = client, message
        self.member, self.args = message.member, plain(message.body)

    def reply(self, signature="", *args):
        self.client.send(Message.new_method_return(self.message, signature, list(args)))

    def fail(self, name="Failed", text="refused"):
        name = name if "." in name else f"{NAME}.Error.{name}"
        self.client.send(Message.new_error(self.message, name, text))


class BusClient:
    def __init__(self, address):
        self.loop = asyncio.new_event_loop()
        self.changed = threading.Condition()
        self.signals, self.calls, self.handlers = [], [], {}
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.bus = self.run(self._connect(address))

    async def _connect(self, address):
        bus = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()
        bus.add_message_handler(self._on_message)
        return bus

    def run(self, coroutine, timeout=30):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def close(self):
        if not self.loop.is_running():
            return
        async def end():
            self.bus.disconnect()
        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    @property
    def unique_name(self):
        return self.bus.unique_name

    def _on_message(self, message):
        if message.message_type == MessageType.SIGNAL:
            with self.changed:
                self.signals.append(message)
                self.changed.notify_all()
            return None
        if message.message_type == MessageType.METHOD_CALL and message.path in self.handlers:
            call = Call(self, message)
            with self.changed:
                self.calls.append(call)
                self.changed.notify_all()
            if self.handlers[message.path]:
                self.handlers[message.path](call)
            return True
        return None

    def send(self, message):
        async def now():
            await self.bus.send(message)
        if threading.current_thread() is self.thread:
            self.loop.create_task(now())
        else:
            self.run(now())

    def start(self, interface, method, signature="", *args, path=ROOT, name=NAME):
        """Sends a call; the result is a future of its answer message."""
        if "." not in interface:
            interface = f"{NAME}.{interface}"
        message = Message(destination=name, path=path, interface=interface, member=method,
                          signature=signature, body=list(args))
        return asyncio.run_coroutine_threadsafe(self.bus.call(message), self.loop)

    def call(self, interface, method, signature="", *args, timeout=30, **kwargs):
        """The answer's values without Variants: one alone, several as a list, none as None."""
        answer = self.start(interface, method, signature, *args, **kwargs).result(timeout)
        if answer.message_type == MessageType.ERROR:
            raise DBusError(answer.error_name, answer.body[0] if answer.body else "", answer)
        body = plain(answer.body)
        return body[0] if len(body) == 1 else body or None

    def get(self, interface, name, path=ROOT):
        return self.call("org.freedesktop.DBus.Properties", "Get", "ss", f"{NAME}.{interface}",
                         name, path=path)

    def set(self, path, signature, value, **options):
        """Data.Set with options given as Variants."""
        return self.call("Data", "Set", "sva{sv}", path, Variant(signature, value), options)

    def match(self, rule):
        self.call("org.freedesktop.DBus", "AddMatch", "s", rule, path="/org/freedesktop/DBus",
                  name="org.freedesktop.DBus")

    def handle(self, path, function=None):
        """Takes method calls at `path`: `function(call)` at once, or the test by wait_call()."""
        self.handlers[path] = function

    def _wait(self, items, predicate, timeout, what):
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                for i, item in enumerate(items):
                    if predicate(item):
                        return items.pop(i)
                left = end - time.monotonic()
                assert left > 0, f"no {what} in {timeout} s; there are {items}"
                self.changed.wait(left)

    def wait_call(self, member, timeout=10):
        return self._wait(self.calls, lambda c: c.member == member, timeout, f"call of {member}")

    def wait_signal(self, member, predicate=None, timeout=10):
        """The body of the first signal of that name that fits, without Variants."""
        def fits(m):
            return m.member == member and (not predicate or predicate(plain(m.body)))
        return plain(self._wait(self.signals, fits, timeout, f"signal {member}").body)

    def wait_event(self, name, timeout=10):
        """Manager.Event: (server, details)."""
        _, server, details = self.wait_signal("Event", lambda b: b[0] == name, timeout)
        return server, details

    def wait_told(self, name, timeout=10):
        """The same, of the daemon's history: its first events come before it is on the bus."""
        end = time.monotonic() + timeout
        while True:
            for _, event, server, details in self.call("Manager", "GetEvents", "a{sv}", {}):
                if event == name:
                    return server, details
            assert time.monotonic() < end, f"no event {name} in {timeout} s"
            time.sleep(0.05)
