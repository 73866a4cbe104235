"""The build hook of the wheel: it compiles the matching rules for Spark."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledRules(BuildHookInterface):
    """Makes what pyproject.toml lists as the wheel's artifacts."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the rules, unless the installation is editable: then the package is read from the checkout."""
        if version == "editable":
            return
        root = Path(self.root)
        sys.path[:0] = [str(root), str(root / "layers" / "payonce")]
        from tools.compile_rules import compile_rules

        compile_rules()
