//! What an agent may use, and what it has used.

use axum::extract::State;
use axum::{Extension, Json as Answer};
use gavel_store::{AgentId, MonthUsage};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::guard::TheAgent;
use super::problem::Problem;
use super::rate::TheStanding;
use crate::clock::{now_ms, rfc3339_ms};
use crate::schema;

/// What an agent may use and has used in the current month.
#[derive(Serialize, ToSchema)]
#[schema(as = Quota, examples(json!({
    "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n", "tier": "free",
    "period": {"start": "2026-01-01T00:00:00.000Z", "end": "2026-02-01T00:00:00.000Z"},
    "limits": {"messages": 10000, "input_tokens": null, "output_tokens": null, "storage_bytes": null,
        "requests_per_minute": 60},
    "usage": {"messages": 12, "input_tokens": 340, "output_tokens": 560, "storage_bytes": 0, "requests_per_minute": 1},
    "remaining": {"messages": 9988, "input_tokens": null, "output_tokens": null, "storage_bytes": null,
        "requests_per_minute": 59},
})))]
pub(super) struct QuotaView {
    #[schema(value_type = schema::AgentId)]
    agent_id: AgentId,
    tier: String,
    period: Period,
    limits: Figures,
    usage: Figures,
    remaining: Figures,
}

/// A calendar month in UTC: from its start to just before its end.
#[derive(Serialize, ToSchema)]
struct Period {
    #[schema(value_type = schema::Time)]
    start: String,
    #[schema(value_type = schema::Time)]
    end: String,
}

/// One figure for each thing that is limited; null where there is no limit, or nothing is counted since there is none.
#[derive(Serialize, ToSchema)]
struct Figures {
    #[schema(required)]
    messages: Option<u64>,
    #[schema(required)]
    input_tokens: Option<u64>,
    #[schema(required)]
    output_tokens: Option<u64>,
    #[schema(required)]
    storage_bytes: Option<u64>,
    #[schema(required)]
    requests_per_minute: Option<u64>,
}

impl Figures {
    /// What is left of `self` when `used` is taken away.
    fn less(&self, used: &Self) -> Self {
        let left = |limit: Option<u64>, used: Option<u64>| Some(limit?.saturating_sub(used?));
        Self {
            messages: left(self.messages, used.messages),
            input_tokens: left(self.input_tokens, used.input_tokens),
            output_tokens: left(self.output_tokens, used.output_tokens),
            storage_bytes: left(self.storage_bytes, used.storage_bytes),
            requests_per_minute: left(self.requests_per_minute, used.requests_per_minute),
        }
    }
}

/// Show what an agent may use, and what it has used in this month.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/quota",
    tag = "Quota",
    operation_id = "get_quota",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    responses((status = 200, description = "The agent's quota.", body = QuotaView)),
)]
pub(super) async fn show(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Extension(TheStanding(standing)): Extension<TheStanding>,
) -> Result<Answer<QuotaView>, Problem> {
    let allowance = app.quotas.of(&agent.owner);
    let MonthUsage { month, messages, input_tokens, output_tokens } = agent.usage.at(now_ms());
    let limits = Figures {
        messages: allowance.month.messages,
        input_tokens: allowance.month.input_tokens,
        output_tokens: allowance.month.output_tokens,
        storage_bytes: allowance.storage_bytes,
        requests_per_minute: standing.map(|standing| standing.limit.into()),
    };
    let usage = Figures {
        messages: Some(messages),
        input_tokens: Some(input_tokens),
        output_tokens: Some(output_tokens),
        storage_bytes: Some(app.store.file_bytes(&agent.id)?),
        requests_per_minute: standing.map(|standing| standing.limit.saturating_sub(standing.remaining).into()),
    };
    Ok(Answer(QuotaView {
        agent_id: agent.id,
        tier: allowance.tier.clone(),
        period: Period { start: rfc3339_ms(month.start()), end: rfc3339_ms(month.end()) },
        remaining: limits.less(&usage),
        limits,
        usage,
    }))
}
