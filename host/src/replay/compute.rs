//! One verdict computed again, and what is said of it.

use std::sync::Arc;
use std::time::Instant;

use gavel_log::judged::{Subject, Verdict};
use gavel_log::record::{Engine, PolicyError, VerdictRecord};
use gavel_log::{Record, Streamed};
use gavel_sandbox::policy::{BoundPolicy, CallError};

use super::{Material, Outcome, Parts, PolicyReplay, Seen, is_committed};

/// Computes the verdict at this place of the record again.
pub(super) async fn verdict(
    record: &Record,
    index: usize,
    recorded: &VerdictRecord,
    material: &Material,
    parts: &impl Parts,
) -> PolicyReplay {
    let policy = match bound(recorded, parts).await {
        Ok(policy) => policy,
        Err(reason) => return PolicyReplay::impossible(recorded, reason),
    };
    let begun = Instant::now();
    let answer = answer(&policy, index, material).await.map_err(|error| error.kind);
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let computed = Seen::computed(&answer, recorded);
    let (outcome, reason) = compared(record, index, recorded, material, parts.engine(), &answer);
    PolicyReplay {
        outcome,
        reason,
        computed: Some(computed),
        micros,
        ..PolicyReplay::impossible(recorded, String::new())
    }
}

/// The recorded policy under its recorded configuration.
async fn bound(recorded: &VerdictRecord, parts: &impl Parts) -> Result<Arc<BoundPolicy>, String> {
    let component = parts.component(&recorded.component).await?;
    let config = parts.config(&recorded.config)?;
    component.bind(&config).await.map_err(|error| format!("the policy cannot be bound any more: {error}"))
}

/// By the definition: a fresh instance that is configured and asked once. A policy that failed while it followed the text
/// is given it in the same pieces.
async fn answer(policy: &Arc<BoundPolicy>, index: usize, material: &Material) -> Result<Verdict, CallError> {
    let mut subject = material.subject.clone();
    if !policy.component().manifest.needs_history {
        subject.history.clear();
    }
    match &material.streamed {
        Some(streamed) if streamed.verdicts.iter().any(|failed| usize::try_from(*failed) == Ok(index)) => {
            followed(policy, subject, streamed).await
        }
        _ => policy.evaluate_by_definition(&subject).await.result,
    }
}

async fn followed(policy: &Arc<BoundPolicy>, subject: Subject, streamed: &Streamed) -> Result<Verdict, CallError> {
    let mut rest = subject.text.as_str();
    let mut review = policy.review_by_definition(&Subject { text: String::new(), ..subject.clone() }).await?;
    for bytes in &streamed.pieces {
        // What says otherwise was not written by the turn: then the rest is one piece.
        let at = usize::try_from(*bytes).unwrap_or(usize::MAX);
        let (piece, behind) = rest.split_at_checked(at).unwrap_or((rest, ""));
        review.push(piece).await?;
        rest = behind;
    }
    review.finish().await
}

/// What is to be said of an answer beside the record.
fn compared(
    record: &Record,
    index: usize,
    recorded: &VerdictRecord,
    material: &Material,
    here: &Engine,
    answer: &Result<Verdict, PolicyError>,
) -> (Outcome, Option<String>) {
    let same = match (answer, &recorded.verdict) {
        (Ok(verdict), Some(commitment)) => match material.keys.get(index).and_then(Option::as_ref) {
            Some(key) => is_committed(verdict, key, commitment),
            None => {
                let reason = "the key of the verdict's commitment is not there: nothing can be compared with it";
                return (Outcome::Impossible, Some(reason.to_owned()));
            }
        },
        (Err(error), None) => recorded.error == Some(*error),
        _ => false,
    };
    if same {
        return match Seen::recorded(recorded).may_stand_for(&Seen::computed(answer, recorded)) {
            true => (Outcome::Same, None),
            // It is committed to what came out, and says something else of it.
            false => (Outcome::Different, Some("the record's words are not those of the verdict it commits to".into())),
        };
    }
    if let Some(error) = recorded.error.filter(|error| !error.reproducible()) {
        let reason = match error {
            PolicyError::Stack => "the recorded error depends on the engine's build",
            _ => "the recorded error depended on time",
        };
        return (Outcome::NotReproducible, Some(reason.to_owned()));
    }
    if let Err(error) = answer
        && !error.reproducible()
    {
        return (
            Outcome::NotReproducible,
            Some("here it ended by what depends on time or on the engine's build".into()),
        );
    }
    match other_engine(&record.engine, here) {
        Some(reason) => (Outcome::NotReproducible, Some(reason)),
        None => (Outcome::Different, Some("not what the record commits to".to_owned())),
    }
}

/// What the record's verdicts were computed by, where it is something else than here.
fn other_engine(recorded: &Engine, here: &Engine) -> Option<String> {
    if recorded.wasmtime != here.wasmtime {
        return Some(format!("it was computed by wasmtime {}, here is {}", recorded.wasmtime, here.wasmtime));
    }
    if recorded.wit != here.wit {
        return Some(format!("it was computed under version {} of the interface, here is {}", recorded.wit, here.wit));
    }
    (recorded.limits != here.limits).then(|| "it was computed under other limits than those here".to_owned())
}
