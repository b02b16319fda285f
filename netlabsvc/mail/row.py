"""A record as the store writes it down, and read back: one JSON object.

    {"facts": [...], "recipients": [[address, code, text], ...], "dialogue": [[s, side, text], ...],
     "findings": [[rule, count, line, detail], ...], and the other fields by their names}

A field that a later version adds is read from older rows at its default. It knows no SQL.
"""

from __future__ import annotations

import json
from typing import Any

from netlabsvc.mail.record import Answered, Facts, Finding, Record, Verdict
from netlabsvc.mail.transcript import Line

_PLAIN = (
    *("time_s", "mail_from", "body_8bit", "smtputf8", "verdict", "personality"),
    *("rule", "reply", "size_bytes"),
)


def written(record: Record) -> str:
    """The record as text."""
    facts = record.facts
    fields: dict[str, Any] = {name: getattr(record, name) for name in _PLAIN}
    fields["facts"] = [getattr(facts, name) for name in Facts.__slots__]
    fields["recipients"] = [(one.address, one.code, one.text) for one in record.recipients]
    fields["dialogue"] = [(round(one.at_s, 6), one.side, one.text) for one in record.dialogue]
    fields["findings"] = [(one.rule, one.count, one.line, one.detail) for one in record.findings]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def read(text: str) -> Record:
    """The record that `written` wrote."""
    fields = json.loads(text)
    fields["facts"] = Facts(*fields["facts"])
    fields["verdict"] = Verdict(fields["verdict"])
    fields["recipients"] = tuple(Answered(*one) for one in fields["recipients"])
    fields["dialogue"] = tuple(Line(*one) for one in fields["dialogue"])
    fields["findings"] = tuple(Finding(*one) for one in fields["findings"])
    return Record(**fields)
