"""The policy `gavel-plugin-name`: keeps the code names of internal projects out of conversations.

`Policy` is the interface `policy` of wit/policy.wit. The host calls `describe`, then `configure` once, then `evaluate` for a
whole text, or makes a `streaming.Review` for one that is still being written, in an instance that has judged no other text:
nothing that is kept here reaches the next one.
"""

from wit_world import exports
from wit_world.exports import policy as wit

import code_names
import judging
from streaming import Review


class Policy(exports.Policy):
    """What the component exports. The names of its types are those that componentize-py makes of the WIT."""

    def describe(self) -> wit.Manifest:
        return wit.Manifest(
            name="gavel-plugin-name",
            version="0.1.0",
            summary="Keeps the code names of internal projects out of conversations.",
            stages=list(wit.Stage),
            config_schema=code_names.SCHEMA,
            needs_history=False,
            needs_attachments=False,
        )

    def configure(self, config_json: str) -> wit.Configured:
        judging.policy = code_names.CodeNames.configured(config_json)
        # Every rule that a verdict may name. `raise Err("…")` is read by the person who binds the policy.
        return wit.Configured(rules=[wit.Rule(id=code_names.RULE, summary=code_names.RULE_SUMMARY)])

    def evaluate(self, subject: wit.Subject) -> wit.Verdict:
        # By the same code as a text under way, so that both judge alike.
        return Review(subject).finish()
