//! The commands for operators: they ask a deployed driver over its HTTP API, and know nothing of its database.

mod act;
pub mod arguments;
mod client;
mod config;
mod doctor;
mod holds;
mod look;
mod report;
mod settings;
mod show;
mod status;

use client::{Driver, Refusal};
use config::Config;

use self::arguments::{Connection, Operate};
use crate::{exit::Exit, signals::Signals};

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The caller asked for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// The driver refused.
    #[error("{}", refused(.0))]
    Refused(Box<Refusal>),
    /// The driver, or a file, cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// Ended before it was done.
    #[error("ended before it was done")]
    Ended,
}

impl OperateError {
    fn usage(error: impl ToString) -> Self {
        Self::Usage(error.to_string())
    }

    /// What the exit status says.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Refused(refusal) if refusal.status == 401 || refusal.status >= 500 => Exit::Unusable,
            Self::Refused(_) => Exit::Loss,
            Self::Unusable(_) => Exit::Unusable,
            Self::Ended => Exit::Unfinished,
        }
    }
}

/// A refusal with the place in the handbook that says what to do.
fn refused(refusal: &Refusal) -> String {
    let Refusal { status, kind, detail, .. } = refusal;
    let detail = show::plain(detail);
    match (kind, status) {
        (Some(kind), _) => format!("{detail} ({status} {kind}: functions/README.md#{kind})"),
        (None, 401) => {
            "the driver refuses the operators' token: is it the current one? It is the text of the stack's \
                        output OperatorTokenArn (401)"
                .to_owned()
        }
        (None, _) => format!("{detail} ({status})"),
    }
}

/// Does what was asked for.
///
/// # Errors
/// [`OperateError`].
pub async fn operate(command: Operate, signals: &mut Signals) -> Result<Exit, OperateError> {
    let work = async {
        match command {
            Operate::Status(arguments) => status::status(&arguments, &driver(&arguments.connection)?).await,
            Operate::List(arguments) => look::list(&arguments, &driver(&arguments.connection)?).await,
            Operate::Explain(arguments) => look::explain(&arguments, &driver(&arguments.connection)?).await,
            Operate::History(arguments) => look::history(&arguments, &driver(&arguments.connection)?).await,
            Operate::Start(arguments) => act::start(&arguments, &driver(&arguments.connection)?).await,
            Operate::Retry(arguments) => act::retry(&arguments, &driver(&arguments.connection)?).await,
            Operate::Cancel(arguments) => act::cancel(&arguments, &driver(&arguments.connection)?).await,
            Operate::Skip(arguments) => act::skip(&arguments, &driver(&arguments.connection)?).await,
            Operate::Accept(arguments) => act::accept(&arguments, &driver(&arguments.connection)?).await,
            Operate::Reopen(arguments) => act::reopen(&arguments, &driver(&arguments.connection)?).await,
            Operate::Hold(arguments) => holds::hold(&arguments, &driver(&arguments.connection)?).await,
            Operate::Release(arguments) => holds::release(&arguments, &driver(&arguments.connection)?).await,
            Operate::Settings(arguments) => {
                settings::settings(&arguments, &driver(&arguments.connection)?).await
            }
            Operate::Report(arguments) => report::report(&arguments, &driver(&arguments.connection)?).await,
            Operate::Doctor(arguments) => doctor::doctor(&arguments, &driver(&arguments.connection)?).await,
        }
    };
    signals.or(work).await.unwrap_or(Err(OperateError::Ended))
}

fn driver(connection: &Connection) -> Result<Driver, OperateError> {
    Driver::new(Config::read(connection)?)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{OperateError, Refusal};
    use crate::exit::Exit;

    #[test]
    fn ends_by_who_can_do_something_about_it() {
        let refused = |status, kind: Option<&str>| {
            OperateError::Refused(Box::new(Refusal {
                status,
                kind: kind.map(str::to_owned),
                detail: "no\u{1b}[2J".to_owned(),
                body: Value::Null,
            }))
        };
        for (error, exit, says) in [
            (
                refused(409, Some("wrong-migration-state")),
                Exit::Loss,
                "functions/README.md#wrong-migration-state",
            ),
            (refused(404, None), Exit::Loss, "404"),
            (refused(401, None), Exit::Unusable, "OperatorTokenArn"),
            (refused(503, None), Exit::Unusable, "503"),
            (OperateError::usage("x"), Exit::Usage, "x"),
            (OperateError::Unusable("x".to_owned()), Exit::Unusable, "x"),
            (OperateError::Ended, Exit::Unfinished, "ended"),
        ] {
            assert_eq!(error.exit(), exit, "{error}");
            let said = error.to_string();
            assert!(said.contains(says) && !said.contains('\u{1b}'), "{said}");
        }
    }
}
