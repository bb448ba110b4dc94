# SPDX-License-Identifier: Apache-2.0
"""A daemon that exists on the bus only: it answers lwm2mctl from a few values in memory, so that what
lwm2mctl sends and how it reports failures can be seen without an LwM2M engine.

Usage: ctl_mockd.py ADDRESS [INSTANCE]; prints "ready" when it owns its name. `--log FILE` gets one JSON line a call."""
import asyncio
import json
import os
import sys
import time

from dbus_fast import DBusError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_property, method, signal

N = "org.lwm2md.Client1"
P = "/org/lwm2md/Client1"

OBJECTS = {
    3303: ("Temperature", [
        (5700, "Sensor Value", "Float", "R", False, True, "Cel"),
        (5701, "Sensor Units", "String", "R", False, False, ""),
        (5605, "Reset Min and Max", "", "E", False, False, ""),
    ]),
    3: ("Device", [
        (0, "Manufacturer", "String", "R", False, False, ""),
        (4, "Reboot", "", "E", False, True, ""),
        (7, "Power Source Voltage", "Integer", "R", True, False, "mV"),
        (13, "Current Time", "Time", "RW", False, False, ""),
        (15, "Timezone", "String", "RW", False, False, ""),
    ]),
    10: ("Links", [
        (1, "Link", "Objlnk", "RW", False, False, ""),
        (2, "Data", "Opaque", "RW", False, False, ""),
        (3, "Flag", "Boolean", "RW", False, False, ""),
        (4, "Count", "Unsigned Integer", "RW", False, False, ""),
        (5, "Names", "String", "RW", True, False, ""),
    ]),
}


def fail(name, text):
    return DBusError(f"{N}.Error.{name}", text)


def plain(value):
    if isinstance(value, Variant):
        return [value.signature, plain(value.value)]
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return value.hex() if isinstance(value, (bytes, bytearray)) else value


class State:
    def __init__(self, log):
        self.values = {
            "/3303/0/5700": Variant("d", 21.5), "/3303/0/5701": Variant("s", "Cel"),
            "/3/0/0": Variant("s", "ACME\x1b[31m"),
            "/3/0/7": Variant("a{qv}", {0: Variant("x", 3800), 1: Variant("x", 5000)}),
            "/3/0/13": Variant("x", 1764000000), "/10/0/1": Variant("(qq)", [3303, 0]),
            "/10/0/2": Variant("ay", bytes(range(5))), "/10/0/3": Variant("b", True),
            "/10/0/4": Variant("t", 2**64 - 1),
        }
        self.log = open(log, "a", buffering=1) if log else None
        self.bus = None
        self.claims = {}
        self.subscriptions = {}
        self.next = 1

    def note(self, call, *args):
        if self.log:
            self.log.write(json.dumps([call, *plain(list(args))]) + "\n")

    def below(self, prefix):
        return [p for p in self.values if p == prefix or p.startswith(prefix.rstrip("/") + "/")]

    def put(self, path, value):
        if path.split("/")[1] not in [str(k) for k in OBJECTS]:
            raise fail("NotDefined", f"{path}: no such object")
        if path == "/3/0/15" and value.value == "Nowhere":
            raise fail("InvalidValue", f"{path}: no such time zone")
        self.values[path] = value
        for number, (who, prefixes) in self.subscriptions.items():
            if any(path == p or path.startswith(p + "/") for p in prefixes):
                self.bus.send(Message(destination=who, path=P, interface=f"{N}.Data", member="Changed",
                                      message_type=MessageType.SIGNAL, signature="ua(svx)a{sv}",
                                      body=[number, [[path, value, time.time_ns()]], {}]))


SENDER = [None]


