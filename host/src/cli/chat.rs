//! `gavel chat`: a chat in the terminal with a running server, verdicts in the margin.

mod margin;
mod socket;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::mpsc;
use url::Url;

use self::margin::Page;
use self::socket::{ChatError, Socket};
use super::{CliError, NOT_SO, USAGE};

/// Where the token comes from: an argument could be read by whoever lists processes.
const TOKEN_VARIABLE: &str = "GAVEL_TOKEN";

/// Chat with an agent of a running server, verdicts in the margin.
///
/// Each line of standard input is a message. The token, a user's or an agent's API key, is in the variable GAVEL_TOKEN.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: GAVEL_TOKEN=\"$(cat gavel-data/admin-token)\" gavel chat ocs_01j9zk3v5h8m2q4r6t8w0y2a4c\n\
    Exit status: 0 every turn came to its end, 1 one failed or was refused"
)]
pub(super) struct Args {
    /// The agent's id
    agent: String,
    /// Where the server is
    #[arg(long, env = "GAVEL_URL", default_value = "http://127.0.0.1:8787")]
    url: Url,
    /// Print the frames as they come, a line of JSON each
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let Some(token) = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()) else {
        eprintln!("gavel: {TOKEN_VARIABLE} is not set: it holds a user's token or an agent's API key");
        return Ok(ExitCode::from(USAGE));
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let chatted = runtime.block_on(chat(args, SecretString::from(token)));
    // The thread that reads standard input may wait for a line that nobody writes any more.
    runtime.shutdown_background();
    match chatted {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::from(NOT_SO)),
        Err(ChatError::Refused(why)) => {
            eprintln!("gavel: {why}");
            Ok(ExitCode::from(NOT_SO))
        }
        // Whoever read along has read enough.
        Err(ChatError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(ChatError::Io(error)) => Err(error.into()),
        Err(fault) => Err(CliError::Failed(fault.to_string())),
    }
}

/// Chats until the input ends; whether every turn came to its end.
async fn chat(args: &Args, token: SecretString) -> Result<bool, ChatError> {
    let mut socket = Socket::open(&args.url, &args.agent, &token).await?;
    let asks = io::stdin().is_terminal() && !args.json;
    let mut page = Page::default();
    let mut lines = lines();
    let mut all_well = true;
    loop {
        if asks {
            print!("> ");
            io::stdout().flush()?;
        }
        // The socket is listened to meanwhile: the server asks whether anyone is still there.
        let line = tokio::select! {
            line = lines.recv() => line,
            frame = socket.frame() => {
                show(&mut page, &frame?, args.json)?;
                continue;
            }
        };
        let Some(line) = line else { break };
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        socket.say(&line).await?;
        page.begin();
        while !page.turn_is_over() {
            show(&mut page, &socket.frame().await?, args.json)?;
        }
        all_well &= !page.turn_failed();
    }
    socket.close().await;
    Ok(all_well)
}

fn show(page: &mut Page, frame: &Value, json: bool) -> io::Result<()> {
    let text = page.take(frame);
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{frame}")?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    out.flush()
}

/// The lines of standard input. A thread reads them, since a read cannot be given up.
fn lines() -> mpsc::Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
