# SPDX-License-Identifier: Apache-2.0
"""The crash tester with few rounds; `tests/scenario/crash.py` runs 200."""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from crash import Crash  # noqa: E402


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_no_accepted_message_is_lost_when_processes_are_killed():
    c = Crash(int(os.environ.get("CRASH_ROUNDS", "20")), seed=int(os.environ.get("CRASH_SEED", "1")))
    try:
        print(c.run(240))
    finally:
        c.close()
