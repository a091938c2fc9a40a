"""The generated files are what the generator writes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(shutil.which("java") is None, reason="needs java for the error codes")
def test_generated_files_are_current() -> None:
    subprocess.run([ROOT / "tools" / "fetch_jars.sh"], check=True)
    command = [sys.executable, "-m", "tools.codegen", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
