"""The web inbox of a daemon, asked over HTTP by http.client."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import pytest

from support.daemon import NETLAB, Daemon
from system.lettered import kept, lab, message, refused, send

CAGE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
VIEWS = ("", "/html", "/headers", "/source", "/parts", "/dialogue", "/claims", "/lint")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Two mails and a refused attempt; the tests that delete use a daemon of their own."""
    hostile = message("<script>alert(1)</script>", html="<script>document.title='owned'</script>")
    mails = (kept(message("first 作业")), kept(hostile), refused())
    with lab(tmp_path_factory.mktemp("lab"), *mails) as running:
        yield running


class Answer:
    """A response, read."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        self.text = self.body.decode("utf-8", "replace")


def ask(daemon: Daemon, path: str, method: str = "GET", body: str = "", **headers: str) -> Answer:
    connection = HTTPConnection("127.0.0.1", daemon.ports["web"], timeout=10)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"/inbox{path}", body.encode() or None, given)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def test_the_list_shows_mails_and_refused_attempts(daemon: Daemon) -> None:
    """Newest first, with the reply that refused, and no markup of a stranger's."""
    page = ask(daemon, "").text
    assert re.findall(r'data-id="(\d+)"', page) == ["3", "2", "1"]
    assert "553 5.7.1 you are ada, not bob" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_search_finds_by_address_subject_and_text(daemon: Daemon) -> None:
    """All words must occur; a search that finds nothing says so."""
    for words, ids in (("作业", ["1"]), ("ada@lab hello", ["2", "1"]), ("nowhere", [])):
        page = ask(daemon, f"?{urlencode({'q': words})}").text
        assert re.findall(r'data-id="(\d+)"', page) == ids
        found = json.loads(ask(daemon, f"/api/mails?{urlencode({'q': words})}").body)
        assert [str(one["id"]) for one in found] == ids


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_of_a_mail_is_a_page_without_inline_script(daemon: Daemon, view: str) -> None:
    """Under a policy that runs only the inbox's own file, in both languages, with one main part."""
    for lang in ("en", "zh"):
        answer = ask(daemon, f"/2{view}?lang={lang}")
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.text.count("<main") == 1
        scripts = re.findall(
            r'<script src="/inbox/live.js\?\w+" integrity="[^"]+" defer>', answer.text
        )
        assert (len(scripts), answer.text.count("<script")) == (1, 1)
        assert f'<html lang="{"zh-CN" if lang == "zh" else "en"}">' in answer.text


def test_html_is_served_for_the_cage_only(daemon: Daemon) -> None:
    """Its own address has the policy that lets nothing run or load; the frame is sandboxed."""
    answer = ask(daemon, "/2/body.html")
    assert answer.headers["Content-Security-Policy"].startswith(CAGE)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "document.title='owned'" in answer.text
    assert '<iframe src="/inbox/2/body.html" sandbox=""' in ask(daemon, "/2/html").text


def test_source_and_attachments_are_downloads(daemon: Daemon) -> None:
    """Whatever they claim to be: octets, byte for byte, and never shown by the browser."""
    part = next(
        one["place"] for one in json.loads(ask(daemon, "/api/mails/1").body)["parts"]
        if one["attached"]
    )  # fmt: skip
    source = message("first 作业")
    for path, body in (("/1/raw", source), ("/api/mails/1/source", source),
                       (f"/1/part/{part}", b"<b>bytes</b>\0")):  # fmt: skip
        answer = ask(daemon, path)
        assert answer.body == body
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_refused_attempt_tells_its_lesson(daemon: Daemon) -> None:
    """Its page is the dialogue, in the language asked for, and the rule; it has no text view."""
    assert "A rule forbids this sender" in ask(daemon, "/3").text
    assert "策略不允许" in ask(daemon, "/3", Accept_Language="zh-CN,en").text
    assert "sender-must-match-login" in ask(daemon, "/3/claims").text
    assert ask(daemon, "/3/source").status == 404


def test_json_tells_all_that_is_known(daemon: Daemon) -> None:
    """List and mail, for programs; mistakes are JSON, too."""
    listed = json.loads(ask(daemon, "/api/mails?limit=1&before=3").body)
    assert [one["subject"] for one in listed] == ["<script>alert(1)</script>"]
    mail = json.loads(ask(daemon, "/api/mails/3").body)
    assert mail["verdict"] == "refused"
    assert [line["side"] for line in mail["dialogue"]] == ["S", "C", "S", "C", "S"]
    assert mail["dialogue"][4]["note"]["zh"]
    wrong = ask(daemon, "/api/mails?limit=x")
    assert (wrong.status, json.loads(wrong.body)["status"]) == (400, 400)
    assert ask(daemon, "/api/mails/99").status == 404


