"""Five real programs in one room, each with its own habits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.daemon import PATIENCE_S, Daemon
from support.outside import need
from support.program import Program

#: telnet on a terminal of its own, as people run it; what it is given stands for the keyboard.
TELNET = "set timeout -1; spawn -noecho {telnet} 127.0.0.1 {port}; interact"


@pytest.fixture
def programs(daemon: Daemon) -> Iterator[dict[str, Program]]:
    port = str(daemon.ports["chat"])
    where = ["127.0.0.1", port]
    commands = {
        "nc": [need("nc"), *where],
        "nc -N": [need("nc"), "-N", *where],
        "ncat": [need("ncat"), *where],
        "telnet": [need("expect"), "-c", TELNET.format(telnet=need("telnet"), port=port)],
        "socat": [need("socat"), "-", f"TCP:127.0.0.1:{port},crnl"],
    }
    with ExitStack() as stack:
        made = {}
        for name, command in commands.items():
            made[name] = Program(command)
            stack.callback(made[name].close)
            made[name].wait_for(b"/help")
        yield made


def test_five_programs_hear_each_other(programs: dict[str, Program]) -> None:
    """Each line of each program reaches the four others once, in one order."""
    said = []
    for number in range(3):
        for name, program in programs.items():
            program.say(f"{number} {name} 你好\n".encode())
            said.append((name, f"{number} {name} 你好"))
    # The terminal echoes what telnet is given; what others say has a header.
    for name, program in programs.items():
        program.wait_for(b": 2 telnet" if name == "socat" else b": 2 socat")
    time.sleep(0.5)
    for name, program in programs.items():
        assert sorted(program.texts()) == sorted(text for by, text in said if by != name)
    order = {name: program.texts() for name, program in programs.items()}
    for heard in order.values():
        for other in order.values():
            both = set(heard) & set(other)
            assert [x for x in heard if x in both] == [x for x in other if x in both]


def test_one_that_writes_gbk(programs: dict[str, Program]) -> None:
    """Its words reach the others as UTF-8, and theirs reach it as GBK from then on."""
    gbk, *others = programs.values()
    gbk.say("我用的是旧电脑，你们看得懂吗？\n".encode("gbk"))
    for other in others:
        other.wait_for("): 我用的是旧电脑，你们看得懂吗？".encode())
    for number, other in enumerate(others):
        # Not every character passes through telnet: it takes a byte 0x9C of UTF-8 for Ctrl-\.
        other.say(f"你好 {number}\n".encode())
        gbk.wait_for(f"): 你好 {number}\n".encode("gbk"))


def test_telnet_cuts_a_character_and_is_understood_again(programs: dict[str, Program]) -> None:
    """It takes a byte 0x9C for Ctrl-\\; what is left of that line says nothing of the next."""
    telnet, other = programs["telnet"], programs["nc"]
    telnet.say("朋友\n".encode())
    other.wait_for(rb"\xe6")
    telnet.say("大家好\n".encode())
    other.wait_for("): 大家好\n".encode())


def test_one_that_ends_its_input_reads_on_for_a_while(programs: dict[str, Program]) -> None:
    """nc -N: its last words need no line end, and an answer given at once still arrives."""
    ended, other = programs["nc -N"], programs["ncat"]
    ended.say(b"are you there?")
    assert ended.process.stdin is not None
    ended.process.stdin.close()
    ended.process.stdin = None
    other.wait_for(b"): are you there?\n")
    other.say(b"yes\n")
    ended.wait_for(b"): yes\n")
    assert ended.process.wait(PATIENCE_S) == 0
    other.wait_for(b"left: end of input")
