//! The bundled policy `pii`.
use gavel_sdk::policy::*;
struct P;
impl Policy for P {
    fn manifest() -> Manifest { Manifest { name: "demo".into(), version: "0.1.0".into(), summary: "x".into(), stages: vec![], config_schema: "{}".into(), needs_history: false, needs_attachments: false } }
    fn configure(_: &str) -> Result<Self, String> { Ok(P) }
    fn rules(&self) -> Vec<Rule> { vec![] }
    fn evaluate(&self, _: &Subject) -> Result<Verdict, String> { Ok(Verdict::allow()) }
}
gavel_sdk::export_policy!(P);