@pytest.mark.parametrize("path", ["", "/1", "/1/raw", "/style.css", "/api/mails", "/api/events"])
def test_head_says_what_get_would(daemon: Daemon, path: str) -> None:
    """The same status and type, no body; a stream is not opened."""
    answer = ask(daemon, path, "HEAD")
    assert answer.status == 200
    assert answer.body == b""
    assert answer.headers["Content-Type"]


def test_a_strangers_name_or_page_gets_nothing(daemon: Daemon) -> None:
    """DNS rebinding, a form of another site, and another site's EventSource."""
    assert ask(daemon, "", Host="evil.example").status == 421
    assert ask(daemon, "/api/events", Origin="http://evil.example").status == 403
    assert ask(daemon, "/api/events", Sec_Fetch_Site="cross-site").status == 403
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {}):
        assert ask(daemon, "/delete", "POST", "id=1&token=x", **headers).status == 403
    assert ask(daemon, "/api/mails/1", "DELETE", Origin="http://evil.example").status == 403
    assert ask(daemon, "/1").status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/99", 404), ("/x", 404), ("/1/nothing", 404), ("/1/part/99", 404), ("/1/part/x", 404)),
        *(("/1/2/3/4", 404), ("?before=x", 400), ("/%ff", 404), ("/9999999999999999999", 404)),
    ],
)
def test_what_is_not_there_is_told_in_words(daemon: Daemon, path: str, status: int) -> None:
    """A page with the status and a way back, never a traceback."""
    answer = ask(daemon, path)
    assert answer.status == status
    assert 'href="/inbox"' in answer.text


def test_the_api_tells_mistakes_in_json(daemon: Daemon) -> None:
    """Whatever is asked of it; its sentences are English, those of a page the reader's."""
    for path in ("/api/mails/99", "/api/mails/99/source", "/api/nothing", "/api/mails?limit=x"):
        answer = ask(daemon, path)
        assert json.loads(answer.body)["status"] == answer.status
    assert "没有这封邮件" in ask(daemon, "/99?lang=zh").text


def test_who_is_turned_away_gets_a_page_with_its_style(daemon: Daemon) -> None:
    """Style sheet and script hold nothing of a mail, so any name in Host may have them."""
    page = ask(daemon, "?lang=zh", Host="evil.example")
    assert page.status == 421
    assert "主机名" in page.text
    for name in ("style.css", "live.js"):
        assert ask(daemon, f"/{name}", Host="evil.example").status == 200
    assert ask(daemon, "/1", Host="evil.example").status == 421


def test_no_link_of_a_page_leads_to_a_strangers_host(daemon: Daemon) -> None:
    """However the path was written: two slashes at its start would name a host."""
    for path in ("//evil.example/../inbox/1", "//inbox//1", "/./inbox/1"):
        connection = HTTPConnection("127.0.0.1", daemon.ports["web"], timeout=10)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        connection.close()
        assert 'href="/inbox/1?lang=zh"' in text
        assert 'href="//' not in text


def test_an_empty_inbox_says_a_command_that_fills_it(tmp_path: Path) -> None:
    """What the page prints can be pasted into a shell."""
    with lab(tmp_path) as daemon:
        command = re.findall("<pre><code>(.*?)</code>", ask(daemon, "").text)[0]
        words = command.replace("netlab mail", f"{NETLAB} mail")
        assert subprocess.run(words, shell=True, timeout=20, check=False).returncode == 0
        assert [one["subject"] for one in json.loads(ask(daemon, "/api/mails").body)] == ["Hello"]


def test_below_a_prefix_every_address_has_it(tmp_path: Path) -> None:
    """Behind a proxy that hands on whole paths: links, form, style, script and the way back."""
    config = tmp_path / "netlab.toml"
    config.write_text('[web]\nprefix = "/a/lab"\n')
    with lab(tmp_path, kept(message("one")), options=("--config", str(config))) as daemon:
        for view in ("", "/1", "/1/parts", "/1/source", "/1/html"):
            connection = HTTPConnection("127.0.0.1", daemon.ports["web"], timeout=10)
            connection.request("GET", f"/a/lab/inbox{view}")
            response = connection.getresponse()
            assert response.status == 200
            places = re.findall(r'(?:href|src|action)="(/[^"]*)"', response.read().decode())
            connection.close()
            assert "/a/lab/" in places
            assert all(place == "/a/lab/" or place.startswith("/a/lab/inbox") for place in places)


