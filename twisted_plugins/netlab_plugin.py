"""Tells twistd that there is a command ``netlab``; the work is done in netlabsvc.tap."""

from twisted.application.service import ServiceMaker

netlab = ServiceMaker(
    "netlab",
    "netlabsvc.tap",
    "A network lab: chat hub, UDP reflector, web site and mail sandbox.",
    "netlab",
)
