"""Puts the package and its command `payonce` into the virtual environment that runs this, without a copy of them."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

LAYER = Path(__file__).resolve().parents[1] / "layers" / "payonce"

if __name__ == "__main__":
    Path(sysconfig.get_path("purelib"), "payonce.pth").write_text(f"{LAYER}\n")
    command = Path(sysconfig.get_path("scripts"), "payonce")
    command.write_text(f"#!{sys.executable}\nimport sys\n\nfrom payonce.cli.main import main\n\nsys.exit(main())\n")
    command.chmod(0o755)