def test_methods_that_are_not_there_are_named(daemon: Daemon) -> None:
    """405 with Allow."""
    assert ask(daemon, "", "POST").headers["Allow"] == "GET, HEAD, OPTIONS"
    assert ask(daemon, "/delete").headers["Allow"] == "POST, OPTIONS"


def test_deleting_and_the_stream_that_tells_of_it(tmp_path: Path) -> None:
    """By form and token, by DELETE; a listener hears of a new mail and of both; the end ends it."""
    with lab(tmp_path, kept(message("one")), kept(message("two"))) as daemon:
        stream = socket.create_connection(("127.0.0.1", daemon.ports["web"]), timeout=10)
        stream.sendall(b"GET /inbox/api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heard = stream.makefile("rb")
        token = re.findall(r'name="token" value="([^"]+)"', ask(daemon, "").text)[0]
        answer = ask(daemon, "/delete", "POST", urlencode({"id": 1, "token": token}), Origin="null")
        assert (answer.status, answer.headers["Location"]) == (303, "/inbox")
        assert _event(heard) == ("gone", {"ids": [1]})
        assert json.loads(ask(daemon, "/api/mails/2", "DELETE").body) == {"removed": [2]}
        assert _event(heard) == ("gone", {"ids": [2]})
        assert ask(daemon, "/api/mails/2", "DELETE").status == 404
        assert json.loads(ask(daemon, "/api/mails").body) == []
        send(daemon, message("three"))
        assert _event(heard)[0] == "mail"
        daemon.stop()
        assert heard.read().endswith(b"0\r\n\r\n")  # the last chunk: ended, not cut


def _event(heard: object) -> tuple[str, object]:
    """The next event of a stream."""
    for line in heard:  # type: ignore[attr-defined]
        if line.startswith(b"event: "):
            kind = line[7:].strip().decode()
            return kind, json.loads(next(heard)[6:])  # type: ignore[call-overload]
    raise AssertionError("the stream ended")


def test_a_mail_as_it_comes_is_explained(tmp_path: Path) -> None:
    """Over a plain socket: its faults, dots on the wire too, and the dialogue that brought it."""
    with lab(tmp_path) as daemon:
        client = socket.create_connection(("127.0.0.1", daemon.ports["mail"]), timeout=10)
        replies = client.makefile("rb")
        for line in (b"HELO me", b"MAIL FROM:<a@lab>", b"RCPT TO:<b@lab>", b"DATA"):
            replies.readline()
            client.sendall(line + b"\r\n")
        client.sendall(b"Subject: raw\r\n\r\n.dot\nbare\r\n.\r\nQUIT\r\n")
        assert b"221 " in replies.read()
        mail = json.loads(ask(daemon, "/api/mails/1").body)
        rules = {one["rule"] for one in mail["findings"]}
        assert rules == {"bare-lf", "no-date", "no-from", "no-message-id", "dot-not-stuffed"}
        assert [line["text"][:4] for line in mail["dialogue"]][-3:] == ["(26 ", ".", "250 "]
        assert "responsible" in mail["dialogue"][-1]["note"]["en"]
        client.close()


def test_who_may_read_is_configured(tmp_path: Path) -> None:
    """Off, there is nothing at all; a configured name opens the door."""
    config = tmp_path / "netlab.toml"
    config.write_text('[mail.sandbox]\ninbox_hosts = ["teacher.lab"]\n')
    with lab(tmp_path, options=("--config", str(config))) as daemon:
        assert ask(daemon, "", Host="teacher.lab:8080").status == 200
        config.write_text("[mail.sandbox]\ninbox_hosts = []\n")
        daemon.process.send_signal(1)
        daemon.wait_for("inbox_hosts")
        assert ask(daemon, "", Host="teacher.lab:8080").status == 421
    config.write_text('[mail.sandbox]\ninbox = "off"\n')
    with Daemon(tmp_path, "--config", str(config)) as daemon:
        assert ask(daemon, "").status == 404
