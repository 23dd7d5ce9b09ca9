//! Dates and times, counted by PostgreSQL from 2000-01-01.

use jiff::Span;
use jiff::civil::Date;

use super::{Infinite, Read};

const DAY: i64 = 86_400_000_000;

/// Days since 2000-01-01 as `YYYY-MM-DD`. The real service breaks on the infinite ones.
pub(super) fn date(days: i32) -> Read<String> {
    if days == i32::MAX || days == i32::MIN { Err(Infinite.into()) } else { printed_date(days) }
}

/// Microseconds since 2000-01-01 as `YYYY-MM-DD HH:MM:SS[.fff[fff]]`, likewise.
pub(super) fn timestamp(micros: i64) -> Read<String> {
    if micros == i64::MAX || micros == i64::MIN {
        return Err(Infinite.into());
    }
    let (date, suffix) = civil(micros.div_euclid(DAY))?;
    Ok(format!("{date} {}{suffix}", time(micros.rem_euclid(DAY))))
}

/// Microseconds since midnight as `HH:MM:SS`, with 0, 3 or 6 digits of a second.
pub(super) fn time(micros: i64) -> String {
    let (whole, fraction) = parts(micros);
    match fraction {
        0 => whole,
        fraction if fraction % 1000 == 0 => format!("{whole}.{:03}", fraction / 1000),
        fraction => format!("{whole}.{fraction:06}"),
    }
}

/// A date as PostgreSQL prints it.
pub(super) fn printed_date(days: i32) -> Read<String> {
    match days {
        i32::MAX => Ok("infinity".to_owned()),
        i32::MIN => Ok("-infinity".to_owned()),
        days => {
            let (date, suffix) = civil(i64::from(days))?;
            Ok(format!("{date}{suffix}"))
        }
    }
}

/// A timestamp as PostgreSQL prints it, with its zone.
pub(super) fn printed_timestamp(micros: i64, zone: &str) -> Read<String> {
    match micros {
        i64::MAX => Ok("infinity".to_owned()),
        i64::MIN => Ok("-infinity".to_owned()),
        micros => {
            let (date, suffix) = civil(micros.div_euclid(DAY))?;
            let (whole, fraction) = parts(micros.rem_euclid(DAY));
            let fraction = format!(".{fraction:06}");
            let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
            Ok(format!("{date} {whole}{fraction}{zone}{suffix}"))
        }
    }
}

/// `HH:MM:SS`, and the microseconds beside it.
fn parts(micros: i64) -> (String, i64) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    (format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60), fraction)
}

/// PostgreSQL has no year 0: the year before 1 is 1 BC.
fn civil(days: i64) -> Read<(String, &'static str)> {
    // PostgreSQL knows years that nobody else does.
    let date = Date::constant(2000, 1, 1).checked_add(Span::new().try_days(days)?)?;
    let (year, suffix) = if date.year() > 0 { (date.year(), "") } else { (1 - date.year(), " BC") };
    Ok((format!("{year:04}-{:02}-{:02}", date.month(), date.day()), suffix))
}
