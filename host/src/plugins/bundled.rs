//! The plugins that every binary carries, as `build.rs` built them.

/// A bundled component.
pub(crate) struct Bundled {
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
}

macro_rules! bundled {
    ($name:literal, $file:literal) => {
        Bundled { name: $name, bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".wasm")) }
    };
}

/// The policies.
pub(crate) const POLICIES: [Bundled; 2] =
    [bundled!("pii", "gavel_policy_pii"), bundled!("secrets", "gavel_policy_secrets")];

/// The providers. A provider's grants are what its manifest asks for: the binary vouches for these.
pub(crate) const PROVIDERS: [Bundled; 3] = [
    bundled!("demo", "gavel_provider_demo"),
    bundled!("openai", "gavel_provider_openai"),
    bundled!("workers-ai", "gavel_provider_workers_ai"),
];
