#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests tools/tally.py, on which tools/check relies for its last line: test_tally.py TALLY.py"""
import importlib.util
import sys
import tempfile
from pathlib import Path

spec = importlib.util.spec_from_file_location("tally", sys.argv[1])
tally = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tally)


def cases(result, stdout="", stderr="", junit=()):
    return tally.cases_of({"name": "x", "result": result, "stdout": stdout, "stderr": stderr}, junit)


def refused(*args):
    try:
        cases(*args)
    except SystemExit:
        return True
    return False


CMOCKA_OK = "[==========] 4 test(s) run.\n", "[  PASSED  ] 4 test(s).\n"
CMOCKA_BAD = ("[==========] 4 test(s) run.\n", "[  PASSED  ] 3 test(s).\n[  FAILED  ] 1 test(s), listed "
              "below:\n[  FAILED  ] test_a\n\n 1 FAILED TEST(S)\n")
PYTEST_BAD = "1 failed, 45 passed, 2 skipped in 3.55s\n"

assert cases("OK") == [1, 0, 0]
assert cases("FAIL") == cases("TIMEOUT") == cases("ERROR") == cases("UNEXPECTEDPASS") == [0, 1, 0]
assert cases("SKIP") == [0, 0, 1]
assert cases("OK", *CMOCKA_OK) == [4, 0, 0]
assert cases("FAIL", *CMOCKA_BAD) == [3, 1, 0]
assert cases("FAIL", *CMOCKA_OK) == [4, 1, 0]  # all cases are fine, then it crashed
assert cases("OK", "....\n46 passed in 2.72s\n") == [46, 0, 0]
assert cases("OK", "46 passed, 1 skipped in 62.72s (0:01:02)\n") == [46, 0, 1]
assert cases("OK", "=== 3 passed, 1 warning in 1.0s ===\n") == [3, 0, 0]
assert cases("FAIL", PYTEST_BAD) == [45, 1, 2]
assert cases("FAIL", "2 passed, 1 error in 0.2s\n") == [2, 1, 0]
assert cases("OK", "1 skipped in 0.1s\n") == [0, 0, 1]
assert refused("OK", PYTEST_BAD) and refused("OK", *CMOCKA_BAD)
with tempfile.TemporaryDirectory() as folder:
    report = Path(folder) / "TEST-a.xml"
    report.write_text('<testsuite tests="9" errors="1" failures="2" skipped="3"/>', encoding="utf-8")
    assert cases("FAIL", junit=[report]) == [3, 3, 3]
    assert refused("OK", "", "", [report])
print("ok")
