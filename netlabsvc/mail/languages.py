"""Sentences in the languages that the lab explains itself in: English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Both:
    """One sentence in both languages."""

    en: str
    zh: str

    def text(self, lang: str) -> str:
        """In a language: ``en`` or ``zh``."""
        return self.zh if lang == "zh" else self.en

    def __add__(self, other: Both) -> Both:
        """Two sentences, the second behind the first."""
        blank = " " if self.en and other.en else ""
        return Both(self.en + blank + other.en, self.zh + other.zh)
