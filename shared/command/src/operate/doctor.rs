//! `doctor`: looks whether everything works, and says what to do where it does not.

use std::time::Duration;

use console::Style;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    OperateError,
    arguments::Doctor,
    client::Driver,
    look::path,
    show::{self, age, cell, line, plain},
};
use crate::{exit::Exit, forecast::in_words, screen::Screen};

/// How far two clocks may differ: a token of the registry's is not valid before its time.
const CLOCKS: i64 = 30;
/// A heartbeat is written each minute.
const HEARTBEAT: i64 = 150;
/// How often the canary is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What came of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    Doubtful,
    Bad,
}

/// One check.
#[derive(Clone, Debug, PartialEq)]
struct Check {
    name: &'static str,
    outcome: Outcome,
    detail: String,
    /// What to do.
    advice: Option<&'static str>,
}

impl Check {
    fn new(name: &'static str, outcome: Outcome, detail: impl Into<String>, advice: &'static str) -> Self {
        let advice = (outcome != Outcome::Good).then_some(advice);
        Self { name, outcome, detail: plain(&detail.into()), advice }
    }

    fn lines(&self) -> Vec<String> {
        let (word, style) = match self.outcome {
            Outcome::Good => ("ok", Style::new().green()),
            Outcome::Doubtful => ("look", Style::new().yellow()),
            Outcome::Bad => ("BAD", Style::new().red().bold()),
        };
        let first = format!("{:<4}  {:<14}  {}", style.apply_to(word), self.name, self.detail);
        let advice = self.advice.map(|advice| format!("      {:<14}  > {advice}", ""));
        std::iter::once(first).chain(advice).collect()
    }

    fn json(&self) -> Value {
        let outcome = match self.outcome {
            Outcome::Good => "ok",
            Outcome::Doubtful => "look",
            Outcome::Bad => "bad",
        };
        json!({ "check": self.name, "outcome": outcome, "detail": self.detail, "advice": self.advice })
    }
}

/// Looks at one thing after the other. A token that is refused, or a driver that is not there, ends it.
pub(super) async fn doctor(arguments: &Doctor, driver: &Driver) -> Result<Exit, OperateError> {
    let canary = arguments.canary.as_deref().map(path).transpose()?;
    let mut checks = Vec::new();
    let mut found = |more: Vec<Check>| -> Result<(), OperateError> {
        for check in more {
            if arguments.connection.json {
                show::json(&check.json())?;
            } else {
                check.lines().iter().try_for_each(|text| line(text))?;
            }
            checks.push(check.outcome);
        }
        Ok(())
    };
    let settings = driver.get("/settings", &[]).await?;
    let status = driver.ask_with_a_wrong_secret(Method::GET, "/settings").await?;
    found(vec![token(status)])?;
    let checkup = driver.get("/doctor", &[]).await?;
    found(database(&checkup, Timestamp::now()))?;
    found(registry(&driver.get("/doctor/registry", &[]).await?))?;
    let webhook = "/api/v4/internal/registry/repositories/registry-migration/doctor/migration/status";
    found(vec![door(driver.ask_with_a_wrong_secret(Method::PUT, webhook).await?)])?;
    found(migration(&settings, &driver.get("/migrations/summary", &[]).await?))?;
    match canary {
        None => found(vec![last_notification(&checkup, Timestamp::now())])?,
        Some(path) => found(vec![sing(driver, path.as_str(), Duration::from_secs(arguments.wait)).await?])?,
    }
    let count = |outcome: Outcome| checks.iter().filter(|seen| **seen == outcome).count();
    if !arguments.connection.json {
        line(&format!(
            "{} checks: {} ok, {} to look at, {} bad",
            checks.len(),
            count(Outcome::Good),
            count(Outcome::Doubtful),
            count(Outcome::Bad)
        ))?;
    }
    Ok(if count(Outcome::Bad) == 0 { Exit::Done } else { Exit::Loss })
}

