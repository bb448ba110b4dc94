# SPDX-License-Identifier: Apache-2.0
"""The cases: each starts what it needs, measures both sides in turn and adds its figures."""
import json
import os
import random
import subprocess
import time

import coap
import proc
from figures import median
from peers import BareBridge, BareBus, BareCoap, BenchError, Bus, Daemon

MIB = 1 << 20
TEXT, LINK, OPAQUE, SENML_CBOR, TLV = 0, 40, 42, 112, 11542

DEVICE = {"/3/0/0": "Acme", "/3/0/1": "Sensor", "/3/0/2": "4711", "/3/0/3": "1.0",
          "/3/0/6/0": "1", "/3/0/7/0": "3800", "/3/0/8/0": "125", "/3/0/9": "95",
          "/3/0/10": "15", "/3/0/14": "+01:00", "/3/0/15": "Europe/Berlin0", "/3/0/17": "box",
          "/3/0/18": "a", "/3/0/19": "b", "/3/0/20": "0", "/3/0/21": "64"}
THERMOMETER = {"/3303/0/5700": "21.5"}


class Cases:
    NAMES = ("read", "write", "discover", "bus", "notify", "observe", "start", "idle", "size", "series",
             "blocks")

    def __init__(self, programs, folder, figures, repeat, smoke):
        self.programs, self.folder, self.figures = programs, folder, figures
        self.repeat, self.smoke = repeat, smoke
        self.bus = Bus(folder)
        self.peers = []

    def n(self, full, tiny):
        return tiny if self.smoke else full

    def peer(self, peer):
        self.peers.append(peer)
        return peer

    def run(self, name):
        try:
            getattr(self, "bus_" if name == "bus" else name)()
        finally:
            for peer in self.peers:
                if peer.process:
                    peer.close()
            self.peers = []

    def close(self):
        self.bus.close()

    def in_turn(self, own, base):
        """own() and base() --repeat times, A B A B; both lists of results."""
        results = [], []
        for _ in range(self.repeat):
            results[0].append(own())
            results[1].append(base())
        return results

    # --- requests of the server --------------------------------------------------------------
    def read(self):
        daemon = self.peer(Daemon(self.programs, self.folder, "read", self.bus,
                                  DEVICE | THERMOMETER)).start()
        bare = self.peer(BareCoap(self.programs, self.folder, "bare-read",
                                  ("3303/0/5700", "3/0"))).start()
        n = self.n(10000, 200)

        def both(key, path, accept, window):
            answer = daemon.server.request(coap.GET, path, [(coap.ACCEPT, accept)])
            if answer[0] != 0x45:
                raise BenchError(f"GET {path} gave {coap.code_str(answer[0])}")
            bare.put(path, answer[2], accept)
            own, base = self.in_turn(*(
                lambda p=p: p.requests(n, window, coap.GET, path, [(coap.ACCEPT, accept)])
                for p in (daemon, bare)))
            self.figures.add_loads(key, own, base, lambda r: r["rate"])
        both("read-seq", "/3303/0/5700", TEXT, 1)
        both("read-8", "/3303/0/5700", TEXT, 8)
        both("read-tlv", "/3/0", TLV, 8)
        both("read-senml-cbor", "/3/0", SENML_CBOR, 8)

    def write(self):
        daemon = self.peer(Daemon(self.programs, self.folder, "write", self.bus, DEVICE,
                                  {"/3/0/14": "never"})).start()
        bare = self.peer(BareCoap(self.programs, self.folder, "bare-write",
                                  ("3/0/14", "3/0/15"))).start()

        def both(key, path, payload, n, **more):
            own, base = self.in_turn(*(
                lambda p=p: p.requests(n, 8, coap.PUT, path, [(coap.CONTENT_FORMAT, TEXT)], payload)
                for p in (daemon, bare)))
            self.figures.add_loads(key, own, base, lambda r: r["rate"])
            self.figures.rows[key].update(more)
        both("write", "/3/0/14", b"+01:00", self.n(20000, 200))
        both("write-kept", "/3/0/15", b"Europe/Berlin0", self.n(2000, 50),
             fdatasync_per_s=self.disk())

    def disk(self):
        """Appends of 64 bytes that are on disk, a second: no kept Write of one at a time is
        faster."""
        n, path = self.n(300, 20), self.folder / "disk"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        start = time.monotonic()
        for _ in range(n):
            os.write(fd, bytes(64))
            os.fdatasync(fd)
        rate = n / (time.monotonic() - start)
        os.close(fd)
        return round(rate, 1)

    def discover(self):
        count = self.n(1000, 20)
        daemon = self.peer(Daemon(self.programs, self.folder, "discover", self.bus)).start()
        daemon.create(3303, 0, count)
        bare = self.peer(BareCoap(self.programs, self.folder, "bare-discover", ("3303",))).start()
        code, _, body, _, blocks = daemon.server.request(coap.GET, "/3303", [(coap.ACCEPT, LINK)])
        if code != 0x45 or body.count(b"</3303/") < count:
            raise BenchError(f"Discover gave {coap.code_str(code)} with {len(body)} bytes")
        bare.put("3303", body, LINK)
        n = self.n(100, 3)
        own, base = self.in_turn(*(
            lambda p=p: p.pull(n, "/3303", [(coap.ACCEPT, LINK)], len(body))
            for p in (daemon, bare)))
        for result in own + base:
            if result["bytes"] != n * len(body):
                raise BenchError(f"{result['bytes']} bytes in {n} transfers of {len(body)}")
        self.figures.add_loads("discover-1000", own, base, lambda r: r["rate"])
        self.figures.rows["discover-1000"].update(bytes=len(body), blocks=blocks)

    # --- the bus -----------------------------------------------------------------------------
    def bus_(self):
        daemon = self.peer(Daemon(self.programs, self.folder, "bus-own", self.bus)).start()
        daemon.create(3303, 0, 100)
        bare = self.peer(BareBus(self.programs, self.folder, "bare-bus", self.bus))

        def both(key, values, *args):
            own, base = self.in_turn(*(
                lambda p=p: p.bus_load(args[0], self.bus.address, *args[1:])
                for p in (daemon, bare)))
            self.figures.add_loads(key, own, base, lambda r: r["rate"] * values)
        single, many = self.n(10000, 100), self.n(3000, 30)
        both("set", 1, "set", single, 1, "/3303/0/5700")
        both("set-32", 1, "set", single * 2, 32, "/3303/0/5700")
        both("set-many", 100, "many", many, 1, 3303, 100)
        both("set-many-8", 100, "many", many, 8, 3303, 100)

    def notify(self):
        count = self.n(1000, 20)
        daemon = self.peer(Daemon(self.programs, self.folder, "notify", self.bus)).start()
        daemon.create(3303, 0, count)
        bare = self.peer(BareBridge(self.programs, self.folder, "bare-notify", self.bus, 3303,
                                    count))

        def both(key, mode, value, *args):
            own, base = self.in_turn(*(
                lambda p=p: p.bus_load(mode, self.bus.address, p.server.sock.fileno(), *args)
                for p in (daemon, bare)))
            self.figures.add_loads(key, own, base, value)
        for peer in (daemon, bare):
            peer.observe("/3303/0/5700")
        both("notify-latency", "notify", lambda r: r["latency_us"]["p50"], self.n(2000, 20),
             "/3303/0/5700")
        for peer in (daemon, bare):
            for i in range(1, count):
                peer.observe(f"/3303/{i}/5700")
        both("notify-rate", "burst", lambda r: r["rate"], self.n(10, 2), 3303, count)

    def observe(self):
        """Each resource is observed once and set every ten seconds."""
        count, rate = self.n(10000, 50), self.n(1000, 100)
        daemon = self.peer(Daemon(self.programs, self.folder, "observe", self.bus)).start()
        daemon.create(3303, 0, count)
        bare = self.peer(BareBridge(self.programs, self.folder, "bare-observe", self.bus, 3303,
                                    count))
        memory = {}
        for peer in (daemon, bare):
            before = proc.memory_kib(peer.pid)
            for i in range(count):
                peer.observe(f"/3303/{i}/5700")
            after = memory[peer] = proc.memory_kib(peer.pid)
            after["bytes_per_observation"] = round((after["anon"] - before["anon"]) * 1024 / count)
        own, base = self.in_turn(*(
            lambda p=p: p.bus_load("paced", self.bus.address, p.server.sock.fileno(),
                                   self.n(10 * rate, rate), 3303, count, rate)
            for p in (daemon, bare)))
        self.figures.add_loads("observed-rate", own, base, lambda r: r["rate"])
        self.figures.add("observed-cpu", *([r["cpu_us"] / r["wall_s"] / 1e4 for r in results]
                                           for results in (own, base)))
        self.figures.add("observed-rss", [memory[daemon]["rss"]], [memory[bare]["rss"]],
                         lwm2md_kib=memory[daemon], baseline_kib=memory[bare])

    # --- the process -------------------------------------------------------------------------
    def start(self):
        def once(peer, close=True):
            cpu = self.programs.peer_cpu
            fd = peer.server.sock.fileno()
            run = subprocess.run(
                [str(a) for a in (self.programs.coapload, "start", fd, -1 if cpu is None else cpu,
                                  *peer.argv())],
                capture_output=True, pass_fds=(fd,), timeout=60, check=False)
            if run.returncode:
                raise BenchError(f"{peer.name} did not register: {run.stderr.decode()}")
            if close:
                peer.server.sock.close()
            return json.loads(run.stdout)
        numbers = iter(range(1000))

        def own(bus):
            daemon = Daemon(self.programs, self.folder, f"start{next(numbers)}", bus, DEVICE)
            return once(daemon, False), once(daemon)

        def base():
            return once(BareCoap(self.programs, self.folder, f"bare-start{next(numbers)}"))
        repeat, self.repeat = self.repeat, self.n(4 * self.repeat, 1)
        results, bare = self.in_turn(lambda: (own(None), own(self.bus)), base)
        self.repeat = repeat

        def add(key, own_results, field):
            self.figures.add(key, [r[field] for r in own_results], [r[field] for r in bare])
        (first, again), bus_again = zip(*(r[0] for r in results)), [r[1][1] for r in results]
        add("start-first", first, "registered_ms")
        add("start", again, "registered_ms")
        add("start-bus", bus_again, "registered_ms")
        add("start-cpu", again, "cpu_ms")

    def idle(self):
        daemon = self.peer(Daemon(self.programs, self.folder, "idle", self.bus, DEVICE)).start()
        bare = self.peer(BareCoap(self.programs, self.folder, "bare-idle")).start()
        for peer in (daemon, bare):
            peer.server.pump(self.n(2, 0.2))
        own, base = proc.memory_kib(daemon.pid), proc.memory_kib(bare.pid)
        self.figures.add("rss-idle", [own["rss"]], [base["rss"]], lwm2md_kib=own, baseline_kib=base)
        seconds = self.n(30, 1)
        before = [proc.switches(p.pid) for p in (daemon, bare)]
        time.sleep(seconds)
        after = [proc.switches(p.pid) for p in (daemon, bare)]
        self.figures.add("wakeups", [(after[0] - before[0]) / seconds],
                         [(after[1] - before[1]) / seconds], seconds=seconds)

    def size(self):
        """An object has 65,535 instances at most, so 100,000 are spread over two."""
        bare = self.peer(BareCoap(self.programs, self.folder, "bare-size")).start()
        base = proc.memory_kib(bare.pid)
        bare.close()
        echo = self.peer(BareBus(self.programs, self.folder, "bare-size-bus", self.bus))
        sizes = [10, self.n(10000, 100), self.n(100000, 200)]
        sets, cpu, calls = {}, {}, self.n(5000, 50)
        daemons, memory = {}, {}
        for size in sizes:
            daemons[size] = d = self.peer(Daemon(self.programs, self.folder, f"size{size}"))
            d.bus, d.bus_name = self.bus, f"org.lwm2md.Client1.s{size}"
            d.start(d.argv() + [f"--instance=s{size}"])
            idle = proc.memory_kib(d.pid)
            for i, first in enumerate(range(0, size, 50000)):
                d.create(3303 + i, 0, min(50000, size - first))
            last = f"/3304/{size - 50001}/5700" if size > 50000 else f"/3303/{size - 1}/5700"
            if d.server.read(last, "text")[0] != 0x45:
                raise BenchError(f"{last} of {size} instances cannot be read")
            memory[size] = proc.memory_kib(d.pid)
            memory[size]["bytes_per_instance"] = round(
                (memory[size]["rss"] - idle["rss"]) * 1024 / size)
            sets[size] = []
        sets["bare"] = []
        middle = {10: 5, sizes[1]: sizes[1] // 2, sizes[2]: min(25000, sizes[2] // 2)}
        for _ in range(self.repeat):
            for size in (sizes[0], sizes[2]):
                sets[size].append(daemons[size].bus_load(
                    "set", self.bus.address, calls, 1, f"/3303/{middle[size]}/5700"))
            sets["bare"].append(echo.bus_load("set", self.bus.address, calls, 1, "/3303/5/5700"))
        for key, size in (("rss-10000", sizes[1]), ("rss-100000", sizes[2])):
            self.figures.add(key, [memory[size]["rss"]], [base["rss"]], instances=size,
                             lwm2md_kib=memory[size])
        cpu = {k: [r["cpu_us_per_op"] for r in v] for k, v in sets.items()}
        self.figures.add("set-cpu-10", cpu[10], cpu["bare"],
                         latency_us=[median([r["latency_us"]["p50"] for r in sets[10]])])
        self.figures.add("set-cpu-100000", cpu[sizes[2]], cpu[10],
                         latency_us=[median([r["latency_us"]["p50"] for r in sets[sizes[2]]])])

    def series(self):
        """100 caches of 10,000; the baseline of a sample's memory is its value and its time."""
        samples, count = self.n(1000000, 2000), self.n(1000, 10)
        sections = {"Cache": {"/3303": f"{samples // 100} oldest"},
                    "Limits": {"ValuesPerUser": 4000000000}}
        daemon = self.peer(Daemon(self.programs, self.folder, "series", self.bus,
                                  sections=sections)).start()
        daemon.create(3303, 0, 100)
        bare = self.peer(BareBus(self.programs, self.folder, "bare-series", self.bus))
        before = proc.memory_kib(daemon.pid)
        # What the instances got when they were made are the first samples.
        daemon.bus_load("series", self.bus.address, samples // count, 8, 3303, count, 100)
        after = proc.memory_kib(daemon.pid)
        self.figures.add("sample-memory",
                         [(after["rss"] - before["rss"]) * 1024 / samples], [16.0],
                         samples=samples, lwm2md_kib=after)

        def both(key, peers, mode, calls, n):
            own, base = self.in_turn(*(
                lambda p=p: p.bus_load(mode, self.bus.address, calls, 8, 3303, n, 100)
                for p in peers))
            self.figures.add_loads(key, own, base, lambda r: r["rate"] * n)
        both("push-100", (daemon, bare), "push", self.n(3000, 20), 100)
        both("push-series", (daemon, bare), "series", self.n(3000, 20), count)
        daemon.close()
        kept = self.peer(Daemon(self.programs, self.folder, "series-kept", self.bus,
                                persist={"/3303": "always"}, sections=sections)).start()
        kept.create(3303, 0, 100)
        both("push-series-kept", (kept, bare), "series", self.n(3000, 20), count)

    # --- large bodies ------------------------------------------------------------------------
    def blocks(self):
        path, length = "/19/0/0/0", self.n(10 * MIB, 100000)
        daemon = self.peer(Daemon(self.programs, self.folder, "blocks", self.bus,
                                  {path: "hex:00"})).start()
        bare = self.peer(BareCoap(self.programs, self.folder, "bare-blocks", (path,))).start()
        file = self.folder / "body"
        file.write_bytes(random.Random(1).randbytes(length))

        def rate(result):
            return result["bytes"] / MIB / result["wall_s"]

        def pull(peer):
            result = peer.pull(1, path, [(coap.ACCEPT, OPAQUE)], length)
            if result["bytes"] != length:
                raise BenchError(f"{peer.name} gave {result['bytes']} of {length} bytes back")
            return result
        pushes = self.in_turn(*(lambda p=p: p.push(path, file) for p in (daemon, bare)))
        pulls = self.in_turn(*(lambda p=p: pull(p) for p in (daemon, bare)))
        self.figures.add_loads("push", *pushes, rate)
        self.figures.add_loads("pull", *pulls, rate)
