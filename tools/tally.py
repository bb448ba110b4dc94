#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the test cases of a run of meson: tally.py TESTLOG.json [JUNIT.xml...]

Prints "PASSED FAILED SKIPPED" and one line per failed test after it. The cases inside a test are
counted as pytest and cmocka print them, those of Maven as its reports (JUnit) say; a test that
prints no count is one case. A test that meson calls failed counts as one failure at least."""
import json
import re
import sys
import xml.etree.ElementTree as ET

PYTEST = re.compile(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s", re.M)
CMOCKA = re.compile(r"^\[  (PASSED|FAILED|SKIPPED)\s*\] (\d+) test\(s\)", re.M)
WORDS = {"passed": 0, "xfailed": 0, "failed": 1, "error": 1, "errors": 1, "xpassed": 0,
         "skipped": 2, "PASSED": 0, "FAILED": 1, "SKIPPED": 2}
SKIPPED, GOOD = "SKIP", ("OK", "EXPECTEDFAIL")


def cases_in(text):
    """[passed, failed, skipped] as the output tells, or None."""
    n = [0, 0, 0]
    found = False
    for line in PYTEST.findall(text):
        for number, word in re.findall(r"(\d+) (\w+)", line):
            if word in WORDS:
                n[WORDS[word]] += int(number)
                found = True
    for word, number in CMOCKA.findall(text):
        n[WORDS[word]] += int(number)
        found = True
    return n if found else None


def cases_of(test, junit=()):
    """[passed, failed, skipped] of one entry of testlog.json."""
    if test["result"] == SKIPPED:
        return [0, 0, 1]
    output = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    n = cases_in(output) or cases_in_reports(junit) or [0, 0, 0]
    good = test["result"] in GOOD
    if good and sum(n) == 0:
        return [1, 0, 0]
    if good and n[1]:
        raise SystemExit(f"{test['name']}: meson says {test['result']}, its output tells of failures")
    return n if good else [n[0], max(n[1], 1), n[2]]


def cases_in_reports(files):
    n = [0, 0, 0]
    for file in files:
        suite = ET.parse(file).getroot()
        total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        n = [n[0] + total - failed - skipped, n[1] + failed, n[2] + skipped]
    return n if sum(n) else None


def main(log, junit):
    total, failures = [0, 0, 0], []
    with open(log, encoding="utf-8") as file:
        for line in file:
            test = json.loads(line)
            total = [a + b for a, b in zip(total, cases_of(test, junit))]
            if test["result"] not in (*GOOD, SKIPPED):
                failures.append(f"{test['name']}: {test['result']}")
    print(*total)
    for failure in failures:
        print(failure)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
