//! Following the watched directory as it changes.
//!
//! Events only say where to look, and when a file is whole: one that was closed after writing or renamed to its place is taken
//! at once, any other change when the file has rested. The directory is also looked through from time to time, for file
//! systems that tell nothing. Whatever happens in between, what counts in the end is how the files are then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::Plugins;
use super::directory::{Look, plugin_of};

/// How long a file that changed without a word has to stay as it is, and one that is gone to stay away.
const REST: Duration = Duration::from_millis(150);
/// How often files that do not rest yet are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How often the directory is looked through without any event.
const RESCAN: Duration = Duration::from_secs(2);
/// Events that wait. One that finds no room is lost, and its file found by the next look through the directory.
const EVENTS: usize = 1024;

/// What an event says of a file.
struct Hint {
    file: String,
    whole: bool,
}

/// Files that look otherwise than when they were taken, and since when they look as they do: none for one that is gone.
type Resting = BTreeMap<String, (Option<Look>, Instant)>;

impl Plugins {
    /// Takes every file of the directory, and drops what files gave that are gone: what happened while no server ran.
    pub(super) async fn settle_directory(self: &Arc<Self>) {
        for file in self.given_files() {
            if !self.directory.path().join(&file).is_file() {
                self.drop_gone(&file).await;
            }
        }
        self.look_through(&mut Resting::new(), &BTreeSet::new(), true).await;
    }

    /// Follows the directory until the server goes down.
    pub fn watch(self: &Arc<Self>) {
        let plugins = Arc::clone(self);
        self.tasks.spawn(async move {
            let draining = plugins.tasks.draining().clone();
            tokio::select! {
                () = plugins.follow() => {}
                () = draining.cancelled() => {}
            }
        });
    }

    async fn follow(self: &Arc<Self>) {
        let (sender, mut hints) = mpsc::channel(EVENTS);
        // It ends when it is dropped.
        let watcher = watcher(sender, self.directory.path());
        if let Err(error) = &watcher {
            tracing::warn!(%error, "the plugins' directory tells no events: it is looked through every two seconds");
        }
        let mut resting = Resting::new();
        loop {
            let patience = if resting.is_empty() { RESCAN } else { TICK };
            let mut whole = BTreeSet::new();
            let mut hint = if watcher.is_ok() {
                tokio::time::timeout(patience, hints.recv()).await.ok().flatten()
            } else {
                tokio::time::sleep(patience).await;
                None
            };
            while let Some(Hint { file, whole: is_whole }) = hint {
                if is_whole {
                    whole.insert(file);
                }
                hint = hints.try_recv().ok();
            }
            self.look_through(&mut resting, &whole, false).await;
        }
    }

    /// Compares the files with what was taken of them, and takes or drops those that are whole or have rested.
    async fn look_through(self: &Arc<Self>, resting: &mut Resting, whole: &BTreeSet<String>, all: bool) {
        let plugins = Arc::clone(self);
        let files = match tokio::task::spawn_blocking(move || plugins.directory.files()).await {
            Ok(Ok(files)) => files,
            Ok(Err(error)) => return tracing::warn!(%error, "the plugins' directory cannot be read"),
            Err(error) => return tracing::error!(%error, "the plugins' directory cannot be read"),
        };
        let names: BTreeSet<String> = files.keys().cloned().chain(self.directory.known_files()).collect();
        resting.retain(|file, _| names.contains(file));
        for file in names {
            let look = files.get(&file).copied();
            if look == self.directory.known(&file) {
                resting.remove(&file);
                continue;
            }
            let (seen, since) = *resting.entry(file.clone()).or_insert((look, Instant::now()));
            let rests = seen == look && since.elapsed() >= REST;
            let at_once = look.is_some() && (all || whole.contains(&file));
            if !(rests || at_once) {
                if seen != look {
                    resting.insert(file, (look, Instant::now()));
                }
                continue;
            }
            let done = match look {
                Some(look) => self.take_file(&file, look).await,
                None => self.drop_gone(&file).await,
            };
            if done {
                resting.remove(&file);
            } else {
                resting.insert(file, (look, Instant::now()));
            }
        }
    }

    async fn drop_gone(&self, file: &str) -> bool {
        let dropped = self.drop_file(file).await;
        dropped
            .inspect_err(|error| tracing::error!(file, %error, "what a file gave cannot be taken off the list"))
            .is_ok()
    }

    /// The files that gave something that is listed.
    fn given_files(&self) -> BTreeSet<String> {
        let catalogue = self.catalogue();
        let given = catalogue.versions().filter(|version| version.source == gavel_store::PluginSource::Directory);
        given.filter_map(|version| version.reference.clone()).collect()
    }
}

fn watcher(hints: mpsc::Sender<Hint>, path: &std::path::Path) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let Ok(event) = event else { return };
        let whole = is_whole(event.kind);
        for path in event.paths {
            if let Some(file) = path.file_name().and_then(|name| name.to_str()).and_then(plugin_of) {
                let _ = hints.try_send(Hint { file: file.to_owned(), whole });
            }
        }
    })?;
    watcher.watch(path, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Whether an event means that the file's writer is done with it.
fn is_whole(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both))
    )
}
