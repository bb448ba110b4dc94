# SPDX-License-Identifier: Apache-2.0
"""What /proc tells about one process."""
import os


def _fields(path):
    out = {}
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            key, _, value = line.partition(":")
            out[key] = value.split()[0] if value.split() else ""
    return out


def _tasks(pid):
    return [f"/proc/{pid}/task/{task}" for task in os.listdir(f"/proc/{pid}/task")]


def cpu_us(pid):
    """CPU time of all threads in microseconds (schedstat counts nanoseconds)."""
    total = 0
    for task in _tasks(pid):
        with open(task + "/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1000


def switches(pid):
    """How often its threads have been taken up again: voluntary context switches, that is, sleeps
    that ended. Those the scheduler forced on it say nothing about the program."""
    return sum(int(_fields(task + "/status")["voluntary_ctxt_switches"]) for task in _tasks(pid))


def memory_kib(pid):
    """rss; its private part (anonymous memory) and its pages of files; and pss, in which a page of
    a library counts for this process by its share."""
    status, rollup = _fields(f"/proc/{pid}/status"), _fields(f"/proc/{pid}/smaps_rollup")
    return {"rss": int(status["VmRSS"]), "anon": int(status["RssAnon"]),
            "file": int(status["RssFile"]), "pss": int(rollup["Pss"]),
            "dirty": int(rollup["Private_Dirty"])}
