# SPDX-License-Identifier: Apache-2.0
"""The daemon, lwm2mctl and a private message bus as Python objects."""
import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

from testserver import binary

SOURCE = Path(__file__).resolve().parents[2]
POLICY = SOURCE / "dbus" / "org.lwm2md.Client1.conf"
SANITIZER = re.compile(r"ERROR: \w*Sanitizer|runtime error:|LeakSanitizer")

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <servicedir>{services}</servicedir>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
{include}{extra}</busconfig>
"""

# Whoever runs the tests plays the daemon's user and the administrator, root or not.
RUNNER_POLICY = """  <policy user="{uid}">
    <allow own_prefix="org.lwm2md.Client1"/>
    <allow send_destination="org.lwm2md.Client1"/>
    <allow send_destination_prefix="org.lwm2md.Client1"/>
    <allow send_interface="org.lwm2md.Client1.Handler"/>
    <allow send_interface="org.lwm2md.Client1.CredentialProvider"/>
    <allow send_interface="org.freedesktop.DBus.Peer" send_member="Ping"/>
    <allow send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow own_prefix="com.example"/>
    <allow own="org.freedesktop.login1"/>
    <allow send_destination="org.freedesktop.login1"/>
  </policy>
"""

USER_POLICY = """  <policy user="{user}">
    <allow send_destination="org.lwm2md.Client1"/>
  </policy>
