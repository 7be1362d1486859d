"""The interface `streaming` of wit/policy.wit. componentize-py looks for its resource in the module of this name."""

from wit_world.exports import policy as wit
from wit_world.exports import streaming as wit_streaming

import code_names
import judging


class Review(wit_streaming.Review):
    """Judges a text while it is being written: an answer need not be held back until it is whole."""

    def __init__(self, subject: wit.Subject) -> None:
        self._reading = judging.policy.begin()
        spans, _ = self._reading.read(subject.text)
        self._spans = [wit.Span(start, end) for start, end in spans]
        # How many of them were told.
        self._told = 0

    def push(self, text: str) -> wit_streaming.Progress:
        spans, cleared = self._reading.read(text)
        self._spans += [wit.Span(start, end) for start, end in spans]
        news = self._spans[self._told :]
        self._told = len(self._spans)
        redacts = judging.policy.action == "redact"
        blocks = judging.policy.action == "block" and self._spans
        return wit_streaming.Progress(
            # Bytes that may go out, whatever follows.
            cleared=cleared,
            edits=[judging.edit(span) for span in news] if redacts else [],
            blocked=code_names.RULE if blocks else None,
        )

    def finish(self) -> wit.Verdict:
        self._spans += [wit.Span(start, end) for start, end in self._reading.end()]
        return judging.verdict(self._spans)
