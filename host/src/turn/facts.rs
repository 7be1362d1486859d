//! What policies are told besides the text: the facts of `wit/policy.wit`, listed in `docs/plugins.md`.

use gavel_store::Agent;

use super::CallerFacts;
use crate::clock::now_ms;

/// What holds of every stage, and `more`: sorted by name, as it stands now.
pub(super) fn facts(
    agent: &Agent,
    caller: &CallerFacts,
    more: impl IntoIterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let usage = agent.usage.at(now_ms());
    let told = [
        ("caller.id", caller.id.clone()),
        ("caller.kind", caller.kind.to_owned()),
        ("usage.input_tokens", usage.input_tokens.to_string()),
        ("usage.messages", usage.messages.to_string()),
        ("usage.output_tokens", usage.output_tokens.to_string()),
    ];
    let mut facts: Vec<_> = told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    facts.extend(agent.labels.iter().map(|(name, value)| (format!("label.{name}"), value.clone())));
    facts.extend(more);
    facts.sort();
    facts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gavel_log::Chain;
    use gavel_log::record::Mode;
    use gavel_store::{AgentId, AgentState, Month, MonthUsage};

    use super::*;

    #[test]
    fn facts_are_sorted_and_a_month_that_is_over_counts_nothing() {
        let agent = |month| Agent {
            id: AgentId::generate(),
            owner: "ada".parse().unwrap(),
            name: "a".into(),
            model: "m".into(),
            provider: "p".into(),
            mode: Mode::Transparent,
            system_prompt: None,
            labels: BTreeMap::from([("team".to_owned(), "x".to_owned()), ("a".to_owned(), "y".to_owned())]),
            policies: Vec::new(),
            state: AgentState::Running,
            session: None,
            last_checkpoint: None,
            usage: MonthUsage { month, messages: 3, input_tokens: 40, output_tokens: 5 },
            wrapped_data_key: Vec::new(),
            chain: Chain([0; 16]),
            created_at: 0,
            updated_at: 0,
        };
        let caller = CallerFacts { kind: "key", id: "0a1b".into(), owner: false };
        let told = |month| facts(&agent(month), &caller, [("session.turns".to_owned(), "2".to_owned())]);
        let expected = [
            ("caller.id", "0a1b"),
            ("caller.kind", "key"),
            ("label.a", "y"),
            ("label.team", "x"),
            ("session.turns", "2"),
            ("usage.input_tokens", "40"),
            ("usage.messages", "3"),
            ("usage.output_tokens", "5"),
        ];
        let now = told(Month::of(now_ms()));
        assert_eq!(now.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
        let before = told(Month::of(0));
        assert!(before.contains(&("usage.messages".to_owned(), "0".to_owned())), "{before:?}");
    }
}
