# SPDX-License-Identifier: Apache-2.0
"""As much of systemd-logind as concerns system sleep: Inhibit and PrepareForSleep."""
import os
import select

from dbus_fast import Message, MessageType

from busclient import BusClient

NAME, PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
DBUS = {"path": "/org/freedesktop/DBus", "name": "org.freedesktop.DBus"}


class Logind(BusClient):
    def __init__(self, address):
        super().__init__(address)
        self.pipes = []  # (read, write): the daemon's copy of the latter is its inhibitor
        self.handle(PATH, self._on_call)
        self.call("org.freedesktop.DBus", "RequestName", "su", NAME, 4, **DBUS)

    def _on_call(self, call):
        if call.member != "Inhibit" or call.args[0] != "sleep" or call.args[3] != "delay":
            call.fail("org.freedesktop.DBus.Error.InvalidArgs")
            return
        self.pipes.append(os.pipe())
        self.send(Message(message_type=MessageType.METHOD_RETURN, destination=call.message.sender,
                          reply_serial=call.message.serial, signature="h", body=[0],
                          unix_fds=[self.pipes[-1][1]]))

    def wait_inhibited(self):
        """Until the next inhibitor has been taken, and the daemon has it."""
        self.wait_call("Inhibit")
        self.call("org.freedesktop.DBus.Peer", "Ping", path="/", name="org.lwm2md.Client1")

    def wait_released(self, timeout=10):
        """Until the newest inhibitor is given up; logind suspends then."""
        read, write = self.pipes[-1]
        os.close(write)
        assert select.select([read], [], [], timeout)[0], "the inhibitor is still held"
        assert os.read(read, 1) == b""
        os.close(read)

    def is_held(self):
        """Of the newest inhibitor; not to be asked again."""
        read, write = self.pipes[-1]
        os.close(write)
        return not select.select([read], [], [], 0.2)[0]

    def prepare_for_sleep(self, before):
        self.send(Message.new_signal(PATH, f"{NAME}.Manager", "PrepareForSleep", "b", [before]))
