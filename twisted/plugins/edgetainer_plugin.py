"""Lets `twistd` find the server: `twistd edgetainer --help`."""

from twisted.application.service import ServiceMaker

edgetainer = ServiceMaker(
    "Edgetainer",
    "edgetainer.tap",
    "Run containers on edge devices over bad links: console, API, gateway and tunnel.",
    "edgetainer",
)
