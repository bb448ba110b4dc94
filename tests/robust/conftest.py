# SPDX-License-Identifier: Apache-2.0
"""The fixtures of tests/integration, for tests that hurt."""
import importlib.util
import sys
from pathlib import Path

KIT = Path(__file__).resolve().parents[1] / "integration"
sys.path.insert(0, str(KIT))
_spec = importlib.util.spec_from_file_location("kit_fixtures", KIT / "conftest.py")
_kit = importlib.util.module_from_spec(_spec)
sys.modules["kit_fixtures"] = _kit
_spec.loader.exec_module(_kit)
globals().update({k: v for k, v in vars(_kit).items() if not k.startswith("__")})
