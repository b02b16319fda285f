"""The control API of a real daemon, asked by curl."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from netlabsvc.routes import Route
from support.daemon import PATIENCE_S, TWISTD, Daemon, clean_environment
from support.outside import need

OPENAPI = json.loads((Path(__file__).parents[2] / "netlabsvc/data/openapi.json").read_text("utf-8"))
NOBODY = 65534


def curl(daemon: Daemon, path: str, *options: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and the JSON of the answer."""
    command = [need("curl"), "-sS", "-i", "--max-time", "10", "--unix-socket", str(daemon.control)]
    done = subprocess.run(
        [*command, *options, f"http://netlab{path}"], capture_output=True, check=True
    )
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
    return int(first.split()[1]), headers, json.loads(body) if body.strip() else None


def send(daemon: Daemon, method: str, path: str, body: Any) -> tuple[int, dict[str, str], Any]:
    json_type = ("-H", "Content-Type: application/json")
    return curl(daemon, path, "-X", method, *json_type, "--data-binary", json.dumps(body))


@contextmanager
def client(daemon: Daemon) -> Iterator[socket.socket]:
    """A client of the chat that has been greeted."""
    with socket.create_connection(("127.0.0.1", daemon.ports["chat"]), PATIENCE_S) as sock:
        read_until(sock, "q leaves\n")
        yield sock


def read_until(sock: socket.socket, end: str) -> str:
    heard = b""
    while not heard.decode().endswith(end):
        data = sock.recv(4096)
        assert data, heard
        heard += data
    return heard.decode()


def resolved(schema: Any) -> dict[str, Any]:
    """A schema of the file, to be used alone."""
    return {**schema, "components": OPENAPI["components"]}


#: A body or query for each operation that is tried; what is not here needs none.
SAMPLES: dict[tuple[str, str], Any] = {
    ("post", "/v1/chat/say"): {"text": "hello"},
    ("post", "/v1/chat/tell"): {"to": "guest1", "text": "hello"},
    ("put", "/v1/chat/mute"): {"who": "1"},
    ("post", "/v1/chat/bans"): {"address": "10.9.8.7"},
    ("put", "/v1/chat/mode"): {"mode": "hub"},
    ("put", "/v1/chat/topic"): {"topic": "sockets"},
    ("post", "/v1/chat/desk/take"): {"client": 1},
    ("post", "/v1/chat/command"): {"line": "/mode"},
    ("put", "/v1/udp/impair"): {"faults": "30%"},
    ("put", "/v1/mail/personality"): {"personality": "greylist"},
    ("post", "/v1/mail/queue"): {
        "mail_from": "ada@lab",
        "rcpt_to": ["bob@lab"],
        "notify": ["FAILURE"],
        "message": "U3ViamVjdDogaGkNCg0KaGVsbG8NCg==",
    },
    ("post", "/v1/mail/queue/{id}/retry"): {},
    ("post", "/v1/chat/kick"): {"who": "guest1", "reason": "test"},
    ("post", "/v1/shutdown"): {"reason": "test"},
    ("put", "/v1/loglevel"): {"level": "warn"},
    ("post", "/v1/reload"): {},
}
LAST = ["/v1/mail/queue/{id}/retry", "/v1/mail/queue/{id}", "/v1/chat/kick", "/v1/shutdown"]


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """All but the stream, what ends something last."""
    found = [
        (method, path, operation)
        for path, methods in OPENAPI["paths"].items()
        for method, operation in methods.items()
        if path != "/v1/events"
    ]
    return sorted(found, key=lambda one: LAST.index(one[1]) if one[1] in LAST else -1)


def test_every_answer_is_as_the_openapi_file_says(tmp_path: Path) -> None:
    """Each operation is called once, and its answer held against its schema."""
    file = tmp_path / "netlab.toml"
    queue = '[mail.queue]\nsmarthost = "127.0.0.1:1"\n'
    file.write_text(queue)
    with Daemon(tmp_path, f"--config={file}") as daemon, client(daemon):
        file.write_text("[chat]\nrate = 5\nport = 1\n[udp]\nloss = 0.5\n" + queue)
        for method, path, operation in operations():
            body = SAMPLES.get((method, path))
            real = path.replace("{address}", "10.9.8.7").replace("{id}", "1")
            if body is None:
                status, headers, answer = curl(daemon, real, "-X", method.upper())
            else:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                jsonschema.validate(body, schema)
                status, headers, answer = send(daemon, method.upper(), real, body)
            assert status == 200, (method, path, answer)
            (kind,) = operation["responses"]["200"]["content"]
            assert headers["content-type"] == kind
            schema = operation["responses"]["200"]["content"][kind]["schema"]
            jsonschema.validate(answer, resolved(schema))


