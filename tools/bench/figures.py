# SPDX-License-Identifier: Apache-2.0
"""The figures: medians of both sides, their ratio and the target."""
import math
import statistics

# Every figure: case, what it is, unit, and the target as (what, sign, value): "ratio" compares the
# ratio lwm2md / baseline, "value" the daemon's own median. None: told, without a target.
ALL = {
    "read-seq": ("read", "Read of one resource, one at a time", "req/s", ("ratio", ">=", 0.7)),
    "read-8": ("read", "Read of one resource, 8 in flight", "req/s", ("ratio", ">=", 0.7)),
    "read-tlv": ("read", "Read of /3/0 in TLV, 8 in flight", "req/s", None),
    "read-senml-cbor": ("read", "Read of /3/0 in SenML CBOR, 8 in flight", "req/s", None),
    "write": ("write", "Write of one resource, 8 in flight, not kept", "req/s", None),
    "write-kept": ("write", "Write of one resource, 8 in flight, on disk before the answer",
                   "req/s", None),
    "discover-1000": ("discover", "Discover of 1,000 instances, whole", "1/s", None),
    "set": ("bus", "D-Bus Set, one call at a time", "values/s", None),
    "set-32": ("bus", "D-Bus Set, 32 calls in flight", "values/s", None),
    "set-many": ("bus", "D-Bus SetMany of 100, one call at a time", "values/s", None),
    "set-many-8": ("bus", "D-Bus SetMany of 100, 8 calls in flight", "values/s",
                   ("many", ">=", 0.5)),
    "notify-latency": ("notify", "D-Bus Set to notification, median", "µs", ("value", "<=", 1000)),
    "notify-rate": ("notify", "Notifications, 1,000 observed resources", "1/s", None),
    "observed-rate": ("observe", "Notifications, 10,000 observations, 1,000 Sets/s", "1/s", None),
    "observed-cpu": ("observe", "CPU of that, of one core", "%", None),
    "observed-rss": ("observe", "RSS with 10,000 observations", "KiB", None),
    "start": ("start", "exec to Register, no bus", "ms", ("ratio", "<=", 1.5)),
    "start-bus": ("start", "exec to Register, with a bus", "ms", None),
    "start-cpu": ("start", "CPU from exec to Register, no bus", "ms", ("ratio", "<=", 1.5)),
    "start-first": ("start", "exec to Register, first start (empty state)", "ms", None),
    "rss-idle": ("idle", "RSS idle", "KiB", ("ratio", "<=", 2.0)),
    "wakeups": ("idle", "Wake-ups idle", "1/s", ("value", "<", 0.1)),
    "rss-10000": ("size", "RSS with 10,000 instances", "KiB", None),
    "rss-100000": ("size", "RSS with 100,000 instances", "KiB", None),
    "set-cpu-10": ("size", "CPU of one Set, 10 instances", "µs", None),
    "set-cpu-100000": ("size", "CPU of one Set, 100,000 instances", "µs", ("ratio", "<=", 2.0)),
    "push-100": ("series", "Push of 100 samples to 100 caches, 8 calls in flight", "samples/s",
                 None),
    "push-series": ("series", "PushSeries of 1,000 samples, 8 calls in flight", "samples/s", None),
    "push-series-kept": ("series", "the same into caches kept on disk", "samples/s", None),
    "sample-memory": ("series", "Memory of a sample, 1,000,000 in 100 caches", "bytes",
                      ("ratio", "<=", 1.5)),
    "push": ("blocks", "10 MiB block-wise push", "MiB/s", ("ratio", ">=", 0.8)),
    "pull": ("blocks", "10 MiB block-wise read-back", "MiB/s", ("ratio", ">=", 0.8)),
}
SETS_PER_SECOND = 300000  # of SetMany, or half of the bare echo's where that is less


def median(runs):
    return statistics.median(runs) if runs else None


def _met(target, value, base, ratio):
    if target is None:
        return None
    what, sign, limit = target
    if what == "many":
        return value >= min(SETS_PER_SECOND, limit * base)
    got = ratio if what == "ratio" else value
    return {">=": got >= limit, "<=": got <= limit, "<": got < limit}[sign]


def _target_text(target):
    if target is None:
        return ""
    what, sign, limit = target
    if what == "many":
        return f"{SETS_PER_SECOND:,} or {limit} x"
    return f"{sign} {limit:g}" + (" x" if what == "ratio" else "")


def _short(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


class Figures:
    def __init__(self, out):
        self.out, self.rows = out, {}

    def add(self, key, runs, base_runs, **more):
        """runs of the daemon and of the baseline (may be empty); `more` goes into the JSON."""
        _, text, unit, target = ALL[key]
        value, base = median(runs), median(base_runs)
        ratio = value / base if base else None
        row = {"figure": text, "unit": unit, "lwm2md": value, "baseline": base, "ratio": ratio,
               "lwm2md_runs": runs, "baseline_runs": base_runs, "target": _target_text(target),
               "met": _met(target, value, base, ratio), **more}
        self.rows[key] = row

    def add_loads(self, key, results, base_results, value):
        """The same from results of the load programs; value(result) is the figure."""
        def side(all_results):
            if not all_results:
                return None
            return {"p50_us": median([r["latency_us"]["p50"] for r in all_results]),
                    "p99_us": median([r["latency_us"]["p99"] for r in all_results]),
                    "cpu_us_per_op": median([r["cpu_us_per_op"] for r in all_results])}
        self.add(key, [value(r) for r in results], [value(r) for r in base_results],
                 lwm2md_load=side(results), baseline_load=side(base_results))

    def table(self):
        head = ("figure", "unit", "lwm2md", "baseline", "ratio", "spread", "target", "met",
                "p50/p99 µs", "baseline", "CPU µs/op", "baseline")
        lines = [head]
        for row in self.rows.values():
            lines.append((
                row["figure"], row["unit"], _short(row["lwm2md"]), _short(row["baseline"]),
                _short(row["ratio"]), self._spread(row), row["target"],
                {True: "yes", False: "NO", None: ""}[row["met"]], *self._load(row)))
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        lines.insert(1, tuple("-" * w for w in widths))
        for line in lines:
            print("| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths)) + " |",
                  file=self.out)

    @staticmethod
    def _spread(row):
        """How far apart the runs were: (largest - smallest) / median, of both sides."""
        return " ".join(f"{(max(runs) - min(runs)) / median(runs):.0%}" if runs and median(runs)
                        else "-" for runs in (row["lwm2md_runs"], row["baseline_runs"]))

    @staticmethod
    def _load(row):
        own, base = row.get("lwm2md_load"), row.get("baseline_load")
        return (f"{own['p50_us']:.0f}/{own['p99_us']:.0f}" if own else "",
                f"{base['p50_us']:.0f}/{base['p99_us']:.0f}" if base else "",
                f"{own['cpu_us_per_op']:.1f}" if own else "",
                f"{base['cpu_us_per_op']:.1f}" if base else "")

    def impossible(self, cases):
        """Figures of these cases that are missing, or that no run can have given."""
        out = []
        for key, (case, text, _, _) in ALL.items():
            if case not in cases:
                continue
            row = self.rows.get(key)
            if row is None:
                out.append(f"no figure '{text}'")
                continue
            for side in ("lwm2md", "baseline"):
                value = row[side]
                low = 0 if key == "wakeups" else 1e-9
                if value is None or not math.isfinite(value) or not low <= value < 1e9:
                    out.append(f"'{text}': {side} is {value}")
        return out