class Data(ServiceInterface):
    def __init__(self, state):
        super().__init__(f"{N}.Data")
        self.s = state

    @method()
    def Get(self, path: "s", opts: "a{sv}") -> "v":
        if path.startswith("/0/"):
            raise DBusError("org.freedesktop.DBus.Error.AccessDenied", f"{path}: never readable here")
        if path not in self.s.values:
            raise fail("NotFound", f"{path}: no value")
        return self.s.values[path]

    @method()
    def GetMany(self, prefixes: "as", opts: "a{sv}") -> "a(svx)":
        out = []
        for prefix in prefixes:
            found = self.s.below(prefix)
            if not found:
                raise fail("NotFound", f"{prefix}: nothing there")
            out += [[p, self.s.values[p], 1764000000000000000] for p in found]
        return out

    @method()
    def List(self, prefix: "s", opts: "a{sv}") -> "a(sa{sv})":
        self.s.note("List", prefix, opts)
        return [[p, {"type": Variant("s", "Float"), "ops": Variant("s", "R"), "owner": Variant("s", ""),
                     "observed_by": Variant("aq", [123]), "attributes": Variant("s", "pmin=1"),
                     "persisted": Variant("b", False), "multiple": Variant("b", False)}]
                for p in sorted(self.s.below(prefix))]

    @method()
    def Set(self, path: "s", value: "v", opts: "a{sv}"):
        self.s.note("Set", path, value, opts)
        self.s.put(path, value)

    @method()
    def SetMany(self, values: "a(sv)", opts: "a{sv}") -> "a(uss)":
        self.s.note("SetMany", values, opts)
        for path, value in values:
            self.s.put(path, value)
        return []

    @method()
    def Configure(self, prefix: "s", opts: "a{sv}"):
        self.s.note("Configure", prefix, opts)

    @method()
    def Apply(self, ops: "a(ssv)", opts: "a{sv}"):
        self.s.note("Apply", ops, opts)

    @method()
    def Create(self, path: "s", values: "a(sv)", opts: "a{sv}") -> "s":
        self.s.note("Create", path, values, opts)
        return path if path.count("/") == 2 else path + "/7"

    @method()
    def Delete(self, paths: "as", opts: "a{sv}"):
        if paths == ["/1/0"]:
            raise DBusError("org.freedesktop.DBus.Error.AccessDenied", "Sender is not authorized")
        self.s.note("Delete", paths, opts)

    @method()
    async def Execute(self, path: "s", args: "s", opts: "a{sv}"):
        self.s.note("Execute", path, args, opts)
        await self.s.handler_call("Execute", path, "sa(ys)a{sv}", lambda: [
            path, [[int(a[0]), a[3:-1] if len(a) > 1 else ""] for a in args.split(",") if a],
            {"server": Variant("q", 123), "raw": Variant("s", args)}])

    @method()
    def SetFd(self, path: "s", fd: "h", opts: "a{sv}") -> "t":
        data = b""
        while chunk := os.read(fd, 65536):
            data += chunk
        os.close(fd)
        self.s.values[path] = Variant("ay", data)
        return len(data)

    @method()
    def GetFd(self, path: "s", opts: "a{sv}") -> "h":
        fd = os.memfd_create("mock")
        os.write(fd, self.s.values[path].value)
        return fd

    @method()
    def Subscribe(self, prefixes: "as", opts: "a{sv}") -> "u":
        self.s.note("Subscribe", prefixes, opts)
        number, self.s.next = self.s.next, self.s.next + 1
        self.s.subscriptions[number] = (SENDER[0], prefixes)
        return number

    @method()
    def Unsubscribe(self, number: "u"):
        del self.s.subscriptions[number]

    @method()
    def Hold(self, opts: "a{sv}") -> "h":
        self.s.note("Hold", opts)
        ours, theirs = os.pipe()
        loop = asyncio.get_event_loop()
        loop.call_later(0.1, os.close, theirs)
        loop.add_reader(ours, self.ended, ours)
        return theirs

    def ended(self, fd):
        asyncio.get_event_loop().remove_reader(fd)
        os.close(fd)
        self.s.note("HoldEnded")


class Claims(ServiceInterface):
    def __init__(self, state):
        super().__init__(f"{N}.Claims")
        self.s = state

    @method()
    def Claim(self, prefixes: "as", handler: "o", opts: "a{sv}") -> "u":
        self.s.note("Claim", prefixes, handler, opts)
        number, self.s.next = self.s.next, self.s.next + 1
        self.s.claims[number] = (SENDER[0], handler, prefixes)
        return number

    @method()
    def Release(self, number: "u"):
        self.s.note("Release", number)
        self.s.claims.pop(number, None)


