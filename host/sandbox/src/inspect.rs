//! What bytes are, told without compiling them: which world a component is made for, and what else a file may be.

use wasmparser::{Chunk, Encoding, Parser, Payload};

use crate::interface::Version;

/// How every WebAssembly file begins.
const MAGIC: &[u8] = b"\0asm";
/// Most imports, and most exports, of a component that are looked at.
const MAX_NAMES: usize = 1024;

/// The worlds that plugins are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// It exports `gavel:plugin/policy`.
    Policy,
    /// It exports `gavel:plugin/provider`.
    Provider,
}

/// What a component wants of its host and gives it: names as they stand in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
}

/// Why bytes are no plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPlugin {
    /// Something else than WebAssembly.
    #[error("this is no WebAssembly: it does not begin with the bytes 00 61 73 6d")]
    NotWasm,
    /// A core module.
    #[error(
        "this is a core WebAssembly module, and a plugin is a component: build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`"
    )]
    CoreModule,
    /// The end is missing.
    #[error("the file is cut off: its {size} bytes end inside a section")]
    Truncated {
        /// The bytes that are there.
        size: usize,
    },
    /// Not as the format is defined.
    #[error("this is no valid WebAssembly component: {0}")]
    Malformed(String),
    /// A component for something else.
    #[error("the component is no plugin: it exports neither gavel:plugin/policy nor gavel:plugin/provider{}", but(.0))]
    NoWorld(Vec<String>),
    /// It would be both.
    #[error("the component exports both gavel:plugin/policy and gavel:plugin/provider: a plugin is one of them")]
    BothWorlds,
    /// An interface that this host does not know.
    #[error("the component is built against {0}, and this server runs gavel:plugin {known}", known = Version::ALL.map(Version::number).join(", "))]
    UnknownVersion(String),
}

fn but(exports: &[String]) -> String {
    if exports.is_empty() { String::new() } else { format!(", but {}", exports.join(", ")) }
}

impl Interfaces {
    /// Reads a component's imports and exports.
    ///
    /// # Errors
    /// If the bytes are no whole component.
    pub fn of(bytes: &[u8]) -> Result<Self, NotAPlugin> {
        if !bytes.starts_with(MAGIC) {
            let cut = !bytes.is_empty() && MAGIC.starts_with(bytes);
            return Err(if cut { NotAPlugin::Truncated { size: bytes.len() } } else { NotAPlugin::NotWasm });
        }
        let (mut parser, mut rest, mut found) = (Parser::new(0), bytes, Self::default());
        // Nested modules and components are stepped over: what the host sees stands outside of them.
        while !rest.is_empty() {
            let chunk = parser.parse(rest, false).map_err(|error| NotAPlugin::Malformed(error.to_string()))?;
            let Chunk::Parsed { consumed, payload } = chunk else {
                return Err(NotAPlugin::Truncated { size: bytes.len() });
            };
            let nested = found.note(payload)?;
            let next = consumed.checked_add(nested).and_then(|step| rest.get(step..));
            rest = next.ok_or(NotAPlugin::Truncated { size: bytes.len() })?;
        }
        Ok(found)
    }

    /// Takes note of a part, and gives the bytes of what is nested in it.
    fn note(&mut self, payload: Payload<'_>) -> Result<usize, NotAPlugin> {
        let malformed = |error: wasmparser::BinaryReaderError| NotAPlugin::Malformed(error.to_string());
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => Err(NotAPlugin::CoreModule),
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } => {
                Ok(unchecked_range.len())
            }
            Payload::ComponentImportSection(section) => {
                for import in section.into_iter().take(MAX_NAMES) {
                    self.imports.push(import.map_err(malformed)?.name.name.to_owned());
                }
                Ok(0)
            }
            Payload::ComponentExportSection(section) => {
                for export in section.into_iter().take(MAX_NAMES) {
                    self.exports.push(export.map_err(malformed)?.name.name.to_owned());
                }
                Ok(0)
            }
            _ => Ok(0),
        }
    }

    /// The world that the component is made for.
    ///
    /// # Errors
    /// If it is none of ours, both of them, or of a version that this host does not run.
    pub fn world(&self) -> Result<World, NotAPlugin> {
        let mut worlds = Vec::new();
        for (interface, world) in [("gavel:plugin/policy", World::Policy), ("gavel:plugin/provider", World::Provider)] {
            let version = self.exports.iter().find_map(|export| export.strip_prefix(interface)?.strip_prefix('@'));
            match version {
                Some(version) if Version::ALL.iter().any(|known| known.number() == version) => worlds.push(world),
                Some(version) => return Err(NotAPlugin::UnknownVersion(format!("{interface}@{version}"))),
                None => {}
            }
        }
        match worlds.as_slice() {
            [world] => Ok(*world),
            [] => Err(NotAPlugin::NoWorld(self.exports.iter().take(8).cloned().collect())),
            _ => Err(NotAPlugin::BothWorlds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component that exports an empty instance under each of these names.
    fn component(exports: &[&str]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        let mut section = |id: u8, content: Vec<u8>| {
            bytes.extend([id, u8::try_from(content.len()).unwrap()]);
            bytes.extend(content);
        };
        // One instance made of nothing, exported as often as asked.
        section(5, vec![1, 1, 0]);
        for name in exports {
            let mut content = vec![1, 0, u8::try_from(name.len()).unwrap()];
            content.extend(name.bytes());
            content.extend([5, 0, 0]);
            section(11, content);
        }
        bytes
    }

    fn world(exports: &[&str]) -> Result<World, NotAPlugin> {
        Interfaces::of(&component(exports)).and_then(|interfaces| interfaces.world())
    }

    #[test]
    fn a_world_is_known_by_its_export() {
        assert_eq!(world(&["gavel:plugin/policy@0.1.0"]), Ok(World::Policy));
        assert_eq!(world(&["gavel:plugin/streaming@0.1.0", "gavel:plugin/policy@0.1.0"]), Ok(World::Policy));
        assert_eq!(world(&["gavel:plugin/provider@0.1.0"]), Ok(World::Provider));
        let both = world(&["gavel:plugin/provider@0.1.0", "gavel:plugin/policy@0.1.0"]);
        assert_eq!(both, Err(NotAPlugin::BothWorlds));
        assert_eq!(world(&["wasi:cli/run@0.2.6"]), Err(NotAPlugin::NoWorld(vec!["wasi:cli/run@0.2.6".into()])));
        let newer = Err(NotAPlugin::UnknownVersion("gavel:plugin/policy@0.9.0".into()));
        assert_eq!(world(&["gavel:plugin/policy@0.9.0"]), newer);
    }

    #[test]
    fn whatever_else_it_is_has_a_name() {
        assert_eq!(Interfaces::of(b"#!/bin/sh"), Err(NotAPlugin::NotWasm));
        assert_eq!(Interfaces::of(b""), Err(NotAPlugin::NotWasm));
        assert_eq!(Interfaces::of(b"\0asm\x01\0\0\0"), Err(NotAPlugin::CoreModule));
        assert!(matches!(Interfaces::of(b"\0asm\x0d\0\x01\0\xff\x01\0"), Err(NotAPlugin::Malformed(_))));
    }

    #[test]
    fn wherever_a_file_is_cut_it_is_no_plugin() {
        let whole = component(&["gavel:plugin/policy@0.1.0"]);
        for end in 1..whole.len() {
            let cut = Interfaces::of(&whole[..end]).and_then(|interfaces| interfaces.world());
            assert!(matches!(cut, Err(NotAPlugin::Truncated { .. } | NotAPlugin::NoWorld(_))), "cut at {end}: {cut:?}");
        }
    }
}
