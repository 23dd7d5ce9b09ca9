use tokio::time::Instant;

use crate::endpoint::{EndpointError, Identity, ReadOnlyWriter, Reader, Standing, Statement};

const IDENTITY: &str = concat!(include_str!("sql/identity.sql"), include_str!("sql/identity_report.sql"));
const STANDING: &str = concat!(include_str!("sql/identity.sql"), include_str!("sql/standing_report.sql"));

/// Which server the reader is.
///
/// # Errors
/// [`EndpointError`] when it did not answer.
pub async fn identity(reader: &Reader, deadline: Instant) -> Result<Option<Identity>, EndpointError> {
    Ok(reader.fetch(Statement::read("identity", IDENTITY), deadline).await?.pop())
}

/// Which server the writer is, and whether operators let the reader be asked. None: the database has no settings.
///
/// # Errors
/// [`EndpointError`] when it did not answer.
pub async fn standing(writer: &ReadOnlyWriter, deadline: Instant) -> Result<Option<Standing>, EndpointError> {
    Ok(writer.fetch(Statement::read("standing", STANDING), deadline).await?.pop())
}