def routes() -> list[Route]:
    """The routes of a whole lab."""
    from netlabsvc import daemon as whole
    from netlabsvc.chat.operating import Operating as Chat
    from netlabsvc.mail.operating import Operating as Mail
    from netlabsvc.mail.queue_operating import QueueOperating as Queue
    from netlabsvc.udp.operating import Operating as Udp

    makers: list[Any] = [whole.Operating, Udp]
    nothing: Any = None
    made = [route for maker in makers for route in maker(nothing).routes()]
    made += [*Chat(nothing, nothing).routes(), *Mail(nothing, Path(), nothing).routes()]
    return [*made, *Queue(nothing, nothing, nothing, nothing).routes()]


def test_the_openapi_file_and_the_code_name_the_same_operations() -> None:
    """Paths and methods, no more and no less."""
    written = {(m.upper(), path) for path, methods in OPENAPI["paths"].items() for m in methods}
    assert {(route.method, route.path) for route in routes()} == written


@pytest.mark.parametrize("route", routes(), ids=lambda r: f"{r.method} {r.path}")
def test_the_openapi_file_and_the_code_name_the_same_arguments(route: Route) -> None:
    """With the same bounds, words and lengths; required where the code requires them."""
    operation = OPENAPI["paths"][route.path][route.method.lower()]
    assert operation["summary"] == route.help
    parameters = [p for p in operation.get("parameters", []) if p["in"] != "header"]
    written = {p["name"]: (p["schema"], p.get("required", False)) for p in parameters}
    if route.has_body:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        written |= {n: (s, n in schema["required"]) for n, s in schema["properties"].items()}
    assert set(written) == set(route.arguments)
    for name, argument in route.arguments.items():
        schema, required = written[name]
        assert required == argument.required, name
        if argument.key.bounds:
            assert (schema["minimum"], schema["maximum"]) == argument.key.bounds
        if argument.key.one_of:
            assert tuple(schema["enum"]) == argument.key.one_of
        if schema.get("type") == "string":
            assert schema["maxLength"] == argument.longest
        if not required:
            assert schema.get("default") == (argument.key.default or schema.get("default"))


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["-d", "{}"], 415, "the body must be JSON: Content-Type: application/json"),
        (["-H", "Content-Type: application/json", "-d", "{"], 400, "the body is no JSON"),
        (["-H", "Content-Type: application/json", "-d", "[]"], 400, "must be a JSON object"),
        (["-H", "Content-Type: application/json", "-d", "{}"], 400, "text: is missing"),
        (["-H", "Content-Type: application/json", "-d", '{"text": ""}'], 400, "at least one"),
        (["-H", "Content-Type: application/json", "-d", "[" * 60_000], 400, "the body is no JSON"),
        (["-H", "Content-Type: application/json", "-d", "x" * 70_000], 413, "at most 65536"),
        (["-H", "Origin: http://127.0.0.1:8080", "-d", "{}"], 403, "a web page may not"),
        (["-X", "DELETE"], 405, "takes POST, not DELETE"),
    ],
    ids=lambda value: "" if isinstance(value, str) else None,
)
def test_wrong_input_gets_a_problem_document(
    daemon: Daemon, options: list[str], status: int, said: str
) -> None:
    """RFC 9457, in words that say what would be right; the daemon goes on."""
    answered, headers, problem = curl(daemon, "/v1/chat/say", *options)
    assert (answered, headers["content-type"]) == (status, "application/problem+json")
    assert said in problem["detail"]
    jsonschema.validate(problem, resolved(OPENAPI["components"]["schemas"]["Problem"]))
    assert curl(daemon, "/v1/status")[0] == 200


