"""A directory served by aiohttp: ``python aiohttp_site.py ROOT PORT``."""

from __future__ import annotations

import sys

from aiohttp import web

if __name__ == "__main__":
    site = web.Application()
    site.router.add_static("/", sys.argv[1])
    web.run_app(site, host="127.0.0.1", port=int(sys.argv[2]), access_log=None)
