"""Build hook: puts the built web client and, where there is a C compiler, the C libraries into the wheel."""

import importlib.util
import os
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _tool(root: Path, tool: str) -> ModuleType:
    """Load ``tools/TOOL.py``, which is not importable inside an isolated build."""
    name = f"folkmoot_{tool}"
    spec = importlib.util.spec_from_file_location(name, root / "tools" / f"{tool}.py")
    if spec is None or spec.loader is None:
        raise RuntimeError(f"tools/{tool}.py is missing from this source tree")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class FolkmootHook(BuildHookInterface[Any]):
    """Builds ``web_client`` and the C libraries when their sources changed since the last build."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node in the isolated build environment, only when there is something to build."""
        web = _tool(Path(self.root), "web_build")
        if os.environ.get(web.SKIP_VARIABLE) or web.is_fresh(Path(self.root)):
            return []
        return [web.NODE_REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the files are collected; raise when the build fails."""
        root = Path(self.root)
        web = _tool(root, "web_build")
        web.build(root, web.wheel_node(), self.app.display_info)
        build_data["artifacts"].append(f"/{web.DIST.as_posix()}/**")
        self._add_libraries(root, version, build_data)

    def _add_libraries(self, root: Path, version: str, build_data: dict[str, Any]) -> None:
        """Compile the C libraries; with one of them inside, the wheel belongs to this kind of machine."""
        if self.target_name != "wheel":
            return
        native = _tool(root, "native_build")
        made = native.build(root, self.app.display_info)
        build_data["artifacts"].extend(f"/{path.relative_to(root).as_posix()}" for path in made)
        if made and version != "editable":
            # The libraries are loaded with ctypes: any Python 3 of this system and processor can use them.
            system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{system}"
