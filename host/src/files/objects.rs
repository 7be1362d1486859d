//! Where files' bytes are: a directory, or a bucket that speaks S3.

use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gavel_store::ObjectId;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig};
use tokio::io::AsyncWriteExt as _;

use super::FileError;
use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};

/// Bytes of a part of an upload; all but the last have the same size, as some stores ask for.
const PART_BYTES: usize = 8 << 20;
/// Parts that are on their way to the store at once.
const PARTS_AT_ONCE: usize = 2;
/// How long a connection to the store may take, and one request with a part's bytes.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const REQUEST_DEADLINE: Duration = Duration::from_secs(60);
/// How often, and for how long, a request is tried again.
const RETRIES: usize = 3;
const RETRY_FOR: Duration = Duration::from_secs(30);
/// The object that is written and removed when a server starts, to see whether it can be.
const PROBE: &str = "gavel-probe";

/// Why the object store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// The directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The store refused or failed.
    #[error("{0}")]
    Store(#[from] object_store::Error),
    /// It cannot be written and removed as files have to be.
    #[error("{place} cannot be used for files: {source}")]
    Unusable {
        /// The directory or URL.
        place: String,
        /// What happened.
        source: object_store::Error,
    },
}

/// The object store. Objects are `<agent>/<file>`, whatever files are called. Cheap to clone.
#[derive(Clone)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The directory, where it is one.
    directory: Option<PathBuf>,
}

/// An object that is being written. One that is neither finished nor aborted leaves what it has written behind.
pub(super) struct ObjectWriter(BufWriter);

impl Objects {
    /// Opens the store that the configuration names, and sees whether it can be used.
    pub(super) async fn open(config: &Config) -> Result<Self, ObjectsError> {
        let objects = match &config.files.url {
            None => Self::in_directory(&config.data_dir.join("files"))?,
            Some(url) => Self::in_bucket(url)?,
        };
        let place = match &config.files.url {
            None => "files/ in the data directory".to_owned(),
            Some(url) => url.to_string(),
        };
        objects.probe().await.map_err(|source| ObjectsError::Unusable { place, source })?;
        Ok(objects)
    }

    fn in_directory(directory: &FsPath) -> Result<Self, ObjectsError> {
        DataDir::open(directory)?;
        let store = LocalFileSystem::new_with_prefix(directory)?.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store), directory: Some(directory.to_owned()) })
    }

    fn in_bucket(url: &url::Url) -> Result<Self, ObjectsError> {
        let client = ClientOptions::new().with_connect_timeout(CONNECT_DEADLINE).with_timeout(REQUEST_DEADLINE);
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_FOR, backoff: BackoffConfig::default() };
        let mut builder = AmazonS3Builder::new().with_client_options(client).with_retry(retry);
        for (name, value) in std::env::vars_os() {
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
            let known = || name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().ok();
            if let Some(key) = name.starts_with("AWS_").then(known).flatten() {
                // Who writes an address with http:// means it; what is sent is encrypted already.
                if key == AmazonS3ConfigKey::Endpoint && value.starts_with("http://") {
                    builder = builder.with_allow_http(true);
                }
                builder = builder.with_config(key, value);
            }
        }
        let store = builder.with_url(url.as_str()).build()?;
        let prefix = Path::from_url_path(url.path()).map_err(object_store::Error::from)?;
        Ok(Self { store: Arc::new(PrefixStore::new(store, prefix)), directory: None })
    }

    async fn probe(&self) -> Result<(), object_store::Error> {
        let probe = Path::from(PROBE);
        self.store.put(&probe, "gavel".into()).await?;
        self.store.delete(&probe).await
    }

    /// Begins to write an object.
    pub(super) fn write(&self, object: ObjectId) -> ObjectWriter {
        let writer = BufWriter::with_capacity(Arc::clone(&self.store), path(object), PART_BYTES);
        ObjectWriter(writer.with_max_concurrency(PARTS_AT_ONCE))
    }

    /// A range of an object's bytes.
    pub(super) async fn read(&self, object: ObjectId, range: Range<u64>) -> Result<Bytes, FileError> {
        let wanted = range.end - range.start;
        let bytes = self.store.get_range(&path(object), range).await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => FileError::Damaged,
            error => error.into(),
        })?;
        if bytes.len() as u64 == wanted { Ok(bytes) } else { Err(FileError::Damaged) }
    }

    /// Removes an object, or what was written of it; one that is not there is no error.
    pub(super) async fn remove(&self, object: ObjectId) -> Result<(), FileError> {
        match self.store.delete(&path(object)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(directory) = &self.directory {
            // What a crash left of an upload: the name that `LocalFileSystem` writes under before it is whole.
            let part = directory.join(object.agent.to_string()).join(format!("{}#1", object.file));
            match tokio::fs::remove_file(part).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(FileError::Directory(error)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl ObjectWriter {
    /// Writes the next bytes; waits while the store is behind.
    pub(super) async fn put(&mut self, bytes: Vec<u8>) -> Result<(), FileError> {
        Ok(self.0.put(bytes.into()).await?)
    }

    /// Makes the object whole, durable and visible.
    pub(super) async fn finish(mut self) -> Result<(), FileError> {
        self.0.shutdown().await.map_err(FileError::Directory)
    }

    /// Takes back what was written.
    pub(super) async fn abort(mut self) -> Result<(), FileError> {
        Ok(self.0.abort().await?)
    }
}

fn path(object: ObjectId) -> Path {
    Path::from_iter([object.agent.to_string(), object.file.to_string()])
}
