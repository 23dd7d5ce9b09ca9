//! `typeHint`: a string that is bound as another type, and the one format each accepts.

use jiff::civil::{Date, Time};
use tokio_postgres::types::Type;

use crate::error::ApiError;
use crate::validate::not_in_enum;

/// The six hints of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    Date,
    Decimal,
    Json,
    Time,
    Timestamp,
    Uuid,
}

/// The hint of this name.
pub(crate) fn of_name(name: &str) -> Result<Hint, ApiError> {
    match name {
        "DATE" => Ok(Hint::Date),
        "DECIMAL" => Ok(Hint::Decimal),
        "JSON" => Ok(Hint::Json),
        "TIME" => Ok(Hint::Time),
        "TIMESTAMP" => Ok(Hint::Timestamp),
        "UUID" => Ok(Hint::Uuid),
        other => Err(not_in_enum(
            other,
            "parameters.member.typeHint",
            "[JSON, UUID, TIMESTAMP, DATE, TIME, DECIMAL]",
        )),
    }
}

impl Hint {
    /// What the value is bound as. TIMESTAMP has no zone.
    pub(crate) fn ty(self) -> Type {
        match self {
            Self::Date => Type::DATE,
            Self::Decimal => Type::NUMERIC,
            Self::Json => Type::JSONB,
            Self::Time => Type::TIME,
            Self::Timestamp => Type::TIMESTAMP,
            Self::Uuid => Type::UUID,
        }
    }

    /// Refuses what the documentation's format does not allow, although PostgreSQL would read it: it takes
    /// a zone in a timestamp and drops it silently. JSON and DECIMAL are left to PostgreSQL.
    pub(crate) fn check(self, name: &str, text: &str) -> Result<(), ApiError> {
        let (fits, format) = match self {
            Self::Date => (is_date(text), "YYYY-MM-DD"),
            Self::Time => (is_time(text), "HH:MM:SS[.FFF]"),
            Self::Timestamp => (is_timestamp(text), "YYYY-MM-DD HH:MM:SS[.FFF]"),
            Self::Uuid => (text.len() == 36 && uuid::Uuid::try_parse(text).is_ok(), "a UUID"),
            Self::Decimal | Self::Json => (true, ""),
        };
        if fits {
            return Ok(());
        }
        Err(ApiError::validation(format!("Parameter {name}: its type hint asks for the format {format}.")))
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && Date::strptime("%Y-%m-%d", text).is_ok()
}

fn is_time(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
    whole.len() == 8 && Time::strptime("%H:%M:%S", whole).is_ok() && digits
}

fn is_timestamp(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(date, time)| is_date(date) && is_time(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_with_a_zone_is_refused() {
        for good in ["2026-02-28 23:59:59", "2026-02-28 23:59:59.123456"] {
            assert!(Hint::Timestamp.check("t", good).is_ok(), "{good}");
        }
        let bad =
            ["2026-02-28 23:59:59Z", "2026-02-28 23:59:59+02", "2026-02-28T23:59:59", "2026-02-30 00:00:00"];
        for bad in bad {
            assert!(Hint::Timestamp.check("t", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_times_and_uuids_have_one_format() {
        assert!(Hint::Date.check("d", "2026-1-2").is_err());
        assert!(Hint::Time.check("t", "24:00:00").is_err());
        assert!(Hint::Time.check("t", "10:00").is_err());
        assert!(Hint::Uuid.check("u", "00000000000000000000000000000000").is_err());
        assert!(Hint::Uuid.check("u", "00000000-0000-0000-0000-000000000000").is_ok());
    }
}