"""


class Bus:
    """A private dbus-daemon that denies by default as a system bus does, with the policy file that
    is installed. It can be stopped and started at the same address. `folder` must be open to all
    users, and its name short: a socket's address has 107 bytes. `users` may talk to the daemon, as
    members of the group lwm2m do."""

    def __init__(self, folder, users=()):
        self.path = folder / "bus"
        self.config, self.log = folder / "bus.conf", folder / "bus.log"
        include = f"  <include>{POLICY}</include>\n" if POLICY.exists() else ""
        self.services = folder / "services"  # what the bus may start
        self.services.mkdir(exist_ok=True)
        self.config.write_text(BUS_CONFIG.format(
            path=self.path, services=self.services, include=include, extra=RUNNER_POLICY.format(uid=os.getuid()) +
            "".join(USER_POLICY.format(user=user) for user in users)))
        self.address = f"unix:path={self.path}"
        self.process = None
        self.start()

    def start(self):
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self.config}", "--nofork", "--nopidfile",
             "--print-address=1"], stdout=subprocess.PIPE, stderr=self.log.open("w"), text=True)
        assert self.process.stdout.readline().startswith("unix:"), self.log.read_text()
        self.path.chmod(0o666)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def environment(self):
        return {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address}

    def busctl(self, *args, check=True):
        """busctl with JSON output; returns the "data" of the answer, or None."""
        run = subprocess.run(["busctl", f"--address={self.address}", "--json=short", *args],
                             capture_output=True, text=True, timeout=30, check=False)
        assert run.returncode == 0 or not check, f"busctl {args}: {run.stderr}"
        return json.loads(run.stdout)["data"] if run.stdout.strip() else None


class Notify:
    """The socket behind NOTIFY_SOCKET."""

    def __init__(self, path):
        self.path = path
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o666)
        self.lines = []

    def wait(self, text, process, timeout):
        end = time.monotonic() + timeout
        while text not in self.lines:
            left = end - time.monotonic()
            if left <= 0 or process.poll() is not None:
                return False
            if select.select([self.socket], [], [], min(left, 0.1))[0]:
                self.lines += self.socket.recv(4096).decode().split("\n")
        return True

    def close(self):
        self.socket.close()
        self.path.unlink(missing_ok=True)


OBJECTS_PATH = f"{SOURCE / 'data' / 'objects'};{Path(__file__).resolve().parent / 'objects'}"


def make_config(endpoint, servers, client=None, values=None, **sections):
    """The text of a configuration. `servers` maps a name to a dict of keys, or to a URI."""
    client = {"Endpoint": endpoint, **(client or {})}
    lines = ["[Client]"] + [f"{k}={v}" for k, v in client.items()]
    for number, (name, keys) in enumerate(servers.items()):
        if isinstance(keys, str):
            keys = {"Uri": keys}
        keys = {"ShortId": 101 + number, "Lifetime": 300, **keys}
        lines += ["", f"[Server {name}]"] + [f"{k}={v}" for k, v in keys.items() if v is not None]
    sections = {"Objects": {"Path": OBJECTS_PATH, **sections.pop("Objects", {})},
                "Values": values or {}, **sections}
    for name, keys in sections.items():
        lines += ["", f"[{name}]"] + [f"{k}={v}" for k, v in keys.items()]
    return "\n".join(lines) + "\n"


class Daemon:
    """lwm2md on folders of its own. Its log is kept in `folder`/log; `sockets` is a folder with a
    short name."""

    def __init__(self, folder, sockets, config, bus=None, wrapper=()):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.sockets, self.bus, self.wrapper = folder, sockets, bus, list(wrapper)
        self.config = folder / "lwm2md.conf"
        self.config.write_text(config)
        self.state, self.runtime, self.log_file = folder / "state", folder / "run", folder / "log"
        for path in (self.state, self.runtime):
            path.mkdir(mode=0o700, exist_ok=True)
        self.log_file.write_text("")
        self.process = self.notify = None

    def start(self, *args, ready=True, timeout=20):
        self.notify = Notify(self.sockets / f"notify-{self.folder.name}")
        address = self.bus.address if self.bus else "none"
        argv = [*self.wrapper, binary("LWM2MD", "src/daemon/lwm2md"), f"--config={self.config}",
                f"--state-dir={self.state}", f"--runtime-dir={self.runtime}", f"--bus={address}",
                "--log-level=debug", *args]
        with self.log_file.open("a") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(self.notify.path)})
        if ready and not self.notify.wait("READY=1", self.process, timeout):
            raise AssertionError(f"no READY=1 from {' '.join(argv)}\n{self.log}")
        return self

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    @property
    def pid(self):
        return self.process.pid

    @property
    def rss(self):
        """Resident memory, bytes."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def sanitized(self):
        """AddressSanitizer keeps what was freed: memory is no measure then."""
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as f:
            return "libasan" in f.read() or b"__asan_init" in \
                Path(f"/proc/{self.pid}/exe").read_bytes()

    def check_log(self):
        found = SANITIZER.search(self.log)
        assert not found, f"sanitizer report:\n{self.log[found.start():]}"

    def stop(self, timeout=20):
        """SIGTERM; it must end in time with 0 and no sanitizer report."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"still there {timeout} s after SIGTERM\n{self.log}") from None
        finally:
            self.notify.close()
        self.check_log()
        assert status == 0, f"exit status {status}\n{self.log}"

    def kill(self):
        """SIGKILL, as a power cut would."""
        self.process.kill()
        self.process.wait()
        self.process = None
        self.notify.close()

    def wait_exit(self, timeout=20):
        """For a daemon that ends by itself: its exit status."""
        status = self.process.wait(timeout)
        self.process = None
        self.notify.close()
        self.check_log()
        return status


class Ctl:
    """lwm2mctl on a private bus."""

    def __init__(self, bus):
        self.bus = bus

    def argv(self, *args):
        return [binary("LWM2MCTL", "src/ctl/lwm2mctl"), f"--bus={self.bus.address}",
                *(str(a) for a in args)]

    def run(self, *args, input=None, timeout=30):
        """The finished process, whatever its exit code."""
        return subprocess.run(self.argv(*args), input=input, capture_output=True, text=True,
                              timeout=timeout, check=False, env=self.bus.environment())

    def __call__(self, *args, **kwargs):
        """What it printed; it must succeed."""
        run = self.run(*args, **kwargs)
        assert run.returncode == 0, f"lwm2mctl {args} exited with {run.returncode}: {run.stderr}"
        return run.stdout.rstrip("\n")

    def json(self, *args, **kwargs):
        return json.loads(self("--json", *args, **kwargs))

    def start(self, *args):
        """A verb that keeps running (watch, handle, monitor); the caller ends it."""
        return subprocess.Popen(self.argv(*args), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, bufsize=1,
                                env=self.bus.environment())
