"""The search for code names. It knows nothing of WebAssembly, so that its tests run in any Python."""

import json
import string
from dataclasses import dataclass

from utf8 import utf8_offsets

RULE = "code-name"
RULE_SUMMARY = "The code name of an internal project."

# The host refuses a configuration that breaks this schema, and says where, before the policy sees it.
SCHEMA = json.dumps(
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "names": {
                "type": "array",
                "default": [],
                "maxItems": 1000,
                "items": {"type": "string", "minLength": 2, "maxLength": 64},
                "description": "Code names, found as whole words, without regard to the case of ASCII letters.",
            },
            "action": {
                "enum": ["redact", "block", "flag", "off"],
                "default": "redact",
                "description": "What to do with a text that holds one.",
            },
        },
    }
)

# What a word is made of. A name inside a longer word is none: `Blue` is not found in `Bluebird`.
WORD = frozenset(string.ascii_letters + string.digits + "_")
# Changes no other letter, so that offsets stay what they are.
ASCII_LOWER_CASE = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass
class CodeNames:
    """A search for these names, as whole words, without regard to the case of ASCII letters."""

    names: list[str]
    action: str

    @classmethod
    def configured(cls, config_json: str) -> "CodeNames":
        config = json.loads(config_json)
        action = config.get("action", "redact")
        names = [] if action == "off" else config.get("names", [])
        # Of two names that begin alike, the longer is tried first.
        return cls(sorted((name.translate(ASCII_LOWER_CASE) for name in names), key=len, reverse=True), action)

    def begin(self) -> "Reading":
        """Begins a text, which is then read as it is written."""
        return Reading(self.names)


class Reading:
    """One text, read from its beginning. Places in it are bytes of its UTF-8 form: that is what the interface counts in."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        # A place is decided once this much is written after it: the longest name, and what shows that the word ends there.
        self._reach = (len(names[0]) if names else 0) + 1
        # What is not decided yet, after the character before it.
        self._text = ""
        self._next = 0
        # How many bytes were decided, and no longer kept, before `_text`.
        self._dropped = 0

    def read(self, more: str) -> tuple[list[tuple[int, int]], int]:
        """Reads on. Gives where names stand, and before which byte all is decided, whatever follows."""
        self._text += more.translate(ASCII_LOWER_CASE)
        return self._decide(len(self._text) - self._reach)

    def end(self) -> list[tuple[int, int]]:
        """Nothing follows."""
        spans, _ = self._decide(len(self._text) - 1)
        return spans

    def _decide(self, last: int) -> tuple[list[tuple[int, int]], int]:
        bytes_at = utf8_offsets(self._text)
        spans = []
        at = self._next
        while name := self._next_name(at, last):
            start, end = name
            spans.append((self._dropped + bytes_at(start), self._dropped + bytes_at(end)))
            at = end
        at = max(at, last + 1)
        cleared = self._dropped + bytes_at(at)
        kept = max(at - 1, 0)
        self._dropped += bytes_at(kept)
        self._text = self._text[kept:]
        self._next = at - kept
        return spans, cleared

    def _next_name(self, begin: int, last: int) -> tuple[int, int] | None:
        """The first name that begins between these places; of those that begin alike, the longest."""
        found = ((find_word(self._text, name, begin), name) for name in self._names)
        places = [(at, at + len(name)) for at, name in found if begin <= at <= last]
        return min(places, key=lambda place: place[0], default=None)


def find_word(text: str, name: str, begin: int) -> int:
    """Where a name stands as a whole word; -1 where it does not."""
    at = text.find(name, begin)
    while at != -1 and not is_word(text, at, at + len(name)):
        at = text.find(name, at + 1)
    return at


def is_word(text: str, start: int, end: int) -> bool:
    return (start == 0 or text[start - 1] not in WORD) and (end == len(text) or text[end] not in WORD)
