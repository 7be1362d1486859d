"""The search in any Python: no WebAssembly, no server. `python3 -m unittest discover tests` runs it."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from code_names import CodeNames  # noqa: E402
from utf8 import utf8_offsets  # noqa: E402


def found(names: list[str], text: str, **config: str) -> list[str]:
    """Where something was found, as text."""
    return [text.encode()[start:end].decode() for start, end in places(json.dumps({"names": names, **config}), text)]


def places(config: str, text: str, length: int = 1_000) -> list[tuple[int, int]]:
    """Where names stand in a text that is written in pieces of this length."""
    reading = CodeNames.configured(config).begin()
    spans = []
    cleared = 0
    for at in range(0, len(text), length):
        found, now_cleared = reading.read(text[at : at + length])
        assert cleared <= now_cleared <= len(text[: at + length].encode())
        assert all(cleared <= start and end <= now_cleared for start, end in found)
        spans += found
        cleared = now_cleared
    return spans + reading.end()


class TheSearch(unittest.TestCase):
    def test_a_code_name_is_found(self) -> None:
        self.assertEqual(places('{"names": ["Bluebird"]}', "Is Bluebird on time?"), [(3, 11)])
        self.assertEqual(found(["Bluebird"], "BLUEBIRD", action="off"), [])
        self.assertEqual(CodeNames.configured("{}").action, "redact")

    def test_offsets_are_bytes_of_utf_8(self) -> None:
        for character, length in [("e", 1), ("é", 2), ("世", 3), ("😀", 4)]:
            self.assertEqual(utf8_offsets(character)(1), length)
            self.assertEqual(found(["Bluebird"], f"{character} Bluebird"), ["Bluebird"])
        self.assertEqual(found(["Éole", "計画"], "😀 Éole, 計画 and éole"), ["Éole", "計画"])
        backwards = utf8_offsets("é世😀")
        self.assertEqual([backwards(3), backwards(2), backwards(1), backwards(0)], [9, 5, 2, 0])

    def test_only_whole_words_are_found_and_the_longest_name_wins(self) -> None:
        names = ["Heron", "Heron Two"]
        self.assertEqual(found(names, "Herons, a_Heron, Heron2"), [])
        self.assertEqual(found(names, "Heron, HERON TWO; heron twofold"), ["Heron", "HERON TWO", "heron"])

    def test_a_text_is_read_alike_in_pieces(self) -> None:
        config = json.dumps({"names": ["Bluebird", "計画", "Heron", "Heron Two"]})
        self.assertEqual(places("{}", "Nothing is looked for", 3), [])
        for text in ["Is Bluebird on time?", "é世😀 bluebird, 計画.", "Bluebirds, a_Bluebird, bluebird", "Heron Two 😀計画Heron"]:
            whole = places(config, text)
            for length in range(1, len(text)):
                self.assertEqual(places(config, text, length), whole, f"{text} in pieces of {length}")


if __name__ == "__main__":
    unittest.main()
