# SPDX-License-Identifier: Apache-2.0
"""The processes that are measured: the daemon and the baselines, each with an LwM2M server end of
its own, and the private bus between them and the load."""
import json
import os
import subprocess
import time
from pathlib import Path

import coap
import proc

SOURCE = Path(__file__).resolve().parents[2]

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

CONFIG = """[Client]
Endpoint=bench
Lifetime=86400
UpdateInterval=86400

[Server bench]
Uri=coap://127.0.0.1:{port}
ShortId=101
Lifetime=86400

[Objects]
Path={objects}

[Values]
{values}
[Persist]
{persist}
"""


class BenchError(Exception):
    """A figure that could not be measured, and why."""


class Programs:
    """Where the programs of the build are, and which CPUs the two sides use."""

    def __init__(self, build, pin):
        bench = Path(build) / "tools" / "bench"
        self.coapload, self.busload = bench / "bench-coapload", bench / "bench-busload"
        self.bare_coap, self.bare_bus = bench / "bench-bare-coap", bench / "bench-bare-bus"
        self.bare_bridge = bench / "bench-bare-bridge"
        self.daemon = Path(build) / "src" / "daemon" / "lwm2md"
        for path in vars(self).values():
            if not path.exists():
                raise BenchError(f"{path} is missing (meson compile -C {build})")
        self.load_cpu, self.peer_cpu = pin or (None, None)
        if pin:
            os.sched_setaffinity(0, {self.load_cpu})

    def peer_argv(self, argv):
        """taskset, so that no code of ours runs between fork and exec."""
        argv = [str(a) for a in argv]
        return argv if self.peer_cpu is None else ["taskset", "-c", str(self.peer_cpu), *argv]


