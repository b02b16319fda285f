"""`netlab operator` as a process: on a terminal, in a pipe, beside another one, over a restart."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.daemon import NETLAB, PATIENCE_S, Daemon, clean_environment
from support.outside import need
from support.program import Program
from support.screen import Screen


def console(daemon: Daemon) -> Screen:
    """A console on a terminal; what it ends with is shown."""
    return Screen(f"{NETLAB} operator --control {daemon.control}; echo ended $?; sleep 60")


def pipe(daemon: Daemon, typed: str) -> list[str]:
    """What a console in a pipe prints until it ends by itself."""
    ended = subprocess.run(
        [NETLAB, "operator", "--control", str(daemon.control)],
        input=typed,
        encoding="utf-8",
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert ended.stderr == ""
    return ended.stdout.splitlines()


@pytest.fixture
def clients(daemon: Daemon) -> Iterator[list[Program]]:
    """Three nc: 1 alice, 2 bob, 3 carol."""
    with ExitStack() as stack:
        made = []
        for name in ("alice", "bob", "carol"):
            nc = stack.enter_context(_client(daemon))
            nc.say(f"/nick {name}\n".encode())
            nc.wait_for(f"is now {name}".encode())
            made.append(nc)
        yield made


def test_p2p_with_two_while_a_third_one_talks(daemon: Daemon, clients: list[Program]) -> None:
    """Who is not talked with is kept and counted, and the line being typed stays whole."""
    alice, bob, carol = clients
    with console(daemon) as screen:
        screen.until(r"3 clients")
        screen.type("p2p carol\n")
        screen.until(r"p2p 3 carol>")
        screen.type("what do you")
        screen.until(r"p2p 3 carol> what do you")
        for number in range(2):
            alice.say(b"psst %d\n" % number)
        screen.until("1 alice 2 unread")
        bob.say(b"me too\n")
        carol.say(b"I am here\n")
        screen.until(r"1 alice 2 unread.*2 bob 1 unread")
        shown = screen.until(r"3 carol: I am here\n(.*\n)*p2p 3 carol> what do you *\n")
        assert "psst" not in shown
        assert "me too" not in shown
        assert shown.count("what do you") == 1
        screen.type(" need?\n")
        carol.wait_for(b"-> you] operator (server): what do you need?\n")
        screen.type("next\n")
        screen.until(r"1 alice: psst 0\n.*1 alice: psst 1\n(.*\n)*p2p 1 alice>")
        screen.type("and you?\n")
        alice.wait_for(b"-> you] operator (server): and you?\n")
        screen.type("all\n")
        screen.until(r"2 bob: me too\n")
        screen.type("back\n")
        for client in clients:
            client.wait_for(b"operator (server): back\n")
        assert b"need?" not in alice.heard + bob.heard
        assert b"and you?" not in bob.heard + carol.heard


def test_reply_to_and_the_modes_while_they_talk(daemon: Daemon, clients: list[Program]) -> None:
    """Each goes to whom it is meant for, also when the room changes in the middle."""
    alice, bob, carol = clients
    with console(daemon) as screen:
        screen.until("3 clients")
        screen.type("mode echo\n")
        screen.until("mode echo .*3 clients")
        bob.say(b"who hears me?\n")
        bob.wait_for(b"bob (127.0.0.1:%d): who hears me?\n" % _port(bob))
        screen.until("2 bob: who hears me")
        screen.type("reply I do\n")
        bob.wait_for(b"-> you] operator (server): I do\n")
        screen.type("to 3 only you\n")
        carol.wait_for(b"-> you] operator (server): only you\n")
        screen.type("mode operator\n")
        screen.until("to whom\\?")
        alice.say(b"a question\n")
        screen.until("1 alice: a question")
        screen.type("reply an answer\n")
        alice.wait_for(b"-> you] operator (server): an answer\n")
        screen.type("mode hub\n")
        screen.until("mode hub .*3 clients")
        alice.say(b"can you read this?\n")
        bob.wait_for(b"): can you read this?\n")
        carol.wait_for(b"): can you read this?\n")
        assert b"who hears me" not in alice.heard + carol.heard
        assert b"a question" not in bob.heard + carol.heard
        assert b"I do" not in alice.heard + carol.heard


def test_all_clients_read_why_the_daemon_ends(daemon: Daemon, clients: list[Program]) -> None:
    """A shutdown with a reason, confirmed; the console ends with status 0, and so does nc."""
    with console(daemon) as screen:
        screen.until("3 clients")
        screen.type("shutdown the lesson is over\n")
        screen.until('3 clients read "the lesson is over"; yes does it')
        screen.type("yes\n")
        for client in clients:
            client.wait_for(b"*** the server is going down: the lesson is over; goodbye\n")
        screen.until("the daemon is stopping: the lesson is over\n(.*\n)*.*ended 0")
    assert daemon.process.wait(PATIENCE_S) == 0


def test_two_operators_at_once(daemon: Daemon, clients: list[Program]) -> None:
    """Both see everything; what one says the other sees, and neither sees it twice."""
    alice, *_ = clients
    with ExitStack() as stack:
        one = stack.enter_context(console(daemon))
        one.until("3 clients")
        two = stack.enter_context(console(daemon))
        one.until("here now: 2")
        two.until("3 clients")
        one.type("to alice hello from one\n")
        two.until("operator -> 1 alice: hello from one")
        two.type("hello from two\n")
        one.until("operator: hello from two")
        alice.say(b"hello both\n")
        assert one.until("1 alice: hello both").count("hello from one") == 1
        assert two.until("1 alice: hello both").count("hello from two") == 1
        two.press("C-d")
        two.until("ended 0")
        one.until("here now: 1")
    assert daemon.process.poll() is None


def test_lines_wait_for_the_next_console(daemon: Daemon, clients: list[Program]) -> None:
    """What was unread when one console was killed, the next one shows, and only that."""
    alice, bob, _ = clients
    with console(daemon) as first:
        first.until("3 clients")
        first.type("mode operator\n")
        first.until("to whom")
        alice.say(b"read this\n")
        first.until("1 alice: read this")
        first.type("p2p carol\n")
        first.until("p2p 3 carol>")
        bob.say(b"and this\n")
        first.until("2 bob 1 unread")
    daemon.wait_for("here now: 0")
    shown = [re.sub(r"^\[.*?\] ", "", line) for line in pipe(daemon, "")]
    assert shown == ["*** 1 line waits for an operator:", "2 bob: and this"]
    assert pipe(daemon, "") == []


def test_a_pipe(daemon: Daemon, clients: list[Program]) -> None:
    """Commands are obeyed line by line, answers and events come as plain lines, then it ends."""
    alice, bob, carol = clients
    alice.say(b"\x1b[2Jboo\n")
    typed = "who\nhello\nto 3 well\nkick 2 too loud\nkik 3\nimpair 30%\nmode echo\nquit\nall no\n"
    text = "\n".join(pipe(daemon, typed))
    alice.wait_for(b"operator (server): hello\n")
    carol.wait_for(b"-> you] operator (server): well\n")
    bob.wait_for(b"*** the operator has removed you: too loud\n")
    for line in (
        r"\*\*\* 1  alice +127\.0\.0\.1:\d+ +\d+ s +utf-8 +LF +0 B",
        r"\*\*\* there is no command kik; did you mean kick\? say kik 3 says it",
        r"\*\*\* classic: up loss=30%",
        r"\*\*\* 2 bob .* left: removed by the operator: too loud",
        r"\*\*\* the mode is now echo: what you say comes back to you alone",
    ):
        assert re.search(f"(?m)^{line}$", text), text
    assert "\x1b" not in text
    assert b"operator (server): no" not in alice.heard


def test_a_console_outlives_its_daemon(tmp_path: Path) -> None:
    """It says that the connection is lost, takes it up again, and knows that numbers are new."""
    address = ("--services=chat", "--chat-port=0")
    with ExitStack() as stack:
        daemon = stack.enter_context(Daemon(tmp_path, *address, free_ports=False))
        screen = stack.enter_context(console(daemon))
        screen.until("0 clients")
        nc = stack.enter_context(_client(daemon))
        screen.until("1 guest1 .*joined")
        screen.type("to 1\n")
        screen.until("1 guest1>")
        screen.type("half a l")
        daemon.stop()
        nc.wait_for(b"goodbye")
        screen.until(r"the connection to the daemon is lost; .*\n(.*\n)*1 guest1.*> half a l")
        daemon = stack.enter_context(Daemon(tmp_path, *address, free_ports=False))
        other = stack.enter_context(_client(daemon))
        screen.until("connected again\n(.*\n)*.*clients have new numbers")
        screen.until(r"1 guest1 \(gone\)> half a l")
        screen.type("ine\n")
        screen.until("1 guest1 has gone, nobody was told")
        screen.type("all welcome back\n")
        other.wait_for(b"operator (server): welcome back\n")
        assert b"half" not in other.heard
        screen.press("C-d")
        screen.until("ended 0")


def test_nothing_is_missed_while_the_connection_is_lost(tmp_path: Path) -> None:
    """What was said to the new daemon before the console came back is shown when it does."""
    address = ("--services=chat", "--chat-port=0")
    with Daemon(tmp_path, *address, free_ports=False) as daemon:
        running = Program([str(NETLAB), "operator", "--control", str(daemon.control)])
        daemon.wait_for("here now: 1")
        with _client(daemon) as nc:
            nc.say(b"before\n")
            running.wait_for(b"1 guest1: before\n")
            running.process.send_signal(signal.SIGSTOP)
    try:
        with Daemon(tmp_path, *address, free_ports=False) as daemon, _client(daemon) as nc:
            nc.say(b"early\n")
            daemon.wait_for(": early")
            running.process.send_signal(signal.SIGCONT)
            running.wait_for(b"clients have new numbers\n")
            running.wait_for(b"1 guest1: early\n")
            assert running.heard.count(b"before") == 1
    finally:
        running.close()


def test_without_a_daemon_it_says_where_it_looked(tmp_path: Path) -> None:
    """One line, a remedy, status 3, as of netlab ctl."""
    for arguments, environ in (
        (["--control", str(tmp_path / "none.sock")], {}),
        ([], {"NETLAB_CONTROL": str(tmp_path / "none.sock")}),
    ):
        ended = subprocess.run(
            [NETLAB, "operator", *arguments],
            encoding="utf-8",
            capture_output=True,
            env={**clean_environment(), **environ},
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (3, "", 1)
        assert "none.sock: No such file or directory" in ended.stderr
        assert "--control PATH" in ended.stderr


def test_a_reader_that_goes_away_ends_it_quietly(daemon: Daemon) -> None:
    """`netlab operator | head -1`: no word on stderr, and the daemon sees it go."""
    typing = "(echo help; while sleep 0.1 && echo status; do :; done)"
    done = subprocess.run(
        ["sh", "-c", f"{typing} | {NETLAB} operator --control {daemon.control} | head -1"],
        encoding="utf-8",
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stdout.startswith("*** to WHO")
    assert done.stderr == ""
    daemon.wait_for("here now: 0")


@contextmanager
def _client(daemon: Daemon) -> Iterator[Program]:
    nc = Program([need("nc"), "127.0.0.1", str(daemon.ports["chat"])])
    try:
        nc.wait_for(b"/help")
        yield nc
    finally:
        nc.close()


def _port(client: Program) -> int:
    """Its own port, as the daemon shows it."""
    found = re.search(rb"\(127\.0\.0\.1:(\d+)\) is now", client.heard)
    assert found
    return int(found[1])
