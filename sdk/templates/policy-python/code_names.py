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

    def find(self, text: str) -> list[tuple[int, int]]:
        """Where names stand, as bytes of the text's UTF-8 form: that is what the interface counts in."""
        lower = text.translate(ASCII_LOWER_CASE)
        bytes_at = utf8_offsets(text)
        spans = []
        at = 0
        while at < len(lower):
            name = next((name for name in self.names if stands_at(lower, at, name)), None)
            if name is None:
                at += 1
            else:
                spans.append((bytes_at(at), bytes_at(at + len(name))))
                at += len(name)
        return spans


def stands_at(text: str, at: int, name: str) -> bool:
    end = at + len(name)
    return (
        text.startswith(name, at) and (at == 0 or text[at - 1] not in WORD) and (end == len(text) or text[end] not in WORD)
    )
