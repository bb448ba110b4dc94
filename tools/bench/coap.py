# SPDX-License-Identifier: Apache-2.0
"""A minimal CoAP (RFC 7252, 7959, 7641) codec and a small LwM2M server end on one UDP socket.

Enough to hold one LwM2M client: takes its registration (Block1 too), acknowledges its updates,
Send and notifications, and makes requests with Block2 reassembly. Blocking, single-threaded; the
high-rate work is done by bench-coapload on the same socket.
"""
import random
import socket
import time
from collections import namedtuple

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH = range(1, 8)
URI_HOST, OBSERVE, URI_PORT, LOCATION_PATH, URI_PATH, CONTENT_FORMAT = 3, 6, 7, 8, 11, 12
URI_QUERY, ACCEPT, BLOCK2, BLOCK1, SIZE2, SIZE1 = 15, 17, 23, 27, 28, 60

FMT = {"text": 0, "link": 40, "opaque": 42, "cbor": 60, "senml-json": 110, "senml-cbor": 112,
       "tlv": 11542, "lwm2m-json": 11543, "lwm2m-cbor": 11544}

Msg = namedtuple("Msg", "type code mid token options payload")


def uint_bytes(v):
    return v.to_bytes((v.bit_length() + 7) // 8, "big")


def code_str(code):
    return "%d.%02d" % (code >> 5, code & 31)


def encode_options(options):
    """options: [(number, bytes|str|int)], any order; same-number order is kept."""
    out, last = bytearray(), 0
    for num, val in sorted(options, key=lambda o: o[0]):
        if isinstance(val, int):
            val = uint_bytes(val)
        elif isinstance(val, str):
            val = val.encode()
        nib, ext = [], b""
        for n in (num - last, len(val)):
            if n < 13:
                nib.append(n)
            elif n < 269:
                nib.append(13)
                ext += bytes([n - 13])
            else:
                nib.append(14)
                ext += (n - 269).to_bytes(2, "big")
        out += bytes([nib[0] << 4 | nib[1]]) + ext + val
        last = num
    return bytes(out)


def encode(m):
    head = bytes([0x40 | m.type << 4 | len(m.token), m.code]) + m.mid.to_bytes(2, "big") + m.token
    return head + encode_options(m.options) + (b"\xff" + m.payload if m.payload else b"")


def decode(b):
    if len(b) < 4 or b[0] >> 6 != 1:
        raise ValueError("not CoAP version 1")
    tkl = b[0] & 15
    if tkl > 8 or len(b) < 4 + tkl:
        raise ValueError("bad token length")
    pos, num, options, payload = 4 + tkl, 0, [], b""
    while pos < len(b):
        if b[pos] == 0xFF:
            payload = b[pos + 1:]
            if not payload:
                raise ValueError("marker with no payload")
            break
        pair, pos = [b[pos] >> 4, b[pos] & 15], pos + 1
        for i in (0, 1):
            if pair[i] == 13:
                pair[i], pos = b[pos] + 13, pos + 1
            elif pair[i] == 14:
                pair[i], pos = int.from_bytes(b[pos:pos + 2], "big") + 269, pos + 2
            elif pair[i] == 15:
                raise ValueError("reserved option nibble")
        num += pair[0]
        if pos + pair[1] > len(b):
            raise ValueError("option runs over the end")
        options.append((num, b[pos:pos + pair[1]]))
        pos += pair[1]
    return Msg(b[0] >> 4 & 3, b[1], int.from_bytes(b[2:4], "big"), b[4:4 + tkl], options, payload)


def opt_all(m, num):
    return [v for n, v in m.options if n == num]


def opt_uint(m, num):
    v = opt_all(m, num)
    return int.from_bytes(v[0], "big") if v else None


def path_options(path):
    return [(URI_PATH, s) for s in path.strip("/").split("/") if s]


class Timeout(Exception):
    pass


class ServerEnd:
    """One UDP socket acting as the LwM2M server for one client."""

    def __init__(self, host="127.0.0.1", port=0):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind((host, port))
        self.host, self.port = self.sock.getsockname()
        self.seq = random.randrange(1 << 16)          # tokens and MIDs: never reused within a run
        self.reset()

    def reset(self):
        self.peer = None
        self.registration = None      # {"t", "query", "links", "bytes"}
        self.location = None
        self.deregistered = None
        self.updates = 0
        self.sends = []
        self.notifications = []       # (t, token, Msg)
        self.registers = 0
        self._b1 = b""
        self.rejected = []

    def drain(self):
        self.sock.setblocking(False)
        try:
            while True:
                self.sock.recvfrom(65536)
        except BlockingIOError:
            pass
        self.sock.setblocking(True)

    def take_seq(self, n):
        s, self.seq = self.seq, self.seq + n
        return s

    # --- receiving -------------------------------------------------------------------------
    def _reply(self, m, code, options=(), payload=b""):
        t, mid = (ACK, m.mid) if m.type == CON else (NON, self.take_seq(1) & 0xFFFF)
        self.sock.sendto(encode(Msg(t, code, mid, m.token, list(options), payload)), self.peer)

    def _client_request(self, m, t):
        path = [v.decode() for v in opt_all(m, URI_PATH)]
        if m.code == POST and path == ["rd"]:
            b1 = opt_uint(m, BLOCK1)
            if b1 is not None:
                if b1 >> 4 == 0:
                    self._b1 = b""
                self._b1 += m.payload
                if b1 & 8:
                    return self._reply(m, 0x5F, [(BLOCK1, b1)])
            links = self._b1 if b1 is not None else m.payload
            query = dict(v.decode().partition("=")[::2] for v in opt_all(m, URI_QUERY))
            self.registers += 1
            self.location = "pb%d" % self.registers
            self.registration = {"t": t, "query": query, "links": links.decode(errors="replace"),
                                 "bytes": len(links)}
            opts = [(LOCATION_PATH, "rd"), (LOCATION_PATH, self.location)]
            return self._reply(m, 0x41, opts + ([(BLOCK1, b1)] if b1 is not None else []))
        if path[:1] == ["rd"] and m.code == POST:
            self.updates += 1
            return self._reply(m, 0x44)
        if path[:1] == ["rd"] and m.code == DELETE:
            self.deregistered = t
            return self._reply(m, 0x42)
        if path == ["dp"] and m.code == POST:
            self.sends.append((t, m))
            return self._reply(m, 0x44)
        return self._reply(m, 0x84)

    def pump(self, timeout, want_token=None, want_mid=None):
        """Handles datagrams until a response for want_token comes, or the time is over.
        Returns (Msg, time) or None; an empty ACK for want_mid gives ("acked", t)."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                data, src = self.sock.recvfrom(65536)
            except socket.timeout:
                return None
            except ConnectionRefusedError:
                continue
            t = time.monotonic()
            try:
                m = decode(data)
            except (ValueError, IndexError):
                self.rejected.append(data[:64])
                continue
            if 1 <= m.code < 32:
                self.peer = src
                self._client_request(m, t)
                if want_token is None:
                    return m, t
                continue
            if m.code == 0:
                if m.type == CON:
                    self.sock.sendto(encode(Msg(RST, 0, m.mid, b"", [], b"")), src)
                elif want_mid == m.mid:
                    return ("acked" if m.type == ACK else "reset"), t
                continue
            if m.type == CON:
                self.sock.sendto(encode(Msg(ACK, 0, m.mid, b"", [], b"")), src)
            if want_token is not None and m.token == want_token:
                return m, t
            if opt_uint(m, OBSERVE) is not None:
                self.notifications.append((t, m.token, m))
                if want_token is None:
                    return m, t

    # --- requests --------------------------------------------------------------------------
    def exchange(self, code, options, payload=b"", token=None, timeout=2.0, tries=4):
        """One request, one response (no block-wise). Returns (Msg, seconds)."""
        seq = self.take_seq(1)
        token = token or seq.to_bytes(4, "big")
        mid = seq & 0xFFFF
        data = encode(Msg(CON, code, mid, token, options, payload))
        t0 = time.monotonic()
        acked = False
        for _ in range(tries):
            if not acked:
                self.sock.sendto(data, self.peer)
            end = time.monotonic() + timeout
            while time.monotonic() < end:
                got = self.pump(end - time.monotonic(), token, mid)
                if got is None:
                    break
                if got[0] == "acked":
                    acked = True
                    continue
                if got[0] == "reset":
                    raise Timeout("the client answered with RST")
                return got[0], got[1] - t0
        raise Timeout("no response to %s" % code_str(code))

    def request(self, code, path, options=(), payload=b"", token=None, timeout=2.0):
        """A request with Block2 reassembly: (code, options of the first block, payload, seconds, blocks)."""
        opts = path_options(path) + list(options)
        m, dt = self.exchange(code, opts, payload, token, timeout)
        body, blocks, first = m.payload, 1, m
        b2 = opt_uint(m, BLOCK2)
        while b2 is not None and b2 & 8:
            keep = [o for o in opts if o[0] != OBSERVE]
            nxt = ((b2 >> 4) + 1) << 4 | (b2 & 7)
            m, d = self.exchange(code, keep + [(BLOCK2, nxt)], payload, None, timeout)
            if m.code >= 0x80:
                return m.code, m.options, body, dt, blocks
            body, dt, blocks = body + m.payload, dt + d, blocks + 1
            b2 = opt_uint(m, BLOCK2)
        return first.code, first.options, body, dt, blocks

    def read(self, path, fmt=None, **kw):
        return self.request(GET, path, [(ACCEPT, FMT[fmt])] if fmt else [], **kw)

    def write(self, path, payload, fmt="text", **kw):
        return self.request(PUT, path, [(CONTENT_FORMAT, FMT[fmt])], payload, **kw)
