use std::fmt;

use async_trait::async_trait;
use shared::endpoint::{Call, ErrorClass, Execution, Failure, Transport};
use tokio::{sync::Mutex, time::Instant};
use tokio_postgres::{Row, types::Type};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    CertificatesError, Server,
    bind::bind,
    error::{of_connecting, of_statement, unavailable},
    placeholders::numbered,
    session::{NoSession, Session},
    tls,
};

/// What a statement's transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing but read, whatever the role may.
    ReadOnly,
    /// What the role may.
    ReadWrite,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "READ ONLY",
            Self::ReadWrite => "READ WRITE",
        })
    }
}

/// Sends statements over one connection of its own, one after the other, each as a transaction of its own.
///
/// ```no_run
/// use direct_endpoint::{Access, Direct, Server};
/// use shared::endpoint::{Reader, Writer};
///
/// # fn wire(replica: Server, primary: Server) -> Result<(), direct_endpoint::CertificatesError> {
/// let reader = Reader::new(Direct::new(replica, Access::ReadOnly)?);
/// // For whoever runs without the Data API.
/// let writer = Writer::new(Direct::new(primary, Access::ReadWrite)?);
/// # Ok(())
/// # }
/// ```
pub struct Direct {
    server: Server,
    access: Access,
    tls: MakeRustlsConnect,
    /// None while a statement runs, so that one that is given up takes its connection with it.
    session: Mutex<Option<Session>>,
}

impl Direct {
    /// A transport that connects when the first statement is sent.
    ///
    /// # Errors
    /// [`CertificatesError`] when the file of authorities cannot be used.
    pub fn new(server: Server, access: Access) -> Result<Self, CertificatesError> {
        let tls = tls::trusting(&server.certificates)?;
        Ok(Self { server, access, tls, session: Mutex::new(None) })
    }

    /// A further one to the same server, with a connection of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        let (server, tls) = (self.server.clone(), self.tls.clone());
        Self { server, access: self.access, tls, session: Mutex::new(None) }
    }

    async fn connect(&self, deadline: Instant) -> Result<Session, Failure> {
        let proof = self.server.proof().await?;
        match Session::open(&self.server, self.tls.clone(), &proof, deadline).await {
            Ok(session) => Ok(session),
            Err(NoSession::Refused(error)) => Err(of_connecting(&error)),
            Err(NoSession::TooLate) => Err(unavailable("the database takes no connection in time")),
        }
    }
}

#[async_trait]
impl Transport for Direct {
    async fn execute(&self, call: Call<'_>, deadline: Instant) -> Result<Vec<String>, Failure> {
        let numbered = numbered(call.sql);
        let values = bind(&numbered.names, call.parameters)?;
        let mut kept = self.session.lock().await;
        let mut session = match kept.take() {
            Some(session) if session.answers().await => session,
            Some(_) => {
                tracing::info!(host = %self.server.host, "the connection to the database is replaced");
                self.connect(deadline).await?
            }
            None => self.connect(deadline).await?,
        };
        let rows = match session.run(self.access, &numbered.sql, &values, deadline).await {
            Ok(rows) => rows,
            Err(error) => {
                let failure = of_statement(&error);
                // A writer that is read-only is one no more: its name leads elsewhere by now.
                let moved = self.access == Access::ReadWrite && failure.class == ErrorClass::ReadOnly;
                if session.survives(&error) && !moved {
                    *kept = Some(session);
                }
                return Err(failure);
            }
        };
        *kept = Some(session);
        rows.iter().enumerate().map(text_of).collect()
    }
}

/// The one text of a row.
fn text_of((index, row): (usize, &Row)) -> Result<String, Failure> {
    let undecodable =
        |detail: String| Failure::new(Execution::Unknown, ErrorClass::Undecodable).with_detail(detail);
    match row.columns() {
        [column] if *column.type_() == Type::TEXT => match row.try_get(0) {
            Ok(Some(text)) => Ok(text),
            Ok(None) | Err(_) => Err(undecodable(format!("row {index}: the column is not text"))),
        },
        [_] => Err(undecodable(format!("row {index}: the column is not text"))),
        columns => Err(undecodable(format!("row {index}: {} columns instead of one", columns.len()))),
    }
}
