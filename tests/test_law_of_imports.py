"""The law of imports of docs/architecture.md, as a table."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "netlabsvc"

#: The pure floor: the standard library, the house's `keys`, and the pure floor of the same room.
GROUND = {
    "": {"keys", "escape", "metrics", "reach", "routes", "state", "times", "toml"},
    "chat": {
        *("settings", "message", "text", "telnet", "limits", "turn", "roster", "desk", "hub"),
        *("commands", "member", "bans", "operating", "tally"),
    },
    "udp": {
        *("settings", "ntp", "stamp", "tlv", "irtt", "parameters", "window", "sessions", "tongue"),
        *(
            "classic",
            "impair",
            "stats",
            "probe",
            "trace",
            "sources",
            "buckets",
            "counts",
            "timeline",
        ),
        *("clockfault", "decisions", "fate", "faults", "grammar", "notation", "profiles"),
        *("shapes", "stages"),
        *("clocks", "directions", "distribution", "fates", "jitter", "ordering", "proportion"),
        *("document", "explain", "plot", "report", "runs", "svg"),
        *("ledger", "schedule", "sender"),
    },
    "web": {
        *("settings", "target", "types", "preconditions", "ranges", "pages", "listing"),
        *("url", "response", "printable", "tally", "access", "front", "hosts", "negotiation"),
        *("policy", "memory", "lane", "asking", "charset", "failure", "inflate", "redirect"),
        *("resume",),
    },
    "mail": {
        *("settings", "address", "command", "delivery", "message", "reading", "session", "text"),
        *("record", "row", "tally", "transcript", "transparency", "words"),
        *("accounts", "attempt", "login", "personality", "standing", "orders"),
        *("cage", "claims", "codes", "labels", "languages", "lint", "markup", "meanings"),
        *("pages", "parts", "phrases", "report", "views", "visitors"),
        *("capabilities", "headers", "credentials", "mechanisms", "plan", "transaction"),
        *("bounce", "schedule"),
    },
    "control": {"actions", "console", "events", "orders", "router", "tables", "unread"},
}
#: Adapters to Twisted: Twisted, their own room, and what the house offers to every room.
FIRST = {
    "": {"logs", "connections", "notify", "pulse"},
    "chat": {"outlet", "pressure", "transcript", "room", "session", "framing", "client"},
    "udp": {
        *("batch", "endpoint", "gate", "inputs", "kernel", "operating", "port", "prober", "record"),
        *("reflector", "room", "shelf", "timer"),
    },
    "web": {
        *("tree", "transfer", "parts", "answer", "files", "channel", "site", "client", "status"),
        *("journey", "trust"),
    },
    "mail": {
        *("answers", "arrivals", "certificate", "client", "connection", "inbox", "logins"),
        *("mailbox", "operating", "queue", "sandbox", "schema", "speech", "stock", "store"),
        *("courier", "exchangers", "opening", "speaking", "tls", "turns"),
        *("book", "destination", "lane", "queue_operating", "reporter", "spool"),
    },
    "control": {"api", "client", "socket", "stream", "witness"},
}
#: Modules that know more than one room.
ROOF = {
    "": {
        "activation",
        "config",
        "daemon",
        "health",
        "lab",
        "listeners",
        "reloading",
        "service",
        "tap",
    }
}
HOUSE_GROUND = {"keys", "escape", "metrics", "reach", "routes", "state", "times", "toml"}
HOUSE_FIRST = HOUSE_GROUND | {"logs", "connections"}
#: The one module that may import a third-party package, or one of each room.
WRAPPERS: dict[str, str | tuple[str, ...]] = {
    "click": "cli",
    "prompt_toolkit": "cli",
    "prometheus_client": "web.status",
    "OpenSSL": ("web.trust", "mail.tls"),
    "service_identity": ("web.trust", "mail.tls"),
    "cryptography": "mail.certificate",
}


def modules() -> list[str]:
    """Every module of the house, as dotted name below netlabsvc."""
    paths = sorted(HOUSE.rglob("*.py"))
    return [
        ".".join(p.relative_to(HOUSE).with_suffix("").parts)
        for p in paths
        if p.name != "__init__.py"
    ]


def split(module: str) -> tuple[str, str]:
    room, _, name = module.rpartition(".")
    return room, name


def floor(module: str) -> str:
    room, name = split(module)
    if room == "cli":
        return "cli"
    for title, table in (("ground", GROUND), ("first", FIRST), ("roof", ROOF)):
        if name in table.get(room, ()):
            return title
    return "unknown"


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a module imports, wherever in the file."""
    path = HOUSE.joinpath(*module.split(".")).with_suffix(".py")
    known = set(modules())
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            base = node.module or ""
            inside = base.removeprefix("netlabsvc").removeprefix(".")
            for alias in node.names:
                full = f"{inside}.{alias.name}".lstrip(".")
                if base.startswith("netlabsvc") and full in known:
                    yield node.lineno, f"netlabsvc.{full}"
                else:
                    yield node.lineno, base


