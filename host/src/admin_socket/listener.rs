//! The server's end of the socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::WriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{Answer, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, Operator, Request, SOCKET_NAME};
use crate::data_dir::DataDir;
use crate::object::Object;
use crate::random::random;
use crate::tasks::Tasks;

/// Commands that are carried out at once.
const MAX_CONNECTIONS: usize = 8;
/// How long a command may take to say what it wants, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A pause after an error of the operating system, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens until the server closes. The caller holds the store open, so no other server listens on this directory, and
/// what is found there under the socket's name was left by a crash.
///
/// # Errors
/// When the socket cannot be made, for a path that is too long for one for instance.
pub(crate) fn listen(data: &DataDir, operator: Operator, tasks: &Tasks) -> io::Result<()> {
    let path = data.path().join(SOCKET_NAME);
    let (listener, owner) = bind(data.path(), &path)?;
    let until = tasks.closing().clone();
    tasks.spawn(accept(listener, owner, operator, tasks.clone(), until, path));
    Ok(())
}

/// The socket appears under its name only once nobody else may connect to it.
fn bind(directory: &Path, path: &Path) -> io::Result<(UnixListener, u32)> {
    let draft = directory.join(format!(".{SOCKET_NAME}.{}", hex::encode(random::<4>())));
    let listener = UnixListener::bind(&draft)?;
    let published = fs::set_permissions(&draft, Permissions::from_mode(0o600))
        .and_then(|()| fs::metadata(&draft))
        .and_then(|made| fs::rename(&draft, path).map(|()| made.uid()));
    match published {
        Ok(owner) => Ok((listener, owner)),
        Err(error) => {
            let _ = fs::remove_file(&draft);
            Err(error)
        }
    }
}

async fn accept(
    listener: UnixListener,
    owner: u32,
    operator: Operator,
    tasks: Tasks,
    until: CancellationToken,
    path: PathBuf,
) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = async {
            let permit = connections.clone().acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let (accepted, permit) = tokio::select! {
            () = until.cancelled() => break,
            Some(accepted) = accepted => accepted,
            else => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let operator = operator.clone();
                tasks.spawn(async move {
                    if let Err(error) = serve(stream, owner, &operator).await {
                        tracing::warn!(%error, "an operator's command was not carried out");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an operator's connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let _ = fs::remove_file(path);
}

async fn serve(mut stream: UnixStream, owner: u32, operator: &Operator) -> io::Result<()> {
    let caller = stream.peer_cred()?.uid();
    // The superuser could read the store's file all the same.
    if caller != owner && caller != 0 {
        return Err(io::Error::other(format!("user {caller} of this machine is not the server's")));
    }
    let (reading, mut writing) = stream.split();
    let mut line = Zeroizing::new(Vec::new());
    let mut reading = BufReader::new(reading).take(MAX_REQUEST_BYTES as u64 + 1);
    timeout(PATIENCE, reading.read_until(b'\n', &mut line)).await??;
    let answer = if line.len() > MAX_REQUEST_BYTES {
        Answer::Refused { reason: format!("the request is larger than {MAX_REQUEST_BYTES} bytes") }
    } else {
        match serde_json::from_slice::<Object<Request>>(&line) {
            Ok(Object(request)) => told(operator, request, &mut writing).await?,
            // A command of another version of Gavel.
            Err(error) => Answer::Refused { reason: format!("the server does not know this command: {error}") },
        }
    };
    write(&mut writing, &answer).await
}

/// Carries a request out, and says how far it is meanwhile. A command that is gone is carried out no further.
async fn told(operator: &Operator, request: Request, writing: &mut WriteHalf<'_>) -> io::Result<Answer> {
    let (progress, mut reached) = mpsc::channel(1);
    let mut done = pin!(operator.carry_out(request, progress));
    loop {
        tokio::select! {
            answer = &mut done => return Ok(answer),
            Some(progress) = reached.recv() => write(writing, &Answer::Progress(progress)).await?,
        }
    }
}

async fn write(writing: &mut WriteHalf<'_>, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    if line.len() >= MAX_ANSWER_BYTES {
        line = serde_json::to_vec(&Answer::Failed { reason: "the answer is too large for the socket".to_owned() })?;
    }
    line.push(b'\n');
    timeout(PATIENCE, writing.write_all(&line)).await?
}
