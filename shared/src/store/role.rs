use tokio::time::Instant;

use crate::endpoint::{EndpointError, ReadOnlyWriter, Reader, Seen, Standing, Statement};

const SEEN: &str = concat!(include_str!("sql/identity.sql"), include_str!("sql/seen_report.sql"));
const STANDING: &str = concat!(
    include_str!("sql/identity.sql"),
    ",\n",
    include_str!("sql/due_mark.sql"),
    include_str!("sql/standing_report.sql")
);

/// Which server the reader is, and which mark it has.
///
/// # Errors
/// [`EndpointError`] when it did not answer.
pub async fn seen(reader: &Reader, deadline: Instant) -> Result<Option<Seen>, EndpointError> {
    Ok(reader.fetch(Statement::read("seen", SEEN).brief(), deadline).await?.pop())
}

/// Which server the writer is, and when the reader may be asked. None: the database has no settings.
///
/// # Errors
/// [`EndpointError`] when it did not answer.
pub async fn standing(writer: &ReadOnlyWriter, deadline: Instant) -> Result<Option<Standing>, EndpointError> {
    Ok(writer.fetch(Statement::read("standing", STANDING).brief(), deadline).await?.pop())
}