def stream(daemon: Daemon, query: str, *options: str) -> subprocess.Popen[str]:
    command = [need("curl"), "-sSN", "--max-time", "20", "--unix-socket", str(daemon.control)]
    return subprocess.Popen(
        [*command, *options, f"http://netlab/v1/events{query}"],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


def until(process: subprocess.Popen[str], pattern: str) -> list[str]:
    """The lines of a stream up to one in which a pattern is found."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if re.search(pattern, line):
            return lines
    raise AssertionError(f"no {pattern!r} in\n" + "\n".join(lines))


def test_events_stream_and_go_on_where_a_watcher_left(daemon: Daemon) -> None:
    """Last-Event-ID brings exactly what was missed, each event once and in order."""
    watcher = stream(daemon, "?kinds=chat.said")
    until(watcher, "as they happen")
    with client(daemon) as ada:
        ada.sendall(b"one\n")
        lines = until(watcher, '"text": "one"')
        (last_id,) = [line[4:] for line in lines if line.startswith("id: ")]
        watcher.kill()
        watcher.communicate()
        ada.sendall(b"two\nthree\n")
        daemon.wait_for("three")
        again = stream(daemon, "?kinds=chat.said", "-H", f"Last-Event-ID: {last_id}")
        missed = until(again, "three")
        again.kill()
        again.communicate()
    data = [json.loads(line[6:])["text"] for line in missed if line.startswith("data: ")]
    assert data == ["two", "three"]


def test_an_operator_is_there_as_long_as_its_stream(daemon: Daemon) -> None:
    """Clients of the operator mode are told that nobody is there, and that somebody has come."""
    assert send(daemon, "PUT", "/v1/chat/mode", {"mode": "operator"})[0] == 200
    with client(daemon) as ada:
        ada.sendall(b"help\n")
        read_until(ada, "*** no operator is here yet; your lines are kept\n")
        watcher = stream(daemon, "?attach=true")
        read_until(ada, "*** an operator is here\n")
        assert curl(daemon, "/v1/chat")[2]["operators"] == 1
        (drawer,) = curl(daemon, "/v1/chat/desk")[2]
        assert [line["text"] for line in drawer["lines"]] == ["help"]
        watcher.kill()
        watcher.communicate()
        daemon.wait_for("an operator has gone; here now: 0")


def test_a_shutdown_with_a_reason_is_read_by_all_and_ends_the_stream(
    tmp_path: Path,
) -> None:
    """Clients read why, the watcher sees it to the end, the process ends with status 0."""
    with Daemon(tmp_path) as daemon, client(daemon) as ada:
        watcher = stream(daemon, "")
        until(watcher, "as they happen")
        assert send(daemon, "POST", "/v1/shutdown", {"reason": "lunch"})[2]["state"] == "stopping"
        assert "*** the server is going down: lunch; goodbye\n" in read_until(ada, "goodbye\n")
        ada.close()
        rest = watcher.communicate(timeout=PATIENCE_S)[0]
        assert '"message": "stopping: lunch"' in rest
        assert "event: chat.left" not in rest  # the whole room went
        assert watcher.returncode == 0
        assert daemon.process.wait(PATIENCE_S) == 0
        assert not daemon.control.exists()


def test_only_the_owner_can_open_the_socket(tmp_path: Path) -> None:
    """Mode 0600 from its first moment; somebody else on the machine is refused by the kernel."""
    tmp_path.chmod(0o755)
    place = tmp_path / "open"
    place.mkdir(mode=0o755)
    with Daemon(tmp_path, f"--control={place / 'c'}") as daemon:
        assert stat.S_IMODE((place / "c").stat().st_mode) == 0o600
        assert daemon.state_dir.stat().st_mode & 0o077 == 0
        if os.geteuid() != 0:
            return
        code = (
            "import os, socket, sys\n"
            f"os.chdir({str(place)!r}); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
            "try: socket.socket(socket.AF_UNIX).connect('c')\n"
            "except PermissionError: sys.exit(42)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], check=False)
        assert done.returncode == 42


def test_a_web_page_cannot_reach_it(daemon: Daemon) -> None:
    """The site has no such path, and nothing listens on a port for it."""
    port = daemon.ports["web"]
    status = ("-sS", "-o", os.devnull, "-w", "%{http_code}")
    for method in ("GET", "POST"):
        command = [need("curl"), *status, "-X", method, f"http://127.0.0.1:{port}/v1/status"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout in ("404", "405")
    listening = {s["port"] for s in curl(daemon, "/v1/status")[2]["services"] if s["listening"]}
    assert listening == set(daemon.ports.values())


def refusal(directory: Path, control: Path) -> str:
    """Why a daemon does not start that is told to have this socket."""
    command = [str(TWISTD), "-n", "--pidfile=", "netlab", "--services=udp", "--udp-port=0"]
    command += ["--stamp-port=off", "--irtt-port=off"]
    done = subprocess.run(
        [*command, f"--control={control}", f"--state-dir={directory / 'other'}"],
        cwd=directory,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_a_second_daemon_runs_without_and_says_so(daemon: Daemon, tmp_path: Path) -> None:
    """Unless it was told to have that socket: then it does not start."""
    assert refusal(tmp_path, daemon.control) == (
        f"netlab: control: another daemon answers on {daemon.control}; choose another with "
        "--control, or off\n"
    )
    with Daemon(tmp_path, "--services=udp", XDG_RUNTIME_DIR=str(tmp_path)) as other:
        with Daemon(tmp_path, "--services=udp", XDG_RUNTIME_DIR=str(tmp_path)) as third:
            third.wait_for("control is off: another daemon answers on .*; --control PATH gives")
        other.wait_for(f"control listens on {tmp_path}/netlab/control.sock")


def test_what_a_dead_daemon_left_is_taken_over_and_a_file_is_not(tmp_path: Path) -> None:
    """A stale socket goes; whatever else is there stays, and the daemon says so."""
    path = tmp_path / "c"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with Daemon(tmp_path, "--services=udp", f"--control={path}") as daemon:
        daemon.wait_for("control listens on")
    path.write_text("precious")
    assert "is there already and is no socket" in refusal(tmp_path, path)
    assert path.read_text() == "precious"


def test_a_watcher_that_does_not_read_is_told_what_it_missed(tmp_path: Path) -> None:
    """It holds nobody up and fills no memory; what it gets is in order, with a gap where it is."""
    with Daemon(tmp_path, NETLAB_CHAT_RATE="off") as daemon, client(daemon) as ada:
        slow = socket.socket(socket.AF_UNIX)
        slow.settimeout(PATIENCE_S)
        slow.connect(str(daemon.control))
        slow.sendall(b"GET /v1/events?kinds=chat.said HTTP/1.1\r\nHost: netlab\r\n\r\n")
        assert b"as they happen" in slow.recv(4096)
        for start in range(0, 60_000, 10_000):
            ada.sendall(b"".join(b"%d\n" % n for n in range(start, start + 10_000)))
            daemon.wait_for(rf"\): {start + 9_999}$")
        ada.sendall(b"the end\n")
        stream = b""
        while b'"text": "the end"' not in stream:
            stream += slow.recv(1 << 20)
        slow.close()
    assert stream.count(b"event: gap") == 1
    numbers = [int(text) for text in re.findall(rb'"text": "(\d+)"', stream)]
    before, behind = numbers[: numbers.index(0) + 1], numbers
    assert before == [0]
    assert behind == sorted(set(numbers))
    assert numbers[-9_000:] == list(range(51_000, 60_000))
    assert len(numbers) < 60_000


def test_who_does_not_wait_for_an_answer_leaves_no_trace(daemon: Daemon) -> None:
    """Answers that come from a thread, to clients that have gone: no traceback (see `Daemon`)."""
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(daemon.control))
            sock.sendall(b"GET /v1/mail/messages HTTP/1.1\r\nHost: netlab\r\n\r\n")
    assert curl(daemon, "/v1/mail/messages")[0] == 200


def test_a_socket_that_somebody_removed_does_not_hinder_the_end(tmp_path: Path) -> None:
    """A cleaner of temporary files, say; the daemon ends as ever."""
    with Daemon(tmp_path) as daemon:
        daemon.control.unlink()
        daemon.stop()
    assert not daemon.control.exists()
