"""Build hook: puts the built web client into the wheel, with Node from a Python package."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _web_build(root: Path) -> ModuleType:
    """Load ``tools/web_build.py``, which is not importable inside an isolated build."""
    name = "folkmoot_web_build"
    spec = importlib.util.spec_from_file_location(name, root / "tools" / "web_build.py")
    if spec is None or spec.loader is None:
        raise RuntimeError("tools/web_build.py is missing from this source tree")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class WebClientHook(BuildHookInterface[Any]):
    """Builds ``web_client`` when its sources changed since the last build."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node in the isolated build environment, only when there is something to build."""
        web = _web_build(Path(self.root))
        if os.environ.get(web.SKIP_VARIABLE) or web.is_fresh(Path(self.root)):
            return []
        return [web.NODE_REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the files are collected; raise when the build fails."""
        del version
        root = Path(self.root)
        web = _web_build(root)
        web.build(root, web.wheel_node(), self.app.display_info)
        build_data["artifacts"].append(f"/{web.DIST.as_posix()}/**")
