# SPDX-License-Identifier: Apache-2.0
"""The server's side of OSCORE (RFC 8613) in front of lwm2m-testserver. It shares no code with the
daemon, so each can be held against the other: HKDF is Python's, AES-CCM is called in libcrypto."""
import ctypes
import ctypes.util
import hashlib
import hmac
import os
import selectors
import socket
import threading
import time

from minicoap import ACK, CON, FETCH, NON, OBSERVE, POST, Message, code

OSCORE, URI_HOST, MAX_AGE, ECHO = 9, 3, 14, 252
SECRET = bytes(range(1, 17))


class AesCcm:
    """AES-CCM with a nonce of 13 and a tag of 8 bytes."""
    NONCE, TAG = 13, 8
    SET_IV_LENGTH, GET_TAG, SET_TAG = 9, 16, 17
    crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
    for function in ("EVP_CIPHER_CTX_new", "EVP_aes_128_ccm"):
        getattr(crypto, function).restype = ctypes.c_void_p

    def __init__(self, key):
        self.key = key

    def _run(self, encrypt, nonce, aad, data, tag):
        crypto = self.crypto
        context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
        size, out = ctypes.c_int(), ctypes.create_string_buffer(len(data) + 1)
        try:
            crypto.EVP_CipherInit_ex(context, ctypes.c_void_p(crypto.EVP_aes_128_ccm()), None, None,
                                     None, encrypt)
            crypto.EVP_CIPHER_CTX_ctrl(context, self.SET_IV_LENGTH, self.NONCE, None)
            crypto.EVP_CIPHER_CTX_ctrl(context, self.SET_TAG, self.TAG, tag)
            crypto.EVP_CipherInit_ex(context, None, None, self.key, nonce, encrypt)
            crypto.EVP_CipherUpdate(context, None, ctypes.byref(size), None, len(data))
            crypto.EVP_CipherUpdate(context, None, ctypes.byref(size), aad, len(aad))
            if crypto.EVP_CipherUpdate(context, out, ctypes.byref(size), data, len(data)) != 1:
                raise ValueError("not what was encrypted")
            if not encrypt:
                return out.raw[:len(data)]
            result = ctypes.create_string_buffer(self.TAG)
            crypto.EVP_CipherFinal_ex(context, None, ctypes.byref(size))
            crypto.EVP_CIPHER_CTX_ctrl(context, self.GET_TAG, self.TAG, result)
            return out.raw[:len(data)] + result.raw
        finally:
            crypto.EVP_CIPHER_CTX_free(context)

    def encrypt(self, nonce, aad, plain):
        return self._run(1, nonce, aad, plain, None)

    def decrypt(self, nonce, aad, sealed):
        return self._run(0, nonce, aad, sealed[:-self.TAG], sealed[-self.TAG:])


def cbor_bytes(value):
    assert len(value) < 256
    head = bytes([0x40 | len(value)]) if len(value) < 24 else bytes([0x58, len(value)])
    return head + value


