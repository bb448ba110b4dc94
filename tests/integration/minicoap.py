# SPDX-License-Identifier: Apache-2.0
"""A small CoAP endpoint in Python: codec, and an LwM2M-like client that registers and answers.
It shares no code with the daemon or lwm2m-testserver, so each can be held against it."""
import socket
import threading
import time

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH = range(1, 8)
ETAG, OBSERVE, LOCATION_PATH, URI_PATH, CONTENT_FORMAT, URI_QUERY = 4, 6, 8, 11, 12, 15
ACCEPT, BLOCK2, BLOCK1, SIZE1 = 17, 23, 27, 60


def code(text):
    major, minor = text.split(".")
    return int(major) << 5 | int(minor)


def uint(value):
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def block(num, more, szx):
    return uint(num << 4 | bool(more) << 3 | szx)


class Message:
    def __init__(self, kind, code, mid, token=b"", options=(), payload=b""):
        self.kind, self.code, self.mid, self.token = kind, code, mid, token
        self.options, self.payload = list(options), payload

    def all(self, number):
        return [value for n, value in self.options if n == number]

    def number(self, number):
        values = self.all(number)
        return int.from_bytes(values[0], "big") if values else None

    @property
    def path(self):
        return "/" + "/".join(v.decode() for v in self.all(URI_PATH))

    def encode(self):
        out = bytearray([0x40 | self.kind << 4 | len(self.token), self.code])
        out += self.mid.to_bytes(2, "big") + self.token
        last = 0
        for number, value in sorted(self.options, key=lambda o: o[0]):
            head, tail = 0, b""
            for shift, field in ((4, number - last), (0, len(value))):
                if field < 13:
                    head |= field << shift
                elif field < 269:
                    head |= 13 << shift
                    tail += bytes([field - 13])
                else:
                    head |= 14 << shift
                    tail += (field - 269).to_bytes(2, "big")
            out += bytes([head]) + tail + value
            last = number
        return bytes(out + (b"\xff" + self.payload if self.payload else b""))

    @classmethod
    def decode(cls, data):
        length, position, number, options = data[0] & 15, 4, 0, []
        token = data[4:4 + length]
        position += length
        while position < len(data) and data[position] != 0xFF:
            fields = [data[position] >> 4, data[position] & 15]
            position += 1
            for i, field in enumerate(fields):
                if field == 13:
                    fields[i] = 13 + data[position]
                    position += 1
                elif field == 14:
                    fields[i] = 269 + int.from_bytes(data[position:position + 2], "big")
                    position += 2
            number += fields[0]
            options.append((number, data[position:position + fields[1]]))
            position += fields[1]
        return cls(data[0] >> 4 & 3, data[1], int.from_bytes(data[2:4], "big"), token, options,
                   data[position + 1:])


