# SPDX-License-Identifier: Apache-2.0
"""An LwM2M server over TCP (RFC 8323) in Python, for what the test server does not know (OSCORE, TLS of
Python's): it takes registrations, asks, and answers Pings. Framing is its own, options are minicoap's."""
import itertools
import socket
import threading
import time

from minicoap import GET, LOCATION_PATH, OBSERVE, POST, URI_PATH, URI_QUERY, Message, uint

CSM, PING, PONG, RELEASE, ABORT = 0xE1, 0xE2, 0xE3, 0xE4, 0xE5
CREATED, CHANGED, DELETED = 0x41, 0x44, 0x42


def frame(code, token=b"", options=(), payload=b""):
    body = Message(0, code, 0, token, options, payload).encode()[4 + len(token):]
    n, extended = len(body), b""
    if n >= 269:
        head, extended = 14, (n - 269).to_bytes(2, "big")
    elif n >= 13:
        head, extended = 13, bytes([n - 13])
    else:
        head = n
    return bytes([head << 4 | len(token)]) + extended + bytes([code]) + token + body


def split(data):
    """The first message and what follows it; (None, data) when it is not whole."""
    if not data:
        return None, data
    length, extended = data[0] >> 4, {13: 1, 14: 2, 15: 4}.get(data[0] >> 4, 0)
    n_token, head = data[0] & 15, 2 + extended
    if len(data) < head:
        return None, data
    if extended:
        length = {13: 13, 14: 269, 15: 65805}[length] + int.from_bytes(data[1:1 + extended], "big")
    end = head + n_token + length
    if len(data) < end:
        return None, data
    # As a datagram, for minicoap: version, type and message id in front.
    message = Message.decode(bytes([0x50 | n_token, data[head - 1], 0, 0]) + data[head:end])
    return message, data[end:]


class TcpServer:
    """`silent`: takes connections and says nothing. `pong`: answers Pings. Everything received and
    not answered at once waits in `received`, as (connection number, Message)."""

    def __init__(self, silent=False, wrap=None, max_message=1152):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.silent, self.pong, self.wrap, self.max_message = silent, True, wrap, max_message
        self.received, self.tokens = [], itertools.count(1)
        self.connection, self.n_connections = None, 0
        self.changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def uri(self):
        return f"coap{'s' if self.wrap else ''}+tcp://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
                if self.wrap:
                    connection = self.wrap(connection)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                continue
            with self.changed:
                self.connection, self.n_connections = connection, self.n_connections + 1
                self.changed.notify_all()
            threading.Thread(target=self._read, args=(connection, self.n_connections), daemon=True).start()

    def _read(self, connection, number):
        data = b""
        if not self.silent:
            connection.sendall(frame(CSM, options=[(2, uint(self.max_message)), (4, b"")]))
        while True:
            try:
                more = connection.recv(65536)
            except OSError:
                more = b""
            if not more:
                return
            data += more
            while True:
                message, data = split(data)
                if message is None:
                    break
                self._take(connection, number, message)

    def _take(self, connection, number, message):
        if not self.silent:
            if message.code == PING and self.pong:
                connection.sendall(frame(PONG, message.token))
            elif message.code == POST:
                new = message.path == "/rd"
                location = [(LOCATION_PATH, b"rd"), (LOCATION_PATH, b"5")] if new else []
                connection.sendall(frame(CREATED if new else CHANGED, message.token, location))
            elif message.code == 4:
                connection.sendall(frame(DELETED, message.token))
        with self.changed:
            self.received.append((number, message))
            self.changed.notify_all()

    def wait(self, fits, timeout=15):
        """The first message that fits, with the number of its connection, taken out."""
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                for i, (number, message) in enumerate(self.received):
                    if fits(message):
                        del self.received[i]
                        return number, message
                left = end - time.monotonic()
                assert left > 0, [(n, hex(m.code), m.options, m.payload) for n, m in self.received]
                self.changed.wait(left)

    def wait_connection(self, number, timeout=15):
        with self.changed:
            assert self.changed.wait_for(lambda: self.n_connections >= number, timeout)

    def wait_registered(self):
        return self.wait(lambda m: m.code == POST and m.path == "/rd")

    def wait_updated(self, timeout=15):
        return self.wait(lambda m: m.code == POST and m.path == "/rd/5", timeout)

    def ask(self, code, path, options=(), payload=b"", token=None):
        token = token or uint(next(self.tokens))
        path = [(URI_PATH, s.encode()) for s in path.strip("/").split("/")]
        self.connection.sendall(frame(code, token, path + list(options), payload))
        return self.wait(lambda m: m.token == token and m.code >= 0x40)[1]

    def observe(self, path, token):
        return self.ask(GET, path, [(OBSERVE, b"")], token=token)

    def drop(self):
        """The connection, without a word."""
        connection = self.connection  # the next one may be here before this one is closed
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if self.connection:
            self.connection.close()


def queries(message):
    return [v.decode() for n, v in message.options if n == URI_QUERY]