fn token(status: u16) -> Check {
    let outcome = if status == 401 { Outcome::Good } else { Outcome::Bad };
    let detail = if status == 401 {
        "yours is admitted, a wrong one is not".to_owned()
    } else {
        format!("a wrong one is answered {status}, and not 401")
    };
    let advice = "somebody else answers, or everybody is admitted: is --api the stack's output ApiUrl?";
    Check::new("token", outcome, detail, advice)
}

fn door(status: u16) -> Check {
    let outcome = if status == 401 { Outcome::Good } else { Outcome::Bad };
    let advice =
        "the notification's address does not lead to registry-notification: look at its function and route";
    Check::new("webhook", outcome, format!("a wrong secret is answered {status}"), advice)
}

/// The clock, the schema, and the reader.
fn database(checkup: &Value, now: Timestamp) -> Vec<Check> {
    let time = |name: &str| checkup[name].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let at = time("at");
    let apart = at.map(|at| at.as_second() - now.as_second());
    let clock = match apart {
        Some(apart) if apart.abs() <= CLOCKS => {
            Check::new("clock", Outcome::Good, format!("{} s apart", apart.abs()), "")
        }
        Some(apart) => Check::new(
            "clock",
            Outcome::Doubtful,
            format!("the database's clock and this machine's are {} s apart", apart.abs()),
            "set this machine's clock; the driver's own are AWS's",
        ),
        None => Check::new(
            "clock",
            Outcome::Bad,
            "the database tells no time",
            "look at the log of migration-status",
        ),
    };
    let (applied, expected) = (cell(&checkup["schema"]), cell(&checkup["expected_schema"]));
    let schema = match applied.cmp(&expected) {
        _ if checkup["schema"].is_null() => Check::new(
            "schema",
            Outcome::Doubtful,
            "the role that reads may not know which scripts were applied",
            "invoke apply-schema, or deploy again",
        ),
        std::cmp::Ordering::Equal => Check::new("schema", Outcome::Good, applied, ""),
        std::cmp::Ordering::Greater => Check::new(
            "schema",
            Outcome::Doubtful,
            format!("{applied}, and the functions know {expected}"),
            "that is so after a roll-back; otherwise deploy again",
        ),
        std::cmp::Ordering::Less => Check::new(
            "schema",
            Outcome::Bad,
            format!("{applied}, and the functions need {expected}"),
            "deploy again: apply-schema has not run, and the stack's events say why",
        ),
    };
    let served_by = cell(&checkup["served_by"]);
    let role = if checkup["read_only"] == true { "a replica" } else { "the writer's own server" };
    let reader = match served_by.as_str() {
        "reader" => Check::new("reader", Outcome::Good, format!("{role} serves what is shown"), ""),
        "writer_reader_off" => Check::new(
            "reader",
            Outcome::Doubtful,
            "it is taken out: the writer serves what is shown",
            "registry-migration settings reader_enabled=true",
        ),
        _ => Check::new(
            "reader",
            Outcome::Bad,
            format!("it does not serve: {served_by}"),
            "look at the replica; meanwhile: registry-migration settings reader_enabled=false",
        ),
    };
    let heartbeat =
        match at.zip(time("heartbeat_at")).map(|(at, heartbeat)| at.as_second() - heartbeat.as_second()) {
            Some(age) if age <= HEARTBEAT => Check::new(
                "replica lag",
                Outcome::Good,
                format!("it has a heartbeat of {} s ago", age.max(0)),
                "",
            ),
            Some(age) => Check::new(
                "replica lag",
                Outcome::Doubtful,
                format!("its newest heartbeat is {age} s old, and one is written each minute"),
                "does observe-migrations run (the alarm NothingObserved)? If it does, look at the replica",
            ),
            None => Check::new(
                "replica lag",
                Outcome::Bad,
                "there is no heartbeat",
                "look at the log of observe-migrations",
            ),
        };
    vec![clock, schema, reader, heartbeat]
}

