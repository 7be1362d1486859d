"""The policy `gavel-plugin-name`: keeps the code names of internal projects out of conversations.

`Policy` is the interface `policy` of wit/policy.wit. The host calls `describe`, then `configure` once, then `evaluate` for
each text, in an instance that has judged no other text: nothing that is kept here reaches the next one.
"""

from wit_world import exports
from wit_world.exports import policy as wit

import code_names


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
        # The class keeps it: componentize-py makes an object of it for each call.
        Policy.policy = code_names.CodeNames.configured(config_json)
        # Every rule that a verdict may name. `raise Err("…")` is read by the person who binds the policy.
        return wit.Configured(rules=[wit.Rule(id=code_names.RULE, summary=code_names.RULE_SUMMARY)])

    def evaluate(self, subject: wit.Subject) -> wit.Verdict:
        spans = [wit.Span(start, end) for start, end in self.policy.find(subject.text)]
        # A finding says where, and never what: the text itself is no finding's business.
        findings = [wit.Finding(code_names.RULE, wit.Severity.MEDIUM, span, code_names.RULE_SUMMARY) for span in spans]
        return wit.Verdict(decision=self.decide(spans), findings=findings)

    def decide(self, spans: list[wit.Span]) -> wit.Decision:
        if not spans:
            return wit.Decision_Allow()
        match self.policy.action:
            case "block":
                return wit.Decision_Block(code_names.RULE)
            case "flag":
                return wit.Decision_Flag()
            case _:
                return wit.Decision_Redact([wit.Edit(span, f"[redacted:{code_names.RULE}]") for span in spans])
