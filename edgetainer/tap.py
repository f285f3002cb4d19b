"""The server as a Twisted service, for `twistd edgetainer`.

The one place where things are put together.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.application.service import IService
from twisted.python import usage

from edgetainer.config import OPTIONS, Settings, load
from edgetainer.errors import EdgetainerError


class Options(usage.Options):
    """The command line of `twistd edgetainer`; every option of `Settings`."""

    synopsis = "[options]"
    longdesc = (
        "Each option can also be given in the environment (EDGETAINER_ and the option's name "
        "in capitals, with _ for -) and in the file that --config names (YAML or JSON, names "
        "in lower case with _ for -). The command line wins over the environment, that over "
        "the file."
    )
    optParameters = [  # noqa: RUF012 - twisted.python.usage reads it off the class
        [
            "config",
            "c",
            None,
            "File with options in YAML or JSON. [EDGETAINER_CONFIG]",
        ],
        *(
            [option.flag, None, None, f"{option.text} [default: {option.shown_default}]"]
            for option in OPTIONS
        ),
    ]

    settings: Settings

    def postOptions(self) -> None:
        """Read the settings; one that is not usable ends the program with its name."""
        file = self["config"] or os.environ.get("EDGETAINER_CONFIG")
        try:
            self.settings = load(
                command_line={option.flag: self[option.flag] for option in OPTIONS},
                environment=os.environ,
                file=Path(file) if file else None,
            )
        except EdgetainerError as error:
            raise usage.UsageError(error.detail) from error


def makeService(options: Options) -> IService:
    """The server with these options, not yet started."""
    raise NotImplementedError