/// One try of each permission of the registry's tokens.
fn registry(answer: &Value) -> Vec<Check> {
    let check = |name, member: &str, advice| {
        let outcome = if answer[member]["ok"] == true { Outcome::Good } else { Outcome::Bad };
        Check::new(name, outcome, cell(&answer[member]["detail"]), advice)
    };
    vec![
        check(
            "may import",
            "import",
            "is the registry up, is its import API on, and do key, issuer and audience fit? functions/README.md, \"The \
             registry's configuration\"",
        ),
        check(
            "may list",
            "catalogue",
            "does the registry list its catalogue to the driver's token? Else register from a list",
        ),
        check(
            "may pull",
            "tags",
            "tags are compared before and after: without that right they are tags_unverified",
        ),
    ]
}

/// What holds the whole migration up.
fn migration(settings: &Value, summary: &Value) -> Vec<Check> {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let switch = if settings["enabled"] == true {
        Check::new(
            "kill switch",
            Outcome::Good,
            format!("migrations are on, capacity {}", cell(&settings["capacity"])),
            "",
        )
    } else {
        Check::new(
            "kill switch",
            Outcome::Doubtful,
            "migrations are off",
            "registry-migration settings enabled=true",
        )
    };
    let brake = match summary["brake"]["held_by"].as_str() {
        None => Check::new("starts", Outcome::Good, "nothing holds them back", ""),
        Some(held_by) => Check::new(
            "starts",
            Outcome::Doubtful,
            format!("they are held back: {held_by}"),
            "registry-migration list --state import_aborted says why; it ends by itself",
        ),
    };
    let stuck = &summary["stuck"];
    let stuck = if number(&stuck["count"]) == 0 {
        Check::new("progress", Outcome::Good, "no repository seems stuck", "")
    } else {
        let detail = format!(
            "{} seem stuck, the longest for {}",
            number(&stuck["count"]),
            age(&stuck["oldest_seconds"])
        );
        Check::new(
            "progress",
            Outcome::Doubtful,
            detail,
            "registry-migration list --state importing --older-than 300, then explain each",
        )
    };
    let missing = number(&summary["tags"]["missing"]);
    let tags = if missing == 0 {
        Check::new("tags", Outcome::Good, "no repository has lost tags", "")
    } else {
        Check::new(
            "tags",
            Outcome::Bad,
            format!("{missing} repositories have lost tags: {}", cell(&summary["tags"]["sample"])),
            "compare their missing_tags (registry-migration explain), then repair or accept",
        )
    };
    vec![switch, brake, stuck, tags]
}