def allowed(module: str, target: str) -> bool:
    """Whether the law lets a module import a target."""
    top = target.partition(".")[0]
    mine, room = floor(module), split(module)[0]
    if top == "netlabsvc":
        inside = target.removeprefix("netlabsvc").removeprefix(".")
        return inside == "" or allowed_inside(module, inside)
    if top in sys.stdlib_module_names:
        return True
    if top in WRAPPERS:
        wrappers = WRAPPERS[top]
        return bool({module, room} & set([wrappers] if isinstance(wrappers, str) else wrappers))
    return top in ("twisted", "zope") and mine != "ground"


def allowed_inside(module: str, target: str) -> bool:
    """Whether the law lets one module of the house import another."""
    mine, room = floor(module), split(module)[0]
    target_room, target_name = split(target)
    if mine == "ground":
        own = target_room == room and floor(target) == "ground"
        return own or (target_room == "" and target_name in HOUSE_GROUND)
    if mine == "first":
        own = target_room == room != ""
        return own or (target_room == "" and target_name in HOUSE_FIRST)
    if mine == "cli":
        return target not in ("activation", "daemon", "lab", "listeners", "service", "tap")
    if module == "tap":
        return target in ("activation", "config", "lab", "listeners", "service", "logs")
    return target_room != "cli"


@pytest.mark.parametrize("module", modules())
def test_imports_follow_the_law(module: str) -> None:
    """No import reaches over a wall or down through a floor."""
    assert floor(module) != "unknown", f"{module} stands on no floor: add it to the table"
    broken = [
        f"netlabsvc/{module.replace('.', '/')}.py:{line}: {floor(module)} imports {target}"
        for line, target in imports(module)
        if not allowed(module, target)
    ]
    assert not broken, "\n".join(broken)


def test_a_command_knows_one_room() -> None:
    """Each module of cli/ imports one room at most, beside control's client."""
    for module in modules():
        if split(module)[0] != "cli":
            continue
        rooms = {
            split(t.removeprefix("netlabsvc."))[0]
            for _, t in imports(module)
            if t.startswith("netlabsvc.")
        }
        assert len(rooms - {"", "cli", "control"}) <= 1, f"{module} imports {sorted(rooms)}"


def test_only_the_session_runs_commands() -> None:
    """The hub does not know the commands, nor the console its orders; who runs them does."""
    assert all(t != "netlabsvc.chat.commands" for _, t in imports("chat.hub"))
    assert all(t != "netlabsvc.control.orders" for _, t in imports("control.console"))


def test_the_ground_floor_stands_without_twisted() -> None:
    """Every pure module can be imported where Twisted cannot."""
    pure = [f"netlabsvc.{m}" for m in modules() if floor(m) == "ground"]
    code = f"import sys; sys.modules['twisted'] = None; import {', '.join(pure)}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_imports_the_reactor_when_imported() -> None:
    """Importing any module, cli too, installs no reactor."""
    names = ", ".join(f"netlabsvc.{m}" for m in modules())
    code = f"import sys; import {names}; sys.exit('twisted.internet.reactor' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_plugin_directory_is_no_package() -> None:
    """An __init__.py there would overwrite Twisted's own on install and break every twistd."""
    plugins = HOUSE.parent / "twisted_plugins"
    assert [p.name for p in plugins.glob("*.py")] == ["netlab_plugin.py"]
    assert (HOUSE.parent / "twisted" / "plugins").is_symlink()
