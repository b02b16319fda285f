"""What REDbot notes about a URL, asked as a program: it has an event loop of its own.

python redbot_notes.py URL    prints [[level, name, sentence], ...] as JSON
"""

from __future__ import annotations

import json
import sys
from configparser import ConfigParser

import thor
from redbot.resource import HttpResource


def main(url: str) -> None:
    settings = ConfigParser()
    settings.read_dict({"redbot": {"enable_local_access": "True"}})
    resource = HttpResource(settings["redbot"])
    resource.set_request(url)
    resource.on("check_done", thor.stop)
    resource.check()
    thor.run()
    notes = [(n.level.name, type(n).__name__, str(n.summary)) for n in resource.response.notes]
    print(json.dumps(notes))


if __name__ == "__main__":
    main(sys.argv[1])