class Model(ServiceInterface):
    def __init__(self, state):
        super().__init__(f"{N}.Model")
        self.s = state

    @method()
    def Describe(self, number: "q", opts: "a{sv}") -> "a{sv}":
        if number not in OBJECTS:
            raise fail("NotDefined", f"/{number}: no definition")
        name, resources = OBJECTS[number]
        return {"name": Variant("s", name), "urn": Variant("s", f"urn:oma:lwm2m:ext:{number}"),
                "resources": Variant("aa{sv}", [
                    {"id": Variant("q", i), "name": Variant("s", n), "type": Variant("s", t),
                     "operations": Variant("s", o), "multiple": Variant("b", m), "mandatory": Variant("b", x),
                     "units": Variant("s", u), "range": Variant("s", "")} for i, n, t, o, m, x, u in resources])}

    @method()
    def List(self, opts: "a{sv}") -> "a(qs)":
        return [[i, "1.0"] for i in sorted(OBJECTS)]

    @method()
    def Define(self, xml: "s", opts: "a{sv}") -> "a(qs)":
        self.s.note("Define", xml, opts)
        if "<LWM2M" not in xml:
            raise fail("InvalidValue", "inline:1: no LWM2M element")
        return [[26241, "1.0"]]


class Manager(ServiceInterface):
    def __init__(self, state):
        super().__init__(f"{N}.Manager")
        self.s = state
        self.state = "registering"

    @dbus_property(PropertyAccess.READ)
    def Version(self) -> "s":
        return "0.1.0"

    @dbus_property(PropertyAccess.READ)
    def ApiVersion(self) -> "u":
        return 1

    @dbus_property(PropertyAccess.READ)
    def Endpoint(self) -> "s":
        return "urn:dev:mock"

    @dbus_property(PropertyAccess.READ)
    def State(self) -> "s":
        return self.state

    @dbus_property(PropertyAccess.READ)
    def Paused(self) -> "b":
        return False

    @method()
    def AddServer(self, opts: "a{sv}") -> "o":
        self.s.note("AddServer", opts)
        return f"{P}/server/7"

    @method()
    def RemoveServer(self, path: "o", opts: "a{sv}"):
        self.s.note("RemoveServer", path)

    @method()
    async def Sync(self):
        self.s.note("Sync")
        if os.environ.get("MOCK_SLOW_SYNC"):
            await asyncio.sleep(30)

    @method()
    def Start(self, endpoint: "s", opts: "a{sv}"):
        self.s.note("Start", endpoint, opts)
        self.state = "online"
        self.emit_properties_changed({"State": "online"})
        self.Event("registration-complete", 123, {"code": Variant("s", "2.01")})

    @method()
    def Stop(self, opts: "a{sv}"):
        self.s.note("Stop", opts)

    @method()
    def Pause(self, opts: "a{sv}"):
        self.s.note("Pause", opts)

    @method()
    def Resume(self, opts: "a{sv}"):
        raise fail("NotAllowed", "the client is not paused")

    @method()
    def Update(self, opts: "a{sv}"):
        self.s.note("Update", opts)

    @method()
    def GetEvents(self, opts: "a{sv}") -> "a(xsqa{sv})":
        return [[1764000000000000000, "registration-failure", 123, {"reason": Variant("s", "4.03")}]]

    @signal()
    def Event(self, name: "s", server: "q", details: "a{sv}") -> "sqa{sv}":
        return [name, server, details]

    @method()
    def Monitor(self, kinds: "as", opts: "a{sv}") -> "h":
        self.s.note("Monitor", kinds, opts)
        ours, theirs = os.pipe()
        os.write(theirs, b'{"event":"set","path":"/3303/0/5700","server":0,"lost":2}\n')
        os.close(theirs)
        return ours


