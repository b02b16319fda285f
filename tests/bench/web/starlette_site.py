"""A directory served by starlette: ``SITE_ROOT=ROOT uvicorn starlette_site:site``."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

site = Starlette(routes=[Mount("/", StaticFiles(directory=os.environ["SITE_ROOT"]))])
