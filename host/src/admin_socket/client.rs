//! The command line's end of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Answer, MAX_ANSWER_BYTES, Request, SOCKET_NAME};
use crate::backtest::Progress;

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

/// Asks the server that runs on this data directory; none when none runs. `tell` hears how far a long command is.
///
/// # Errors
/// When a server runs and cannot be asked, or gives no answer that can be read.
pub async fn ask(
    data_dir: &Path,
    request: &Request,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Option<Answer>, AskError> {
    let path = data_dir.join(SOCKET_NAME);
    let fault = |source| AskError::Socket { path: path.clone(), source };
    let mut reading = match send(&path, request).await {
        Ok(stream) => BufReader::new(stream),
        Err(source) if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(source) => return Err(fault(source)),
    };
    loop {
        let line = line(&mut reading).await.map_err(fault)?;
        match serde_json::from_slice(&line)? {
            Answer::Progress(progress) => tell(&progress),
            answer => return Ok(Some(answer)),
        }
    }
}

async fn send(path: &Path, request: &Request) -> io::Result<UnixStream> {
    let mut stream = timeout(PATIENCE, UnixStream::connect(path)).await??;
    let mut line = Zeroizing::new(serde_json::to_vec(request)?);
    line.push(b'\n');
    timeout(PATIENCE, stream.write_all(&line)).await??;
    Ok(stream)
}

async fn line(reading: &mut BufReader<UnixStream>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    timeout(DEADLINE, reading.take(MAX_ANSWER_BYTES as u64).read_until(b'\n', &mut line)).await??;
    Ok(line)
}
