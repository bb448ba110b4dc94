# SPDX-License-Identifier: Apache-2.0
"""lwm2m-testserver and lwm2m-lossproxy as Python objects (see tools/testserver/README.md)."""
import hashlib
import itertools
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"


def binary(variable, relative):
    """The program named by an environment variable, else the one in the default build folder."""
    return os.environ.get(variable) or str(BUILD / relative)


def fill(length):
    """The bytes that {"fill": length} stands for."""
    return bytes((i ^ i >> 8 ^ i >> 16) & 0xFF for i in range(length))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Line(dict):
    """One JSON object; its members can be read as attributes, absent ones are None."""

    def __getattr__(self, name):
        return self.get(name)

    @property
    def body(self):
        return bytes.fromhex(self["payload"])

    def option(self, number):
        """The values of one option, as bytes."""
        return [bytes.fromhex(o["hex"]) for o in self["options"] if o["number"] == number]


class LineProcess:
    """A child that prints JSON lines: those with an id are answers, the others events."""
    first_command = "peers"  # one without effect

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, bufsize=1)
        self.changed = threading.Condition()
        self.backlog = []
        self.answers = {}
        self.ended = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self.port = self.wait_event("listening").port

    def _read(self):
        for text in self.process.stdout:
            line = Line(json.loads(text))
            with self.changed:
                if "id" in line:
                    self.answers[line["id"]] = line
                else:
                    self.backlog.append(line)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def put(self, command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def _wait(self, look, timeout, what):
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                found = look()
                if found is not None:
                    return found
                if self.ended:
                    raise AssertionError(f"the program ended while waiting for {what}: "
                                         f"{self.process.stderr.read()}")
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no {what} in {timeout} s; events left: {self.backlog}")
                self.changed.wait(left)

    def wait_event(self, name, predicate=None, timeout=10, **fields):
        """The first event of that name (None: of any) that fits, taken out of the backlog."""
        def look():
            for i, event in enumerate(self.backlog):
                if (name in (None, event.get("event")) and (not predicate or predicate(event)) and
                        all(event.get(k) == v for k, v in fields.items())):
                    return self.backlog.pop(i)
            return None
        return self._wait(look, timeout, f"event '{name}' {fields or ''}")

    def take_events(self, name=None):
        """All events (of that name) that have come, taken out of the backlog. What the server did
        before the call is among them: it tells in order, and answers a command first."""
        if self.process.poll() is None:
            self.call(self.first_command)
        with self.changed:
            taken = [e for e in self.backlog if name in (None, e.get("event"))]
            self.backlog = [e for e in self.backlog if e not in taken]
            return taken

    def assert_quiet(self, name, seconds, **fields):
        """Fails when such an event comes within `seconds`."""
        try:
            event = self.wait_event(name, timeout=seconds, **fields)
        except AssertionError:
            return
        raise AssertionError(f"unexpected event: {event}")

    def close(self):
        """Ends the program by the end of its input; it must exit with 0. Once is enough."""
        if self.process.stdout.closed:
            return ""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.thread.join(10)
        errors = self.process.stderr.read()
        self.process.stderr.close()
        self.process.stdout.close()
        assert code == 0, f"exit code {code}: {errors}"
        return errors


class TestServer(LineProcess):
    __test__ = False

    def __init__(self, bind="127.0.0.1:0", location=None, tcp=False, **stream):
        """With `tcp`: CoAP over TCP, and with psk=… or certificate=… over TLS."""
        argv = [binary("LWM2M_TESTSERVER", "tools/testserver/lwm2m-testserver"), f"--bind={bind}"]
        if location:
            argv.append(f"--location={location}")
        if tcp:
            argv.append("--tcp")
        argv += [f"--{k.replace('_', '-')}" + ("" if v is True else f"={v}")
                 for k, v in stream.items()]
        secure = "psk" in stream or "certificate" in stream
        self.scheme = f"coap{'s' if secure else ''}{'+tcp' if tcp else ''}"
        self.ids = itertools.count(1)
        self.host = bind.rsplit(":", 1)[0]
        super().__init__(argv)

    @property
    def uri(self):
        return f"{self.scheme}://{self.host}:{self.port}"

    def start(self, op, path=None, **fields):
        """Sends a command and returns its id; several may be under way."""
        number = next(self.ids)
        command = {"id": number, "op": op, **fields}
        if path is not None:
            command["path"] = path
        self.put(command)
        return number

    def finish(self, number, timeout=30):
        """The answer line of a command, whatever it says."""
        return self._wait(lambda: self.answers.pop(number, None), timeout, f"answer {number}")

    def call(self, op, path=None, *, wait=30, **fields):
        """Sends a command and returns its answer, which must be a CoAP answer (of any code)."""
        answer = self.finish(self.start(op, path, **fields), wait)
        assert answer["ok"], f"{op} {path or ''}: {answer.error}"
        return answer

    def fail(self, op, path=None, *, wait=30, **fields):
        """Sends a command that gets no CoAP answer; returns the error's text."""
        answer = self.finish(self.start(op, path, **fields), wait)
        assert not answer["ok"], f"{op} {path or ''} was answered: {answer}"
        return answer["error"]

    def read(self, path, **fields):
        return self.call("read", path, **fields)

    def write(self, path, payload=None, **fields):
        if payload is not None:
            fields["payload"] = str(payload)
        return self.call("write", path, **fields)

    def execute(self, path, args=None, **fields):
        if args is not None:
            fields["args"] = args
        return self.call("execute", path, **fields)

    def create(self, path, **fields):
        return self.call("create", path, **fields)

    def delete(self, path, **fields):
        return self.call("delete", path, **fields)

    def discover(self, path, **fields):
        return self.call("discover", path, **fields)

    def write_attributes(self, path, query, **fields):
        return self.call("write_attributes", path, query=query, **fields)

    def observe(self, path, **fields):
        return self.call("observe", path, **fields)

    def cancel(self, **fields):
        return self.call("cancel", **fields)

    def request(self, method, path=None, **fields):
        return self.call("request", path, method=method, **fields)

    def rule(self, on, **fields):
        return self.call("rule", on=on, **fields)

    def clear_rules(self):
        return self.call("rules_clear")

    def set(self, **fields):
        return self.call("set", **fields)

    def datagram(self, data, **fields):
        return self.call("datagram", hex=data.hex(), **fields)

    def disconnect(self, how="fin", **fields):
        """Ends a client's connection (over TCP): fin, rst, release or abort."""
        return self.call("disconnect", how=how, **fields)

    def wait_registered(self, endpoint=None, timeout=10):
        match = {"endpoint": endpoint} if endpoint else {}
        return self.wait_event("registered", timeout=timeout, **match)

    def wait_notify(self, token=None, timeout=10, **fields):
        if token is not None:
            fields["token"] = token
        return self.wait_event("notify", timeout=timeout, **fields)


class LossProxy(LineProcess):
    def __init__(self, target, **settings):
        argv = [binary("LWM2M_LOSSPROXY", "tools/testserver/lwm2m-lossproxy"),
                f"--target={target}", "--rebind"]
        argv += [f"--{k.replace('_', '-')}={v}" for k, v in settings.items()]
        super().__init__(argv)

    @property
    def uri(self):
        return f"coap://127.0.0.1:{self.port}"

    def change(self, **settings):
        """Changes settings while it runs; returns the counters."""
        self.put({k.replace("_", "-"): v for k, v in settings.items()} or {"stats": True})
        return self.wait_event("stats")

    def rebind(self):
        """New source ports towards the target, as after a NAT that forgot its mappings."""
        self.process.send_signal(signal.SIGUSR1)
        return self.wait_event("rebound")


class DtlsProxy(LineProcess):
    """DTLS in front of a test server."""
    first_command = "stats"
    program = ("LWM2M_DTLSPROXY", "tools/testserver/lwm2m-dtlsproxy")

    def __init__(self, target, **settings):
        argv = [binary(*self.program), f"--target={target}"]
        argv += [f"--{k.replace('_', '-')}" + ("" if v is True else f"={v}")
                 for k, v in settings.items()]
        self.ids = itertools.count(1)
        super().__init__(argv)

    def uri(self, host="127.0.0.1"):
        return f"coaps://{host}:{self.port}"

    def call(self, op):
        """forget, mute, unmute, close, renegotiate or stats; returns the counters."""
        number = next(self.ids)
        self.put({"id": number, "op": op})
        answer = self._wait(lambda: self.answers.pop(number, None), 10, f"answer to {op}")
        assert not answer.error, answer
        return answer

    def wait_handshake(self, timeout=10, **fields):
        return self.wait_event("handshake", timeout=timeout, **fields)


class CidProxy(DtlsProxy):
    """The same on Mbed TLS, which has Connection IDs; built where Mbed TLS is."""
    program = ("LWM2M_CIDPROXY", "tools/testserver/lwm2m-cidproxy")
