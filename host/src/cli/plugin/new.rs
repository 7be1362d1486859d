//! `gavel plugin new`: a project that builds, has tests and says how it is used.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::json;

use super::super::{CliError, NOT_SO, USAGE};
use super::template::{self, File};

/// Start a plugin of your own: a project that builds, with tests and a README
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel plugin new code-names --kind policy --lang js")]
pub(super) struct Args {
    /// The plugin's name, in kebab-case; the project is made in a folder of this name
    name: String,
    /// What it is to be
    #[arg(long, value_enum, default_value_t = Kind::Policy)]
    kind: Kind,
    /// What it is to be written in
    #[arg(long = "lang", value_enum, default_value_t = Language::Rust)]
    language: Language,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

/// What a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Judges texts
    Policy,
    /// Speaks to a model's API
    Provider,
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Rust, small and quick; a policy judges texts under way
    Rust,
    /// JavaScript, by componentize-js
    #[value(name = "js")]
    JavaScript,
    /// Python, by componentize-py; policies only
    Python,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Provider => "provider",
        }
    }

    /// Every kind in every language.
    #[cfg(test)]
    pub(super) fn with_languages() -> impl Iterator<Item = (Self, Language)> {
        let languages = Language::value_variants().iter();
        languages.flat_map(|language| Self::value_variants().iter().map(|kind| (*kind, *language)))
    }
}

impl Language {
    fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
        }
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    if let Err(detail) = check_name(&args.name) {
        eprintln!("gavel: {}: {detail}", args.name);
        return Ok(ExitCode::from(USAGE));
    }
    let (kind, language) = (args.kind.name(), args.language.name());
    let Some(files) = template::project(args.kind, args.language, &args.name) else {
        eprintln!("gavel: there is no template for a {kind} in {language}; --lang rust and --lang js have one");
        return Ok(ExitCode::from(USAGE));
    };
    let folder = Path::new(&args.name);
    if is_taken(folder).map_err(|error| CliError::File(args.name.clone(), error))? {
        eprintln!("gavel: {}: there is something of this name already, and nothing was written", args.name);
        return Ok(ExitCode::from(NOT_SO));
    }
    files.iter().try_for_each(|file| write(folder, file))?;
    let mut out = io::stdout().lock();
    if args.json {
        let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
        writeln!(out, "{}", json!({"name": args.name, "kind": kind, "language": language, "files": paths}))?;
    } else {
        writeln!(out, "{} is a {kind} in {language}; {}/README.md says how it is built", args.name, args.name)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A plugin's name that is a package's name too, in every language.
fn check_name(name: &str) -> Result<(), String> {
    gavel_sandbox::check_plugin_name(name)?;
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err("the name begins with a digit".to_owned());
    }
    Ok(())
}

/// Whether there is anything that writing might destroy.
fn is_taken(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(true),
        Err(error) => Err(error),
    }
}

fn write(folder: &Path, file: &File) -> Result<(), CliError> {
    let path = folder.join(&file.path);
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, &file.text));
    written.map_err(|error| CliError::File(path.display().to_string(), error))
}
