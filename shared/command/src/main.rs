//! `registry-migration`: the command line.

use std::process::ExitCode;

use clap::Parser;
use command::arguments::{Arguments, Command};
use command::exit::Exit;
use command::memory::give_back_freed_memory;
use command::operate::operate;
use command::run;
use command::screen::note;
use command::signals::Signals;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // clap's own status for wrong usage is another.
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return ExitCode::from(exit.status());
        }
    };
    if matches!(arguments.command, Command::Run(_) | Command::Serve(_)) {
        give_back_freed_memory();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note(&format!("error: {error}"));
            return ExitCode::from(Exit::Unusable.status());
        }
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            Command::Run(arguments) => {
                let mut signals =
                    Signals::take().map_err(|error| run::RunError::Unusable(error.to_string()))?;
                run::run(*arguments, &mut signals).await
            }
            Command::Drift(arguments) => {
                let mut signals =
                    Signals::take().map_err(|error| run::RunError::Unusable(error.to_string()))?;
                run::drift(*arguments, &mut signals).await
            }
            Command::Serve(arguments) => {
                let mut signals =
                    Signals::take().map_err(|error| run::RunError::Unusable(error.to_string()))?;
                run::serve(*arguments, &mut signals).await
            }
            Command::Limit(limit) => run::limit(&limit.state, &limit.limits),
            Command::Operate(command) => {
                let mut signals =
                    Signals::take().map_err(|error| run::RunError::Unusable(error.to_string()))?;
                Ok(operate(*command, &mut signals).await.unwrap_or_else(|error| {
                    note(&format!("error: {error}"));
                    error.exit()
                }))
            }
        }
    });
    // What still waits for a registry is not awaited.
    runtime.shutdown_background();
    let exit = ended.unwrap_or_else(|error| {
        note(&format!("error: {error}"));
        error.exit()
    });
    ExitCode::from(exit.status())
}
