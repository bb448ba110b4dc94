# SPDX-License-Identifier: Apache-2.0
"""A Linux system in a container, with a real systemd and message bus, and lwm2md installed."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

BOOT_SECONDS = 60


def until(look, timeout=20, what=""):
    """Calls `look` until it returns something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"not within {timeout} s: {what or look}"
        time.sleep(0.05)


class Container:
    """`tree` is left as it is: changes go to `folder`, and go away with it."""

    def __init__(self, tree, folder, build):
        self.folder, self.root = folder, folder / "root"
        self.nspawn = self.leader = None
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={tree},upperdir={folder}/upper,workdir={folder}/work",
                        str(self.root)], check=True)
        try:
            self.install(build)
        except BaseException:
            self.close()
            raise

    def install(self, build):
        """From a build folder, or from where its DESTDIR was when another release installed it."""
        if (Path(build) / "build.ninja").exists():
            subprocess.run(["meson", "install", "-C", str(build), "--no-rebuild", "--quiet"],
                           env={**os.environ, "DESTDIR": str(self.root)}, check=True)
        else:
            subprocess.run(["cp", "-a", "--no-preserve=ownership", f"{build}/.", str(self.root)], check=True)
        self.chroot("systemd-sysusers")
        self.chroot("journalctl", "--update-catalog")
        self.chroot("usermod", "-aG", "lwm2m", "app")
        self.chroot("systemctl", "enable", "--quiet", "lwm2md.service")

    def chroot(self, *argv):
        subprocess.run(["chroot", str(self.root), *argv], check=True)

    # --- power ---

    def boot(self):
        with (self.folder / "console").open("a") as console:
            self.nspawn = subprocess.Popen(
                ["systemd-nspawn", "-q", "-D", str(self.root), "-b", "--register=no",
                 "--keep-unit", "--private-network", "--resolv-conf=off", "--link-journal=no",
                 "--timezone=off", "--console=pipe", "--machine=lwm2md-test"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        self.leader = until(self.find_leader, BOOT_SECONDS, "a process 1 in the container")
        until(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in
              ("running", "degraded"), BOOT_SECONDS, "the end of the boot")

    def find_leader(self):
        """nspawn's child that sees itself as process 1."""
        assert self.nspawn.poll() is None, (self.folder / "console").read_text()
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children") \
                    .read_text().split():
                status = Path(f"/proc/{child}/status").read_text()
                ids = next(l for l in status.splitlines() if l.startswith("NSpid:")).split()[1:]
                if len(ids) > 1 and ids[-1] == "1" and self.answers(child):
                    return child
        return None

    @staticmethod
    def answers(leader):
        return Path(f"/proc/{leader}/root/run/systemd/private").exists()

    def power_off(self):
        """As an administrator would; all services are stopped."""
        if not self.nspawn:
            return
        self.run("systemctl", "poweroff", check=False)
        try:
            self.nspawn.wait(90)
        except subprocess.TimeoutExpired:
            self.nspawn.send_signal(signal.SIGKILL)
            self.nspawn.wait()
            raise AssertionError("the container did not power off") from None
        finally:
            self.nspawn = None

    def close(self):
        try:
            self.power_off()
        finally:
            subprocess.run(["umount", str(self.root)], check=True)
            for name in ("upper", "work"):
                shutil.rmtree(self.folder / name)

    # --- inside ---

    def enter(self, *argv, user=None):
        """The command line that runs `argv` inside, as `user` with all their groups."""
        become = ["runuser", "-u", user, "--"] if user else []
        return ["nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "-r", "-w", *become,
                *(str(a) for a in argv)]

    def run(self, *argv, user=None, check=True, timeout=60):
        run = subprocess.run(self.enter(*argv, user=user), capture_output=True, text=True,
                             timeout=timeout, check=False, stdin=subprocess.DEVNULL,
                             env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"})
        assert run.returncode == 0 or not check, \
            f"{argv} as {user}: {run.returncode}\n{run.stdout}{run.stderr}"
        return run

    def __call__(self, *argv, **kwargs):
        return self.run(*argv, **kwargs).stdout.rstrip("\n")

    def in_network(self, *argv):
        """The command line that runs a program of this machine in the container's network."""
        return ["nsenter", "-t", self.leader, "-n", *(str(a) for a in argv)]

    def start(self, *argv, user=None):
        return subprocess.Popen(self.enter(*argv, user=user), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def path(self, name):
        return self.root / name.lstrip("/")

    # --- systemd's view of the service ---

    def show(self, name, unit="lwm2md.service"):
        return self("systemctl", "show", "--value", "--property", name, unit)

    @property
    def pid(self):
        return int(self.show("MainPID"))

    def signal(self, name):
        self.run("kill", f"-{name}", self.pid)

    def journal(self, *match):
        """The entries that lwm2md wrote, as dictionaries."""
        text = self("journalctl", "-o", "json", "--no-pager", "-b", *match,
                    "_SYSTEMD_UNIT=lwm2md.service")
        return [json.loads(line) for line in text.splitlines()]

    def wait_active(self, timeout=30):
        until(lambda: self.show("ActiveState") == "active", timeout, "lwm2md.service is active")

    def drop_in(self, text):
        """Settings of the unit for one test; empty to take them back."""
        folder = self.path("/etc/systemd/system/lwm2md.service.d")
        folder.mkdir(exist_ok=True)
        file = folder / "test.conf"
        if text:
            file.write_text(text)
        else:
            file.unlink(missing_ok=True)
        self("systemctl", "daemon-reload")
