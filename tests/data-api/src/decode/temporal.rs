//! Dates and times, counted by PostgreSQL from 2000-01-01.

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::Read;

const DAY: i64 = 86_400_000_000;

/// Days since 2000-01-01 as `YYYY-MM-DD`.
pub(super) fn date(days: i32) -> Read<String> {
    match days {
        i32::MAX => Ok("infinity".to_owned()),
        i32::MIN => Ok("-infinity".to_owned()),
        days => {
            let (date, suffix) = civil(i64::from(days))?;
            Ok(format!("{date}{suffix}"))
        }
    }
}

/// Microseconds since midnight as `HH:MM:SS[.ffffff]`, without trailing zeros.
pub(super) fn time(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let whole = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 {
        return whole;
    }
    format!("{whole}.{}", format!("{fraction:06}").trim_end_matches('0'))
}

/// Microseconds since 2000-01-01 as `YYYY-MM-DD HH:MM:SS[.ffffff]`.
pub(super) fn timestamp(micros: i64) -> Read<String> {
    match micros {
        i64::MAX => Ok("infinity".to_owned()),
        i64::MIN => Ok("-infinity".to_owned()),
        micros => {
            let (date, suffix) = civil(micros.div_euclid(DAY))?;
            Ok(format!("{date} {}{suffix}", time(micros.rem_euclid(DAY))))
        }
    }
}

/// PostgreSQL has no year 0: the year before 1 is 1 BC.
fn civil(days: i64) -> Read<(String, &'static str)> {
    let date = Date::constant(2000, 1, 1).checked_add(days.days())?;
    let (year, suffix) = if date.year() > 0 { (date.year(), "") } else { (1 - date.year(), " BC") };
    Ok((format!("{year:04}-{:02}-{:02}", date.month(), date.day()), suffix))
}
