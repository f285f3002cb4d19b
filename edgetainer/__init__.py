"""Edgetainer: run containers on edge devices over bad links."""

__version__ = "0.1.0"