class Server(ServiceInterface):
    def __init__(self, state):
        super().__init__(f"{N}.Server")
        self.s = state

    @dbus_property(PropertyAccess.READ)
    def ShortId(self) -> "q":
        return 123

    @dbus_property(PropertyAccess.READ)
    def Uri(self) -> "s":
        return "coap://127.0.0.1:5683"

    @dbus_property(PropertyAccess.READ)
    def Binding(self) -> "s":
        return "U"

    @dbus_property(PropertyAccess.READ)
    def State(self) -> "s":
        return "registered"

    @dbus_property(PropertyAccess.READ)
    def LastError(self) -> "(ss)":
        return ["4.03", "Forbidden"]

    @dbus_property(PropertyAccess.READ)
    def LastRegistered(self) -> "x":
        return 1764000000000000000

    @method()
    def Update(self, opts: "a{sv}") -> "u":
        self.s.note("Server.Update")
        return 1

    @method()
    def Disable(self, seconds: "u", opts: "a{sv}"):
        self.s.note("Server.Disable", seconds)

    @method()
    def Enable(self):
        self.s.note("Server.Enable")

    @method()
    def ListObservations(self) -> "a(asa{sv})":
        return [[["/3303/0/5700"], {"attributes": Variant("s", "pmin=1;pmax=10"), "last_sent": Variant("x", 0),
                                    "pending": Variant("b", False)}]]


class LogControl(ServiceInterface):
    def __init__(self):
        super().__init__("org.freedesktop.LogControl1")
        self.level = "info"

    @dbus_property()
    def LogLevel(self) -> "s":
        return self.level

    @LogLevel.setter
    def set_level(self, value: "s"):
        self.level = value


async def main(address, log, name):
    state = State(log)
    bus = state.bus = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()

    def remember(message):
        if message.message_type == MessageType.METHOD_CALL:
            SENDER[0] = message.sender
        # Commands of the tests: drive the handlers as a server would.
        if message.message_type == MessageType.METHOD_CALL and message.interface == "test.Mock":
            asyncio.ensure_future(drive(state, message))
            return True
        return None

    async def handler_call(member, path, signature, body):
        for who, handler, prefixes in state.claims.values():
            if any(path == p or path.startswith(p + "/") for p in prefixes):
                reply = await bus.call(Message(destination=who, path=handler, interface=f"{N}.Handler",
                                               member=member, signature=signature, body=body()))
                if reply.message_type == MessageType.ERROR:
                    raise DBusError(reply.error_name, reply.body[0])
                return reply.body
        raise fail("NoHandler", f"{path}: nobody handles it")

    state.handler_call = handler_call
    bus.add_message_handler(remember)
    for interface in (Data(state), Claims(state), Model(state), Manager(state)):
        bus.export(P, interface)
    bus.export(f"{P}/server/123", Server(state))
    bus.export("/org/freedesktop/LogControl1", LogControl())
    await bus.request_name(name)
    print("ready", flush=True)
    await bus.wait_for_disconnect()


async def drive(state, message):
    """test.Mock.Read(s path) -> json text; .Prepare(s op, s path, v value, b final) -> s"""
    try:
        if message.member == "Read":
            body = await state.handler_call("Read", message.body[0], "asa{sv}",
                                            lambda: [[message.body[0]], {"server": Variant("q", 123)}])
        else:
            op, path, value, final = message.body
            body = await state.handler_call("Prepare", path, "ta(ssv)a{sv}", lambda: [
                9, [[op, path, value]], {"server": Variant("q", 123), "final": Variant("b", final)}])
            if not final:
                body = await state.handler_call("Commit" if value.value != "abort" else "Abort", path, "t",
                                                lambda: [9])
        reply = Message.new_method_return(message, "s", [json.dumps(plain(body))])
    except DBusError as error:
        reply = Message.new_error(message, error.type, error.text)
    await state.bus.send(reply)


if __name__ == "__main__":
    args = sys.argv[1:]
    log_file = args.pop(args.index("--log") + 1) if "--log" in args else None
    args = [a for a in args if a != "--log"]
    asyncio.run(main(args[0], log_file, f"{N}.{args[1]}" if len(args) > 1 else N))
