"""From places of code names to verdicts, as the policy is configured."""

from wit_world.exports import policy as wit

import code_names

# What `configure` was given. Until then nothing is looked for.
policy = code_names.CodeNames.configured("{}")


def verdict(spans: list[wit.Span]) -> wit.Verdict:
    # A finding says where, and never what: the text itself is no finding's business.
    findings = [wit.Finding(code_names.RULE, wit.Severity.MEDIUM, span, code_names.RULE_SUMMARY) for span in spans]
    return wit.Verdict(decision=decide(spans), findings=findings)


def decide(spans: list[wit.Span]) -> wit.Decision:
    if not spans:
        return wit.Decision_Allow()
    match policy.action:
        case "block":
            return wit.Decision_Block(code_names.RULE)
        case "flag":
            return wit.Decision_Flag()
        case _:
            return wit.Decision_Redact([edit(span) for span in spans])


def edit(span: wit.Span) -> wit.Edit:
    return wit.Edit(span, f"[redacted:{code_names.RULE}]")
