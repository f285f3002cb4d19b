"""Packaging: all that is plain lies in setup.cfg; this finds the packages and adds the web UI."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildWithWebUi(build_py):
    """Puts the built web UI, where there is one, into the wheel as `edgetainer/web`."""

    def run(self) -> None:
        super().run()
        built = HERE / "web" / "dist"
        if self.editable_mode or not (built / "index.html").is_file():
            self.announce("web/dist is not built: this wheel carries no web UI", level=3)
            return
        target = Path(self.build_lib) / "edgetainer" / "web"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(built, target)


setup(
    packages=[
        *find_packages(".", include=["edgetainer", "edgetainer.*"]),
        *find_packages("agent", include=["edgetainer_agent", "edgetainer_agent.*"]),
        # A namespace of Twisted's, without an __init__.py, so that no finder sees it.
        "twisted.plugins",
    ],
    cmdclass={"build_py": BuildWithWebUi},
)
