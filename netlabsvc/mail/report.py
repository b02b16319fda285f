"""A mail as JSON has it in the web inbox: what is known of it besides its bytes."""

from __future__ import annotations

from dataclasses import asdict

from netlabsvc.mail.claims import claims
from netlabsvc.mail.languages import Both
from netlabsvc.mail.lint import RULES
from netlabsvc.mail.parts import Parts
from netlabsvc.mail.phrases import notes
from netlabsvc.mail.record import Record


def as_object(record: Record, parts: Parts | None) -> dict[str, object]:
    """The record, explained in both languages.

    :param parts: of the message; None where none came.
    """
    dialogue = record.dialogue
    return {
        "facts": asdict(record.facts),
        "recipients": [asdict(one) for one in record.recipients],
        "body_8bit": record.body_8bit,
        "smtputf8": record.smtputf8,
        "personality": record.personality,
        "rule": record.rule,
        "reply": record.reply,
        "dialogue": [
            {"at_s": line.at_s, "side": line.side, "text": line.text, "note": _both(note)}
            for line, note in zip(dialogue, notes(dialogue), strict=True)
        ],
        "claims": [
            {
                "layer": one.layer,
                "value": one.value if one.given else None,
                "differs": one.differs,
                "note": _both(one.why),
            }
            for one in claims(record, parts)
        ],
        "findings": [
            {
                **asdict(one),
                "note": _both(RULES[one.rule].why) if one.rule in RULES else None,
                "source": RULES[one.rule].source if one.rule in RULES else "",
            }
            for one in record.findings
        ],
        **(_taken_apart(parts) if parts else {}),
    }


def _taken_apart(parts: Parts) -> dict[str, object]:
    return {
        "headers": [list(header) for header in parts.headers],
        "text": parts.text,
        "parts": [
            {
                "place": one.place,
                "type": one.kind,
                "name": one.name,
                "attached": one.attached,
                "size": len(one.data),
            }
            for one in parts.leaves
        ],
    }


def _both(note: Both) -> dict[str, str]:
    return {"en": note.en, "zh": note.zh}
