//! The command line's end of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Answer, MAX_ANSWER_BYTES, Request, SOCKET_NAME};

/// How long the server may take to accept and to hear.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to do what is asked.
const DEADLINE: Duration = Duration::from_secs(3600);

/// Why a running server gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The socket cannot be used.
    #[error("{}: {source}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What it said is no answer.
    #[error("the server's answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
}

/// Asks the server that runs on this data directory; none when none runs.
///
/// # Errors
/// When a server runs and cannot be asked, or gives no answer that can be read.
pub async fn ask(data_dir: &Path, request: &Request) -> Result<Option<Answer>, AskError> {
    let path = data_dir.join(SOCKET_NAME);
    let line = match exchange(&path, request).await {
        Ok(line) => line,
        Err(source) => {
            return match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(AskError::Socket { path, source }),
            };
        }
    };
    Ok(Some(serde_json::from_slice(&line)?))
}

async fn exchange(path: &Path, request: &Request) -> io::Result<Vec<u8>> {
    let mut stream = timeout(PATIENCE, UnixStream::connect(path)).await??;
    let mut line = Zeroizing::new(serde_json::to_vec(request)?);
    line.push(b'\n');
    timeout(PATIENCE, stream.write_all(&line)).await??;
    let mut answer = Vec::new();
    let mut reading = BufReader::new(stream).take(MAX_ANSWER_BYTES as u64);
    timeout(DEADLINE, reading.read_until(b'\n', &mut answer)).await??;
    Ok(answer)
}