fn last_notification(checkup: &Value, now: Timestamp) -> Check {
    let came = checkup["notified_at"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    match came {
        Some(came) => {
            let age = Duration::try_from(now.duration_since(came)).unwrap_or(Duration::ZERO);
            Check::new(
                "notifications",
                Outcome::Good,
                format!("the registry's last came {} ago", in_words(age)),
                "",
            )
        }
        None => Check::new(
            "notifications",
            Outcome::Doubtful,
            "none has come yet, among the newest thousand changes",
            "registry-migration doctor --canary PATH migrates one repository and waits for its notification",
        ),
    }
}

/// Migrates one repository and waits for the registry's word.
async fn sing(driver: &Driver, path: &str, patience: Duration) -> Result<Check, OperateError> {
    const NAME: &str = "canary";
    let bad = |detail: String, advice| Ok(Check::new(NAME, Outcome::Bad, detail, advice));
    let begun = driver.change(Method::POST, &format!("/migrations/start/{path}"), None).await;
    let mut row = match begun {
        Ok(row) => row,
        Err(OperateError::Refused(refusal)) if refusal.status != 401 => {
            return bad(
                super::refused(&refusal),
                "choose a repository that is default or import_aborted, and switch migrations on",
            );
        }
        Err(error) => return Err(error),
    };
    let mut screen = Screen::default();
    let began = Instant::now();
    loop {
        match row["migration_state"].as_str().unwrap_or_default() {
            "import_done" => break,
            state @ ("import_aborted" | "import_skipped") => {
                screen.clear();
                let detail = format!("{path} is {state}: {}", cell(&row["detail"]));
                return bad(detail, "registry-migration history PATH shows what the registry said");
            }
            state if began.elapsed() >= patience => {
                screen.clear();
                let detail = format!("{path} is still {state} after {}", in_words(patience));
                return bad(
                    detail,
                    "registry-migration explain PATH. If the registry says it is complete, its notification does not \
                     come: compare importnotification.url and secret with the stack's outputs",
                );
            }
            state => {
                screen.step(began.elapsed().as_secs(), patience.as_secs(), &format!("{path} is {state}"))
            }
        }
        tokio::time::sleep(LOOK).await;
        let seen = row["version"].as_i64().unwrap_or(0).to_string();
        row = driver.get(&format!("/migrations/status/{path}"), &[("min_version", &seen)]).await?;
    }
    screen.clear();
    let version = row["version"].as_i64().unwrap_or(0).to_string();
    let mut by_notification = 0;
    driver
        .pages(&format!("/migrations/history/{path}"), &[("min_version", &version)], "transitions", |page| {
            by_notification +=
                page.iter().filter(|one| one["cause"] == "notification" && one["applied"] == true).count();
            Ok(true)
        })
        .await?;
    if by_notification > 0 {
        let took = in_words(began.elapsed());
        return Ok(Check::new(
            NAME,
            Outcome::Good,
            format!("{path} is migrated, by its notifications, in {took}"),
            "",
        ));
    }
    Ok(Check::new(
        NAME,
        Outcome::Doubtful,
        format!("{path} is done, and no notification was needed for it"),
        "choose a repository that the registry has to copy",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Outcome, database, door, last_notification, migration, registry, token};

    fn outcomes(checks: &[super::Check]) -> Vec<Outcome> {
        checks.iter().map(|check| check.outcome).collect()
    }

    #[test]
    fn tells_what_works_from_what_does_not() {
        use Outcome::{Bad, Doubtful, Good};
        let now = "2026-01-01T00:10:00Z".parse().unwrap();
        let healthy = json!({
            "at": "2026-01-01T00:10:01Z", "schema": "0018_b", "expected_schema": "0018_b", "served_by": "reader",
            "read_only": true, "heartbeat_at": "2026-01-01T00:09:30Z", "notified_at": "2026-01-01T00:09:00Z",
        });
        assert_eq!(outcomes(&database(&healthy, now)), [Good; 4]);
        assert_eq!(last_notification(&healthy, now).outcome, Good);
        for (member, value, expected) in [
            ("at", json!("2026-01-01T00:12:00Z"), [Doubtful, Good, Good, Good]),
            ("schema", json!("0017_a"), [Good, Bad, Good, Good]),
            ("schema", json!("0019_c"), [Good, Doubtful, Good, Good]),
            ("schema", json!(null), [Good, Doubtful, Good, Good]),
            ("served_by", json!("writer_reader_failed"), [Good, Good, Bad, Good]),
            ("served_by", json!("writer_reader_off"), [Good, Good, Doubtful, Good]),
            ("heartbeat_at", json!("2026-01-01T00:05:00Z"), [Good, Good, Good, Doubtful]),
            ("heartbeat_at", json!(null), [Good, Good, Good, Bad]),
        ] {
            let mut other = healthy.clone();
            other[member] = value.clone();
            let checks = database(&other, now);
            assert_eq!(outcomes(&checks), expected, "{member}: {value}");
            // Whoever reads that something is wrong reads what to do.
            let advised = checks.iter().all(|check| (check.outcome == Good) == check.advice.is_none());
            assert!(advised, "{checks:?}");
        }
        assert_eq!(
            [token(401), token(200), door(401), door(404)].map(|check| check.outcome),
            [Good, Bad, Good, Bad]
        );
        assert_eq!(last_notification(&json!({}), now).outcome, Doubtful);
        let refused =
            json!({"import": {"ok": false, "detail": "401"}, "catalogue": {"ok": true, "detail": "3"}});
        assert_eq!(outcomes(&registry(&refused)), [Bad, Good, Bad]);
        let off = json!({"enabled": false});
        let broken =
            json!({"brake": {"held_by": "breaker_open"}, "stuck": {"count": 1}, "tags": {"missing": 1}});
        assert_eq!(outcomes(&migration(&off, &broken)), [Doubtful, Doubtful, Doubtful, Bad]);
    }
}
