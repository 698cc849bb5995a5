//! The whole program: arguments, log, runtime and exit code.
//!
//! Knows no channel and no event; the commands do the work.

use std::io::IsTerminal;
use std::process::ExitCode;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use super::{ReaderGone, tell};

/// The exit code for invalid arguments, the same as clap's.
const USAGE: u8 = 2;
/// The exit code of a command that ended because standard output is closed: 128 + SIGPIPE, as shells report it.
const READER_GONE: u8 = 141;

/// The number of tasks that a worker polls before it checks for I/O events. With tokio's default of 61, a worker checks
/// in the middle of a fan-out and finds the publisher ready again. With 512, readers find more events pending and write
/// them at once.
const EVENT_INTERVAL_TASKS: u32 = 512;

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    let arguments = match super::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(complaint) => return complaint.tell(),
    };
    // Dropping it flushes the log.
    let _log = match start_log(arguments.log()) {
        Ok(log) => log,
        Err(error) => {
            tell(format_args!("--log: {error}"));
            return ExitCode::from(USAGE);
        }
    };
    // The soft limit of 1,024 descriptors that logins usually have is for programs that still use `select`. If it
    // cannot be raised, the accept loop reports when it is reached.
    let _ = rlimit::increase_nofile_limit(rlimit::INFINITY);
    let mut builder = if arguments.wants_all_cores() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder
        .enable_all()
        .event_interval(EVENT_INTERVAL_TASKS)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(format_args!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(super::run(arguments));
    // The drain is over, so the remaining tasks are not awaited.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ReaderGone>() => ExitCode::from(READER_GONE),
        Err(error) => {
            tell(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The most lines of the log that wait to be written. Further lines are dropped.
const LOG_LINES: usize = 10_000;

/// Starts the log on standard error, because standard output carries the start lines or events. A separate thread
/// writes it: a blocked or closed pipe must not stop the program.
fn start_log(filter: &str) -> Result<WorkerGuard, ParseError> {
    let mut filter = EnvFilter::builder().parse(filter)?;
    // The crate `h2` logs a warning for input that any client can send as often as it likes.
    if !filter.to_string().contains("h2") {
        filter = filter.add_directive("h2=error".parse()?);
    }
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_LINES)
        .finish(std::io::stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .log_internal_errors(false);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(guard)
}
