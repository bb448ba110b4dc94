#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every MESSAGE_ID of the source has its text in the journal's catalog, and the other way round."""
import re
import sys
from pathlib import Path

source, catalog, *rest = (Path(name).read_text() for name in sys.argv[1:])
pairs = re.findall(r'\{ "([a-z-]+)", "([0-9a-f]{32})" \}', source)
texts = re.findall(r"^-- ([0-9a-f]{32})\nSubject: .+\nDefined-By: lwm2md\nDocumentation: .+\n\n\S",
                   catalog, re.M)
assert len(pairs) >= 10 and len(dict(pairs)) == len({i for _, i in pairs}) == len(pairs), pairs
assert sorted(texts) == sorted(i for _, i in pairs), "ids of the source and the catalog differ"
assert texts == re.findall(r"^-- (.*)$", catalog, re.M), "an entry without subject or text"
# An event that neither machine ever names would be a misspelling.
for event, _ in pairs:
    assert any(f'"{event}"' in text for text in rest), event
