"""netlab: a network lab in one daemon. docs/architecture.md is the plan of this house."""

from importlib.metadata import version

__version__ = version("netlab")