class Context:
    """A security context with AES-CCM-16-64-128 and HKDF SHA-256."""

    def __init__(self, secret, sender, recipient, salt=b"", id_context=b""):
        self.sender, self.recipient, self.id_context = sender, recipient, id_context
        prk = hmac.new(salt or bytes(32), secret, hashlib.sha256).digest()

        def derive(identifier, kind, length):
            info = b"\x85" + cbor_bytes(identifier) + \
                (cbor_bytes(id_context) if id_context else b"\xf6") + b"\x0a" + \
                bytes([0x60 | len(kind)]) + kind + bytes([length])
            return hmac.new(prk, info + b"\x01", hashlib.sha256).digest()[:length]
        self.out = AesCcm(derive(sender, b"Key", 16))
        self.into = AesCcm(derive(recipient, b"Key", 16))
        self.iv = derive(b"", b"IV", 13)

    def nonce(self, identifier, number):
        plain = bytes([len(identifier)]) + identifier.rjust(7, b"\0") + number.rjust(5, b"\0")
        return bytes(a ^ b for a, b in zip(plain, self.iv))

    @staticmethod
    def aad(identifier, number):
        inner = b"\x85\x01\x81\x0a" + cbor_bytes(identifier) + cbor_bytes(number) + b"\x40"
        return b"\x83\x68Encrypt0\x40" + cbor_bytes(inner)

    def seal(self, message, number, request=None):
        """`number`: ours, or None; `request`: that of the request this answers."""
        observe = message.all(OBSERVE)
        inner = [(n, b"" if n == OBSERVE and request is not None else v)
                 for n, v in message.options if n != URI_HOST]
        plain = Message(0, 0, 0, b"", inner, message.payload).encode()[4:]
        whose = self.sender if number is not None else self.recipient
        aad = self.aad(*(self.sender, number) if request is None else (self.recipient, request))
        sealed = self.out.encrypt(self.nonce(whose, request if number is None else number), aad,
                                  bytes([message.code]) + plain)
        value = b"" if number is None else bytes([len(number)]) + number
        if request is None:
            context = bytes([len(self.id_context)]) + self.id_context if self.id_context else b""
            value = bytes([value[0] | 8 | (0x10 if context else 0)]) + number + context + self.sender
            outer = FETCH if observe else POST
        else:
            outer = code("2.05") if observe else code("2.04")
        options = [(OBSERVE, v) for v in observe] + [(OSCORE, value)]
        return Message(message.kind, outer, message.mid, message.token, options, sealed)

    @staticmethod
    def split(message):
        """Number, identifier and context in the OSCORE option; those that are absent are None."""
        value = message.all(OSCORE)[0]
        if not value:
            return None, None, None
        flags, position = value[0], 1 + (value[0] & 7)
        number, context = value[1:position] or None, None
        if flags & 0x10:
            context = value[position + 1:position + 1 + value[position]]
            position += 1 + value[position]
        return number, value[position:] if flags & 8 else None, context

    def open(self, message, request=None):
        number = self.split(message)[0]
        whose, used = (self.recipient, number) if number is not None else (self.sender, request)
        aad = self.aad(*(self.recipient, number) if request is None else (self.sender, request))
        plain = self.into.decrypt(self.nonce(whose, used), aad, message.payload)
        inner = Message.decode(bytes([0x40, plain[0], 0, 0]) + plain[1:])
        inner.kind, inner.mid, inner.token = message.kind, message.mid, message.token
        return inner


