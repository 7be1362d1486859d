"""From offsets of Python, which count code points, to bytes of UTF-8, which Gavel counts in."""

from collections.abc import Callable


def utf8_offsets(text: str) -> Callable[[int], int]:
    """A function from the former to the latter for one text. Asked in rising order, it reads the text once."""
    characters = 0
    read = 0

    def offset(at: int) -> int:
        nonlocal characters, read
        if at < characters:
            characters = read = 0
        read += len(text[characters:at].encode())
        characters = at
        return read

    return offset
