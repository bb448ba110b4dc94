# SPDX-License-Identifier: Apache-2.0
"""A man in the middle of a DTLS or TLS session: he sees every datagram, changes, drops and repeats
them, and speaks in the server's name. And what a server would have to say to be a bad one."""
import select
import socket
import struct
import threading
from pathlib import Path

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
HELLO_REQUEST, CLIENT_HELLO, SERVER_HELLO, HELLO_VERIFY, SERVER_HELLO_DONE = 0, 1, 2, 3, 14
DTLS_1_0, DTLS_1_2, TLS_1_0, TLS_1_1, TLS_1_2 = 0xFEFF, 0xFEFD, 0x0301, 0x0302, 0x0303
EXTENDED_MASTER_SECRET = 23


class Middle:
    """Between a client and `target`, both on UDP. `hook(up, datagram)` returns what goes on in its
    place, a list; all that came by is in `seen`, as (up, datagram)."""

    def __init__(self, target=None):
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if target:
            self.back.connect(("127.0.0.1", target))
        self.target = target
        self.client = None
        self.seen = []
        self.hook = lambda up, data: [data]
        self.changed = threading.Condition()
        self.wake, self.end = socket.socketpair()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def port(self):
        return self.front.getsockname()[1]

    def _run(self):
        while True:
            ready = select.select([self.front, self.back, self.end], [], [])[0]
            if self.end in ready:
                return
            for s in ready:
                try:
                    data, address = s.recvfrom(65536)
                except ConnectionRefusedError:
                    continue
                self._pass(s is self.front, data, address)

    def _pass(self, up, data, address):
        if up:
            self.client = address
        with self.changed:
            self.seen.append((up, data))
            self.changed.notify_all()
        for out in self.hook(up, data):
            if not up:
                self.say(out)
            elif self.target:
                self.back.send(out)

    def say(self, data):
        """To the client, in the server's name."""
        self.front.sendto(data, self.client)

    def wait(self, predicate, timeout=10):
        """Until something has come by that fits; returns it."""
        with self.changed:
            found = []

            def look():
                found[:] = [d for up, d in self.seen if predicate(up, d)]
                return bool(found)
            assert self.changed.wait_for(look, timeout), [d.hex() for _, d in self.seen]
            return found[0]

    def flood(self, datagrams, daemon):
        """To the client, not faster than it takes them: those that do not fit into its socket would
        have been sent for nothing."""
        for number, data in enumerate(datagrams):
            self.say(data)
            if number % 64 == 63:
                while waiting_bytes(self.client[1]) > 50000:
                    assert daemon.process.poll() is None

    def close(self):
        self.wake.send(b"x")
        self.thread.join(10)
        for s in (self.front, self.back, self.wake, self.end):
            s.close()


def waiting_bytes(port):
    """What the kernel holds for the UDP socket at a local port."""
    for line in Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) == port:
            return int(fields[4].split(":")[1], 16)
    return 0


def records(datagram):
    """[(type, epoch, sequence, body)] of a DTLS datagram."""
    found = []
    while len(datagram) >= 13:
        kind, _, epoch = struct.unpack_from(">BHH", datagram)
        length = int.from_bytes(datagram[11:13], "big")
        found.append((kind, epoch, int.from_bytes(datagram[5:11], "big"), datagram[13:13 + length]))
        datagram = datagram[13 + length:]
    return found


def has(datagram, kind, message=None, epoch=None):
    return any(k == kind and (message is None or b[:1] == bytes([message])) and epoch in (None, e)
               for k, e, _, b in records(datagram))


def record(kind, body, sequence=0, epoch=0, version=DTLS_1_2):
    return struct.pack(">BHHIHH", kind, version, epoch, sequence >> 16, sequence & 0xFFFF,
                       len(body)) + body


def message(kind, body, sequence=0):
    """A handshake message in one fragment."""
    return struct.pack(">B3sH3s3s", kind, len(body).to_bytes(3, "big"), sequence, bytes(3),
                       len(body).to_bytes(3, "big")) + body


def server_hello(version, suite, extensions=()):
    """Its body; the same in DTLS and TLS."""
    blob = b"".join(struct.pack(">HH", k, len(v)) + v for k, v in extensions)
    return struct.pack(">H32sBHB", version, bytes(range(32)), 0, suite, 0) + \
        (struct.pack(">H", len(blob)) + blob if blob else b"")


def without_extension(datagram, number):
    """A ClientHello that has lost an extension: its number is one that nobody knows instead."""
    at = datagram.find(struct.pack(">HH", number, 0))
    assert at > 0
    return datagram[:at] + struct.pack(">H", 0x7A7A) + datagram[at + 2:]


class BadServer:
    """Takes TCP connections, and answers whatever comes first with `answer`."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.answer, self.connections = answer, []
        self.received = b""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            try:
                if connection.recv(4096):
                    connection.sendall(self.answer)
                    self.received = connection.recv(4096)
            except OSError:
                pass
            connection.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