class OscoreProxy:
    """What comes protected goes on to `target` in the clear, and back. `used` has the numbers of the
    client's, `reused` those that came with two different messages."""

    def __init__(self, target, secret=SECRET, sender=b"s", recipient=b"c", salt=b"", id_context=b"",
                 port=0):
        self.target = ("127.0.0.1", target)
        self.context = Context(secret, sender, recipient, salt, id_context)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.socket, selectors.EVENT_READ, None)
        self.changed = threading.Condition()
        self.upstream, self.client = {}, None  # by client address; the last of them
        self.number = 0
        self.used, self.reused, self.seen_mids = {}, [], {}
        self.asked, self.sealed, self.sent = {}, {}, []  # by token; by datagram; to the client
        self.received, self.plain = [], []  # from the client: as they came, and opened
        self.echo, self.proved = None, False
        self.demands_echo, self.answers_echo = False, True  # RFC 8613, appendix B.1.2
        self.override = None  # called with each request; a Message of its own goes back instead
        self.wake, self.waker = socket.socketpair()
        self.selector.register(self.wake, selectors.EVENT_READ, "wake")
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def uri(self, scheme="coap"):
        return f"{scheme}://127.0.0.1:{self.port}"

    def close(self):
        self.waker.send(b"x")
        self.thread.join(5)
        for one in [self.socket, self.wake, self.waker, *self.upstream.values()]:
            one.close()
        self.selector.close()

    # --- for tests ---

    def wait(self, look, timeout=10, what="that message"):
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                found = look()
                if found:
                    return found
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no {what} within {timeout} s")
                self.changed.wait(left)

    def last_request(self):
        """The last one to the client, as it went out."""
        with self.changed:
            return [m for m in self.sent if m.code < 32][-1]

    def send_raw(self, message):
        """To the client, as it is."""
        self.socket.sendto(message.encode(), self.client)

    def wait_answer(self, mid, timeout=10):
        """What the client says to the confirmable message `mid`, as it comes."""
        return self.wait(lambda: next((m for m in self.received if m.kind == ACK and m.mid == mid),
                                      None), timeout, "answer")

    # --- numbers ---

    def _next(self):
        number = self.number
        self.number += 1
        return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")

    def _note(self, message):
        number = self.context.split(message)[0]
        if number is None:
            return
        body = (message.payload, message.token)
        if self.used.setdefault(number, body) != body:
            self.reused.append(int.from_bytes(number, "big"))

    # --- from the client ---

    def _error(self, message, text, why, address):
        kind = ACK if message.kind == CON else NON
        self.socket.sendto(Message(kind, code(text), message.mid, message.token, [(MAX_AGE, b"")],
                                   why.encode()).encode(), address)

    def _challenge(self, message, number, address):
        self.echo = self.echo or os.urandom(8)
        answer = Message(ACK, code("4.01"), message.mid, message.token, [(ECHO, self.echo)])
        self.socket.sendto(self.context.seal(answer, self._next(), number).encode(), address)

    def _on_request(self, message, address):
        if not message.all(OSCORE):
            return self._error(message, "4.01", "OSCORE is needed here", address)
        number, identifier, context = self.context.split(message)
        if identifier != self.context.recipient or (context or b"") != self.context.id_context:
            return self._error(message, "4.01", "Security context not found", address)
        try:
            inner = self.context.open(message)
        except ValueError:
            return self._error(message, "4.00", "Decryption failed", address)
        self._note(message)
        self.plain.append(inner)
        if self.demands_echo and not self.proved:
            if self.echo is None or inner.all(ECHO) != [self.echo]:
                return self._challenge(message, number, address)
            self.proved = True
        if self.override:
            answer = self.override(inner)
            if answer:
                return self.socket.sendto(answer.encode(), address)
        self.asked[message.token, "client"] = number
        inner.options = [o for o in inner.options if o[0] != ECHO]
        return self._to(address).send(inner.encode())

    def _on_answer(self, message, address):
        if not message.all(OSCORE):
            return  # for the tests to look at
        number = self.asked.get((message.token, "server"))
        if number is None:
            return
        inner = self.context.open(message, number)
        self._note(message)
        self.plain.append(inner)
        if inner.code == code("4.01") and inner.all(ECHO) and self.answers_echo:
            self._repeat(message, inner.all(ECHO)[0], address)
        else:
            if message.mid in self.seen_mids:  # the answer to what was repeated
                inner.mid = self.seen_mids.pop(message.mid)
            self._to(address).send(inner.encode())

    def _repeat(self, message, echo, address):
        """The client wants a proof of freshness: the request again, with its Echo."""
        asked = self.asked[message.token, "plain"]
        again = Message(CON, asked.code, asked.mid + 0x4000 & 0xFFFF, asked.token,
                        asked.options + [(ECHO, echo)], asked.payload)
        self.seen_mids[again.mid] = asked.mid
        number = self._next()
        self.asked[message.token, "server"] = number
        self._send(self.context.seal(again, number), address)

    def _from_client(self, data, address):
        self.client = address
        message = Message.decode(data)
        with self.changed:
            if message.code == 0:
                self._to(address).send(data)
            elif message.code < 32:
                self._on_request(message, address)
            else:
                self._on_answer(message, address)
            self.received.append(message)
            self.changed.notify_all()

    # --- from the server ---

    def _to(self, address):
        if address not in self.upstream:
            upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            upstream.connect(self.target)
            self.upstream[address] = upstream
            self.selector.register(upstream, selectors.EVENT_READ, address)
        return self.upstream[address]

    def _send(self, message, address):
        self.sent.append(message)
        self.socket.sendto(message.encode(), address)

    def _from_server(self, data, address):
        message = Message.decode(data)
        with self.changed:
            if message.code == 0:
                self.socket.sendto(data, address)
            elif data in self.sealed:  # a retransmission is the same message
                self._send(self.sealed[data], address)
            elif message.code < 32:
                number = self._next()
                self.asked[message.token, "server"] = number
                self.asked[message.token, "plain"] = message
                self.sealed[data] = self.context.seal(message, number)
                self._send(self.sealed[data], address)
            else:
                number = self.asked[message.token, "client"]
                self.sealed[data] = self.context.seal(message, None, number)
                self._send(self.sealed[data], address)
            self.changed.notify_all()

    def _run(self):
        while True:
            for key, _ in self.selector.select():
                if key.data == "wake":
                    return
                try:
                    if key.data is None:
                        self._from_client(*self.socket.recvfrom(4096))
                    else:
                        self._from_server(key.fileobj.recv(4096), key.data)
                except ConnectionRefusedError:
                    pass