class MiniClient:
    """Registers, keeps bytes under paths, answers blocks, and lets a test replace any answer."""

    def __init__(self, host, port, separate=(), block_szx=6):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.connect((host, port))
        self.values, self.observers, self.executed = {}, {}, []
        self.separate, self.block_szx = set(separate), block_szx
        self.mid, self.uploads, self.seen = 1, {}, {}
        self.changed = threading.Condition()
        self.received, self.location, self.hook, self.silent = [], None, None, False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        if self.socket.fileno() < 0:
            return
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.socket.close()

    def next_mid(self):
        self.mid = self.mid + 1 & 0xFFFF
        return self.mid

    def send(self, message):
        self.socket.send(message.encode())
        return message

    def request(self, method, path="", queries=(), payload=b"", options=(), kind=CON, copies=1,
                timeout=5):
        mid = self.next_mid()
        options = [(URI_PATH, s.encode()) for s in path.strip("/").split("/") if s] + \
                  [(URI_QUERY, q.encode()) for q in queries] + list(options)
        message = Message(kind, method, mid, uint(mid), options, payload)
        for _ in range(copies):
            self.send(message)
        return self.wait(lambda m: m.token == message.token and m.code >= 64, timeout)

    def wait(self, predicate, timeout=5):
        """The first message not yet taken that fits; None after the time."""
        def look():
            for i, message in enumerate(self.received):
                if predicate(message):
                    return self.received.pop(i)
            return None
        end = time.monotonic() + timeout
        with self.changed:
            while (found := look()) is None and time.monotonic() < end:
                self.changed.wait(end - time.monotonic())
            return found

    def register(self, endpoint, links="</3/0>", version="1.1", lifetime=300, **fields):
        queries = [f"ep={endpoint}", f"lt={lifetime}", f"lwm2m={version}", "b=U"]
        answer = self.request(POST, "/rd", queries, links.encode(),
                              [(CONTENT_FORMAT, uint(40))], **fields)
        if answer and answer.code == code("2.01"):
            self.location = "/" + "/".join(v.decode() for v in answer.all(LOCATION_PATH))
        return answer

    def notify(self, path, payload, kind=CON, fmt=0, mid=None, more=False):
        token, seq = self.observers[path]
        self.observers[path] = (token, seq + 1)
        options = [(OBSERVE, uint(seq + 1)), (CONTENT_FORMAT, uint(fmt))]
        if more:
            options.append((BLOCK2, block(0, True, self.block_szx)))
        return self.send(Message(kind, code("2.05"), self.next_mid() if mid is None else mid, token,
                                 options, payload))

    def _run(self):
        while True:
            try:
                data = self.socket.recv(65536)
            except ConnectionRefusedError:
                continue
            except OSError:
                return
            if not data:
                return
            message = Message.decode(data)
            with self.changed:
                self.received.append(message)
                self.changed.notify_all()
            if 0 < message.code < 32:
                self._serve(message)

    def _serve(self, m):
        if m.mid in self.seen:
            for reply in self.seen[m.mid]:
                self.send(reply)
            return
        if self.silent:
            return
        result = self.hook(m) if self.hook else None
        status, options, payload = result or self._answer(m)
        kind, mid = (ACK, m.mid) if m.kind == CON else (NON, self.next_mid())
        replies = [Message(kind, code(status), mid, m.token, options, payload)]
        if m.kind == CON and m.path in self.separate:
            replies = [Message(ACK, 0, m.mid),
                       Message(CON, code(status), self.next_mid(), m.token, options, payload)]
        self.seen[m.mid] = replies
        for reply in replies:
            self.send(reply)

    def _answer(self, m):
        if m.code in (GET, FETCH):
            return self._read(m)
        if m.code == DELETE:
            return ("2.02", [], b"") if self.values.pop(m.path, None) is not None else \
                ("4.04", [], b"")
        if m.number(BLOCK1) is not None:
            return self._upload(m)
        return self._store(m, m.payload, [])

    def _store(self, m, body, options):
        if m.code == POST and m.path in self.values:
            self.executed.append((m.path, body))
        else:
            self.values[m.path] = body
        return "2.04", options, b""

    def _upload(self, m):
        value = m.number(BLOCK1)
        body = self.uploads.setdefault(m.path, bytearray())
        size = 16 << (value & 7)
        options = [(BLOCK1, uint(value))]
        if value >> 4 == 0:
            body.clear()
        if value & 7 > self.block_szx:
            return "4.13", [(BLOCK1, block(0, True, self.block_szx))], b""
        if (value >> 4) * size != len(body):
            return "4.08", [], b""
        body += m.payload
        if value & 8:
            return "2.31", options, b""
        return self._store(m, bytes(self.uploads.pop(m.path)), options)

    def _read(self, m):
        if m.path not in self.values:
            return "4.04", [], b""
        body, asked = self.values[m.path], m.number(BLOCK2)
        options = [(CONTENT_FORMAT, uint(42)), (ETAG, b"v1")]
        if m.number(OBSERVE) == 0:
            self.observers[m.path] = (m.token, 1)
            options.append((OBSERVE, uint(1)))
        elif m.number(OBSERVE) == 1:
            self.observers.pop(m.path, None)
        szx = min(asked & 7 if asked is not None else 6, self.block_szx)
        size, num = 16 << szx, asked >> 4 if asked is not None else 0
        if asked is not None or len(body) > size:
            options.append((BLOCK2, block(num, len(body) > (num + 1) * size, szx)))
            body = body[num * size:(num + 1) * size]
        return "2.05", options, body
