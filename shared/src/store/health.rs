use crate::endpoint::{HealthProbe, Statement};

const READER_STATUS: &str = concat!(include_str!("sql/identity.sql"), include_str!("sql/reader_status.sql"));
const WRITER_STATUS: &str = concat!(
    include_str!("sql/identity.sql"),
    ",\n",
    include_str!("sql/overdue_heartbeat.sql"),
    include_str!("sql/writer_status.sql")
);

/// What the endpoints are asked about themselves: here, because SQL stands in no other room.
pub const HEALTH_PROBE: HealthProbe = HealthProbe {
    writer: Statement::read("writer_status", WRITER_STATUS).brief(),
    reader: Statement::read("reader_status", READER_STATUS).brief(),
};