class Bus:
    """A private dbus-daemon, on the load side's CPU, that lets everybody do everything."""

    def __init__(self, folder):
        path = folder / "bus"
        (folder / "bus.conf").write_text(BUS_CONFIG.format(path=path))
        self.address, self.log = f"unix:path={path}", (folder / "bus.log").open("w")
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork", "--nopidfile",
             "--print-address=1"], stdout=subprocess.PIPE, stderr=self.log)
        if not self.process.stdout.readline().startswith(b"unix:"):
            raise BenchError(f"no dbus-daemon, see {folder / 'bus.log'}")

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Peer:
    """A process that has registered with `self.server`."""

    def __init__(self, programs, folder, name):
        self.programs, self.name = programs, name
        self.folder = folder / name
        self.folder.mkdir()
        self.server = coap.ServerEnd()
        self.process = None
        self.bus_name = None

    def start(self, argv, timeout=60):
        self.log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(self.programs.peer_argv(argv), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        end = time.monotonic() + timeout
        while self.server.registration is None:
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise BenchError(f"{self.name} did not register, see {self.folder / 'log'}")
            self.server.pump(0.1)
        self.server.pump(0.3)
        return self

    @property
    def pid(self):
        return self.process.pid

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            end = time.monotonic() + 10
            while self.process.poll() is None and time.monotonic() < end:
                self.server.pump(0.01)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        self.process = None
        self.log.close()
        self.server.sock.close()

    # --- load --------------------------------------------------------------------------------
    def measured(self, argv, stdin=b""):
        """Runs a load program; its result with the CPU this process used per counted thing."""
        fd = self.server.sock.fileno()
        self.server.sock.settimeout(None)
        before = proc.cpu_us(self.pid)
        run = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True,
                             pass_fds=(fd,), timeout=600, check=False)
        if not run.stdout:
            raise BenchError(f"{' '.join(str(a) for a in argv)}: {run.stderr.decode()}")
        result = json.loads(run.stdout)
        result["cpu_us"] = proc.cpu_us(self.pid) - before
        result["cpu_us_per_op"] = result["cpu_us"] / max(1, result["n"])
        if result["failed"]:
            raise BenchError(f"{self.name}: {' '.join(str(a) for a in argv[:2])}: {result['failed']}"
                             f" of {result['n'] + result['failed']} failed {run.stderr.decode()}")
        wrong = [code for code in result["codes"] if not code.startswith("2.")]
        if wrong:
            raise BenchError(f"{self.name} answered {', '.join(wrong)}")
        return result

    def coap_load(self, mode, *args, code, path, options=(), payload=b"", use=1):
        """`use`: how many message ids and tokens to set aside."""
        options = coap.path_options(path) + list(options)
        last = max(number for number, _ in options)
        request = bytes([code, last]) + coap.encode_options(options)
        if payload:
            request += b"\xff" + payload
        return self.measured([self.programs.coapload, mode, self.server.sock.fileno(),
                              self.server.peer[1], self.server.take_seq(use), *args], request)

    def requests(self, n, window, code, path, options=(), payload=b""):
        return self.coap_load("req", n, window, code=code, path=path, options=options,
                              payload=payload, use=n)

    def push(self, path, file):
        return self.coap_load("push", file, code=coap.PUT, path=path,
                              options=[(coap.CONTENT_FORMAT, 42)],
                              use=file.stat().st_size // 16 + 16)

    def pull(self, n, path, options, length):
        return self.coap_load("pull", n, code=coap.GET, path=path, options=options,
                              use=n * (length // 16 + 2))

    def bus_load(self, mode, address, *args):
        return self.measured([self.programs.busload, mode, address, self.bus_name, *args])

    def observe(self, path):
        token = self.server.take_seq(1).to_bytes(4, "big")
        options = coap.path_options(path) + [(coap.OBSERVE, 0), (coap.ACCEPT, 0)]
        answer, _ = self.server.exchange(coap.GET, options, token=token)
        if answer.code != 0x45 or coap.opt_uint(answer, coap.OBSERVE) is None:
            raise BenchError(f"{self.name}: observing {path} gave {coap.code_str(answer.code)}")


class Daemon(Peer):
    """lwm2md with state and runtime folders of its own."""

    def __init__(self, programs, folder, name, bus=None, values=(), persist=(), sections=()):
        super().__init__(programs, folder, name)
        self.bus, self.bus_name = bus, "org.lwm2md.Client1"
        lines = "".join(f"{key}={value}\n" for key, value in dict(values).items())
        keep = "".join(f"{key}={value}\n" for key, value in dict(persist).items())
        (self.folder / "conf").write_text(CONFIG.format(
            port=self.server.port, objects=SOURCE / "data" / "objects", values=lines,
            persist=keep) + "".join(
                f"\n[{section}]\n" + "".join(f"{key}={value}\n" for key, value in keys.items())
                for section, keys in dict(sections).items()))
        for sub in ("state", "run"):
            (self.folder / sub).mkdir(mode=0o700)

    def argv(self):
        return [self.programs.daemon, f"--config={self.folder / 'conf'}",
                f"--state-dir={self.folder / 'state'}", f"--runtime-dir={self.folder / 'run'}",
                f"--bus={self.bus.address if self.bus else 'none'}"]

    def start(self, argv=None, timeout=60):
        return super().start(argv or self.argv(), timeout)

    def create(self, object_id, first, count):
        self.bus_load("create", self.bus.address, object_id, first, count)


class BareCoap(Peer):
    """libcoap alone."""

    def __init__(self, programs, folder, name, paths=()):
        super().__init__(programs, folder, name)
        self.paths = [p.strip("/") for p in paths]

    def argv(self):
        return [self.programs.bare_coap, self.server.port, *self.paths]

    def start(self, argv=None, timeout=60):
        return super().start(argv or self.argv(), timeout)

    def put(self, path, payload, content_format):
        """Payload of any size, in blocks."""
        at, block = 0, 1024
        while True:
            chunk, more = payload[at:at + block], at + block < len(payload)
            options = coap.path_options(path) + [(coap.CONTENT_FORMAT, content_format)]
            if more or at:
                options.append((coap.BLOCK1, (at // block) << 4 | more << 3 | 6))
            if more and at == 0:  # without it libcoap takes the last block for the whole
                options.append((coap.SIZE1, len(payload)))
            answer, _ = self.server.exchange(coap.PUT, options, chunk)
            if answer.code >= 0x80:
                raise BenchError(f"{self.name}: PUT {path} gave {coap.code_str(answer.code)}")
            at += block
            if not more:
                return


class BareBridge(Peer):
    """libcoap and sd-bus joined the shortest way."""

    def __init__(self, programs, folder, name, bus, object_id, n):
        super().__init__(programs, folder, name)
        self.bus_name = "org.lwm2md.Bare1"
        self.start([programs.bare_bridge, self.server.port, bus.address, object_id, n])


class BareBus(Peer):
    """sd-bus alone; it registers nowhere."""

    def __init__(self, programs, folder, name, bus):
        super().__init__(programs, folder, name)
        self.bus_name = "org.lwm2md.Bare1"
        self.log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(programs.peer_argv([programs.bare_bus, bus.address]),
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        time.sleep(0.5)
