"""netlab mail: one mail through one server, and the dialogue to watch."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from netlabsvc.cli.ctl_options import control_option
from netlabsvc.cli.mail_message import Content, copies
from netlabsvc.cli.mail_queue import hand_over
from netlabsvc.cli.mail_server import SANDBOX, STATUS, Command, Failure, Server, server_options
from netlabsvc.cli.mail_show import Dialogue, Enter, Explain, report, report_load
from netlabsvc.cli.mail_trip import Exchange, by_exchangers, many, once
from netlabsvc.cli.run import run
from netlabsvc.mail import phrases
from netlabsvc.mail.address import AddressError, is_loopback
from netlabsvc.mail.delivery import Ending, Outgoing, Stage
from netlabsvc.mail.message import MessageError
from netlabsvc.mail.plan import Plan, Stop
from netlabsvc.mail.transcript import Line

#: The words of --quit-after; and those that only --drop-after knows, QUIT being no answer there.
STAGES = {
    "greeting": Stage.GREETING,
    "ehlo": Stage.EHLO,
    "starttls": Stage.STARTTLS,
    "auth": Stage.AUTH,
    "mail": Stage.MAIL,
    "rcpt": Stage.RCPT,
}
DROP_STAGES = STAGES | {"data": Stage.DATA, "message": Stage.BODY, "dot": Stage.DOT}
_FOR_EVER_S = 7 * 86400.0
_HINT = "; is the daemon running? twistd -n netlab starts it"


@dataclass(frozen=True)
class Manner:
    """How to go about it, and what to show."""

    mx: bool
    mx_port: int
    resolver: str | None
    verbose: bool
    explain: bool
    lang: str
    step: bool
    quit_after: str | None
    drop_after: str | None
    transcript: Path | None
    show_secrets: bool
    as_json: bool
    count: int
    connections: int
    pipelining: bool | None
    queue: bool

    def check(self, host: str, server: Server) -> None:
        """:raises click.UsageError: for what does not go together."""
        if self.queue:
            self._check_queue(server)
        if self.mx and not server.really:
            raise click.UsageError("--mx sends to the servers of others; it wants --really")
        if self.mx and (self.count > 1 or server.user):
            raise click.UsageError("--mx goes neither with --count nor with --user")
        if self.show_secrets and (self.mx or not is_loopback(host)):
            raise click.UsageError("--show-secrets is for servers on this machine")
        if self.count > 1 and (self.stop or self.step):
            raise click.UsageError("--count goes neither with a stop nor with --step")
        if self.quit_after and self.drop_after:
            raise click.UsageError("--quit-after and --drop-after: one end is enough")

    def _check_queue(self, server: Server) -> None:
        """The daemon sends it, in its own way: nothing here can say how, or watch."""
        if server.user or server.tls or server.server != SANDBOX:
            text = "--queue: through which server it goes stands in [mail.queue] of the daemon"
            raise click.UsageError(text)
        watched = self.verbose or self.explain or self.step or self.transcript or self.stop
        if watched or self.mx or self.count > 1:
            raise click.UsageError("--queue: the daemon sends it; there is no dialogue to watch")

    @property
    def stop(self) -> Stop | None:
        if self.drop_after:
            return Stop(DROP_STAGES[self.drop_after], drop=True)
        return Stop(STAGES[self.quit_after]) if self.quit_after else None

    @property
    def together(self) -> bool:
        """Pipelining hides which command a reply answers: for one mail it must be asked for."""
        return self.count > 1 if self.pipelining is None else self.pipelining

    def dialogue(self, stack: ExitStack) -> Dialogue | None:
        """Who gets the lines; None when nobody wants them.

        :raises Failure: for a file that cannot be written.
        """
        verbose = self.verbose or self.explain or self.step
        if not verbose and self.transcript is None:
            return None
        dialogue = Dialogue(verbose=verbose, explain=_meanings(self.lang) if self.explain else None)
        if self.transcript:
            try:
                dialogue.write_to(self.transcript, stack)
            except OSError as error:
                text = f"{self.transcript}: {error.strerror}"
                raise Failure(Ending.CONFIG, text) from None
        return dialogue


_addresses = partial(click.option, metavar="ADDRESS", multiple=True)
_file = click.Path(dir_okay=False, path_type=Path)


@click.command(cls=Command, epilog=STATUS)
@click.option("--from", "sender", metavar="ADDRESS", help="Who sends it.")
@_addresses("--to", help="Who gets it; again, or with commas, for more.")
@_addresses("--cc", help="Who gets it, too.")
@_addresses("--bcc", help="Who gets it without being named in it.")
@click.option("--mail-from", metavar="ADDRESS", help="The envelope's sender; <> is nobody.")
@_addresses("--rcpt", help="The envelope's recipients, instead of those above.")
@click.option("--subject", default="", help="What it is about.")
@click.option("--header", multiple=True, metavar="'NAME: VALUE'", help="One more header.")
@click.option("--body", metavar="TEXT", help="The text; without it, it is read from stdin.")
@click.option("--body-file", type=_file, metavar="FILE", help="The text is in FILE.")
@click.option("--html", type=_file, metavar="FILE", help="The same as HTML, beside the text.")
@click.option("--attach", type=_file, multiple=True, metavar="FILE", help="A file with it.")
@click.option("--eml", type=_file, metavar="FILE", help="A ready message; - is stdin.")
@click.option("--notify", metavar="WHEN", help="DSN: never, or success,failure,delay.")
@click.option("--ret", metavar="WHAT", help="DSN: full or hdrs comes back.")
@server_options
@click.option("--mx", is_flag=True, help="To the servers of the recipients' domains.")
@click.option("--mx-port", default=25, type=click.IntRange(1, 65535), help="Their port: 25.")
@click.option("--resolver", metavar="HOST[:PORT]", help="Which DNS server --mx asks.")
@click.option("--queue", is_flag=True, help="Leave it to the daemon, which tries until it arrives.")
@control_option
@click.option("-v", "--verbose", is_flag=True, help="Show the dialogue on stderr.")
@click.option("--explain", is_flag=True, help="Show it, and what each line means.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", help="Of --explain.")
@click.option("--step", is_flag=True, help="Wait for Enter before each command.")
@click.option("--quit-after", type=click.Choice(list(STAGES)), help="Then say QUIT.")
@click.option("--drop-after", type=click.Choice(list(DROP_STAGES)), help="Then just close.")
@click.option("--transcript", type=_file, metavar="FILE", help="The dialogue as JSON lines.")
@click.option("--show-secrets", is_flag=True, help="Leave them in; for loopback only.")
@click.option("--json", "as_json", is_flag=True, help="What became of it, as JSON.")
@click.option("--count", type=click.IntRange(1), default=1, metavar="N", help="Send it N times.")
@click.option("--connections", type=click.IntRange(1, 1000), default=1, metavar="C")
@click.option(
    "--pipelining/--no-pipelining",
    default=None,
    help="Send MAIL to DATA at once where offered; by default with --count only.",
)
def command(server: Server, **options: Any) -> None:
    """Send a mail; without --server, to the sandbox of the daemon on this machine.

    \b
    Examples:
      echo hello | netlab mail --from ada@lab --to bob@lab --subject Hi
      netlab mail --from ada@lab --to bob@lab,eve@lab --body hello --explain
      netlab mail --from 小明@例子.中国 --to bob@lab --body 你好 --attach 图.png
      netlab mail --from ada@lab --to bob@lab --body hi --drop-after dot --json
      netlab mail --server mail.example.org --user ada@example.org \\
          --from ada@example.org --to bob@example.org < text
      netlab mail --from ada@lab --to bob@lab --body x --count 2000 --connections 4
      netlab mail --from ada@lab --to bob@example.org --body hello --queue
    """
    content = Content(**{one.name: options.pop(one.name) for one in fields(Content)})
    manner = Manner(**options)
    host, _ = server.address()
    manner.check(host, server)
    try:
        server.mode(host)
        plan = None
        if not (manner.mx or manner.queue):
            plan = server.plan(host, stop=manner.stop, pipelining=manner.together)
        mail = content.outgoing()
        if not (manner.mx or manner.queue):
            server.check_senders(host, content.senders(mail))
    except (AddressError, MessageError) as error:
        raise Failure(Ending.BAD_DATA, str(error)) from None
    if manner.queue:
        hand_over(mail, as_json=manner.as_json)
        return
    run(partial(_send, server=server, manner=manner, mail=mail, plan=plan))


async def _send(
    reactor: Any, *, server: Server, manner: Manner, mail: Outgoing, plan: Plan | None
) -> int:
    host, port = server.address()
    where = f"{host} port {port}"
    with ExitStack() as stack:
        more: dict[str, Any] = {"show_secrets": manner.show_secrets}
        if dialogue := manner.dialogue(stack):
            more["watch"] = dialogue.take
        if manner.step:
            more["pause"] = _enter(reactor, stack)
        if plan is None:
            exchange = Exchange(manner.mx_port, manner.resolver)
            stop = manner.stop
            results = await by_exchangers(reactor, server, mail, exchange, stop=stop, **more)
            return report(results, "--mx", as_json=manner.as_json)
        if manner.step:
            patient = replace(plan.deadlines, total_s=_FOR_EVER_S)
            plan = replace(plan, deadlines=patient)
        if manner.count > 1:
            begun_s = reactor.seconds()
            mails = copies(mail, manner.count)
            results = await many(
                reactor, server, host, port, plan, mails, manner.connections, **more
            )
            seconds = reactor.seconds() - begun_s
            return report_load(results, seconds, where, as_json=manner.as_json)
        result = await once(reactor, server, host, port, plan, mail, **more)
        if server.server == SANDBOX and result.stage is Stage.CONNECT:
            result = replace(result, cause=result.cause + _HINT)
        return report([result], where, as_json=manner.as_json)


def _enter(reactor: Any, stack: ExitStack) -> Any:
    try:
        return Enter(reactor, stack).pause
    except OSError:
        raise Failure(Ending.CONFIG, "--step wants a terminal to press Enter on") from None


def _meanings(lang: str) -> Explain:
    """What each line means, said from the state that the lines before it have left."""
    state = phrases.State()

    def meaning(line: Line) -> str:
        told = phrases.note(line.side, line.text, state)
        return told.zh if lang == "zh" else told.en

    return meaning
