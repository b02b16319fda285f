"""netlab mail --queue: a mail is handed to the daemon, which delivers it."""

from __future__ import annotations

from base64 import b64encode

import click

from netlabsvc.cli.ctl_options import control_paths
from netlabsvc.cli.mail_server import Failure
from netlabsvc.control.client import Control, Refused, Unreachable
from netlabsvc.escape import escape, json_text
from netlabsvc.mail.delivery import Ending, Outgoing

#: Of the daemon's answers; any other is about this moment.
_ENDINGS = {400: Ending.BAD_DATA, 404: Ending.CONFIG, 409: Ending.CONFIG, 413: Ending.BAD_DATA}
#: A disk may be busy.
PATIENCE_S = 60.0


def hand_over(mail: Outgoing, *, as_json: bool) -> None:
    """Queue a mail, and say so once the daemon has it on disk.

    :raises Failure: when it has not.
    """
    arguments = {
        "mail_from": mail.mail_from,
        "rcpt_to": list(mail.rcpt_to),
        "message": b64encode(mail.message).decode("ascii"),
        "notify": list(mail.dsn.notify),
        "ret": mail.dsn.ret,
    }
    try:
        control = Control(control_paths(click.get_current_context()), PATIENCE_S)
        answer = control.ask("POST", "/v1/mail/queue", arguments)
    except Unreachable as error:
        raise Failure(Ending.UNAVAILABLE, escape(str(error))) from None
    except Refused as error:
        ending = _ENDINGS.get(error.document.get("status", 0), Ending.TRY_LATER)
        raise Failure(ending, escape(str(error))) from None
    click.echo(json_text(answer) if as_json else f"queued as {answer['id']}")
