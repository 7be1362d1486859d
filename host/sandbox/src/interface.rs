//! The released versions of the plugin interface. What was released stays known.

use wasmtime::Engine;
use wasmtime::component::Component;

/// A version of the package `gavel:plugin` whose components this host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 0.1.0
    V0_1,
}

impl Version {
    pub(crate) const ALL: [Self; 1] = [Self::V0_1];

    /// As it stands in the names of interfaces.
    pub(crate) const fn number(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1.0",
        }
    }

    /// The version in which a component exports `gavel:plugin/<interface>`.
    pub(crate) fn exported(engine: &Engine, component: &Component, interface: &str) -> wasmtime::Result<Self> {
        let component_type = component.component_type();
        let mut exports = component_type.exports(engine).map(|(name, _)| name);
        let exported =
            exports.find_map(|name| name.strip_prefix("gavel:plugin/")?.strip_prefix(interface)?.strip_prefix('@'));
        let known = exported.and_then(|number| Self::ALL.into_iter().find(|version| version.number() == number));
        known.ok_or_else(|| {
            let numbers = Self::ALL.map(Self::number).join(", ");
            wasmtime::format_err!("it exports no gavel:plugin/{interface} of a version that this host knows: {numbers}")
        })
    }
}
