//! The projects that `gavel plugin new` writes: templates with one name in them, and beside them the interface and, for
//! Rust, the SDK.
//!
//! The SDK is on no registry, so a project carries the sources of the binary that made it: they are small, and a build
//! then needs nothing but crates.io.

use super::new::{Kind, Language};

/// What stands for the plugin's name in a template, and for the same as a Rust identifier.
const NAME: &str = "gavel-plugin-name";
const IDENTIFIER: &str = "gavel_plugin_name";

/// Paths in the repository, and texts.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/authors_files.rs"));

/// A file of a new project.
pub(super) struct File {
    /// Below the project's folder.
    pub(super) path: String,
    pub(super) text: String,
}

/// The folder of the template, if there is one of this kind in this language.
fn folder(kind: Kind, language: Language) -> Option<&'static str> {
    match (kind, language) {
        (Kind::Policy, Language::Rust) => Some("sdk/templates/policy-rust/"),
        (Kind::Policy, Language::JavaScript) => Some("sdk/templates/policy-js/"),
        (Kind::Policy, Language::Python) => Some("sdk/templates/policy-python/"),
        (Kind::Provider, Language::Rust) => Some("sdk/templates/provider-rust/"),
        (Kind::Provider, Language::JavaScript) => Some("sdk/templates/provider-js/"),
        (Kind::Provider, Language::Python) => None,
    }
}

/// The files of a project of this name; none if there is no template for it.
pub(super) fn project(kind: Kind, language: Language, name: &str) -> Option<Vec<File>> {
    let folder = folder(kind, language)?;
    let identifier = name.replace('-', "_");
    let filled = |text: &str| text.replace(NAME, name).replace(IDENTIFIER, &identifier);
    let files = FILES.iter().filter_map(|(path, text)| {
        if let Some(path) = path.strip_prefix(folder) {
            return Some(File { path: path.replace("gitignore", ".gitignore"), text: filled(text) });
        }
        carried(language, path).map(|path| File { path, text: (*text).to_owned() })
    });
    Some(files.collect())
}

/// Where a file that every project of the language carries goes.
fn carried(language: Language, path: &str) -> Option<String> {
    let vendored = match language {
        Language::JavaScript | Language::Python => return path.strip_prefix("wit/").map(|file| format!("wit/{file}")),
        Language::Rust => path,
    };
    match vendored {
        "sdk/templates/vendor/gavel-sdk.toml" => Some("vendor/gavel-sdk/Cargo.toml".to_owned()),
        "sdk/templates/vendor/policy-world.toml" => Some("vendor/gavel-sdk/policy-world/Cargo.toml".to_owned()),
        other => [
            ("wit/", "vendor/wit/"),
            ("sdk/src/", "vendor/gavel-sdk/src/"),
            ("sdk/policy-world/src/", "vendor/gavel-sdk/policy-world/src/"),
        ]
        .into_iter()
        .find_map(|(from, to)| Some(format!("{to}{}", other.strip_prefix(from)?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> &'static str {
        FILES.iter().find(|(name, _)| *name == path).unwrap().1
    }

    /// The version that a manifest asks for of a dependency, or gives a member.
    fn version<'t>(manifest: &'t str, name: &str) -> &'t str {
        let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
        line.split('"').find(|word| word.starts_with(|c: char| c.is_ascii_digit())).unwrap()
    }

    #[test]
    fn a_vendored_sdk_asks_for_what_the_workspace_does() {
        let workspace = include_str!("../../../../Cargo.toml");
        let sdk = text("sdk/templates/vendor/gavel-sdk.toml");
        for name in ["version", "edition", "rust-version", "serde", "serde_json", "wit-bindgen"] {
            assert_eq!(version(sdk, name), version(workspace, name), "{name}");
        }
        let world = text("sdk/templates/vendor/policy-world.toml");
        for name in ["version", "edition", "rust-version", "wit-bindgen"] {
            assert_eq!(version(world, name), version(workspace, name), "{name}");
        }
        let toolchain = include_str!("../../../../rust-toolchain.toml");
        for template in ["policy-rust", "provider-rust"] {
            let own = text(&format!("sdk/templates/{template}/rust-toolchain.toml"));
            assert_eq!(version(own, "channel"), version(toolchain, "channel"), "{template}");
        }
    }

    #[test]
    fn a_project_bears_its_name_and_no_placeholder() {
        for (kind, language) in Kind::with_languages() {
            let Some(files) = project(kind, language, "my-plugin") else { continue };
            assert!(files.iter().any(|file| file.path == "README.md" && file.text.starts_with("# my-plugin\n")));
            for file in &files {
                assert!(!file.text.contains(NAME) && !file.text.contains(IDENTIFIER), "{}", file.path);
            }
            assert!(files.iter().any(|file| file.path.ends_with("wit/policy.wit")));
            assert!(files.iter().any(|file| file.path == ".gitignore"));
        }
    }
}
