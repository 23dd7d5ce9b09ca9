//! `list`, `explain`, `history`: repositories, looked at.

use serde_json::Value;
use shared::migration::RepositoryPath;

use super::{
    OperateError,
    arguments::{List, One},
    client::Driver,
    show::{cell, json, line, state, table},
};
use crate::{exit::Exit, screen::Screen};

/// The path of a repository, as an address has it.
pub(super) fn path(text: &str) -> Result<RepositoryPath, OperateError> {
    RepositoryPath::parse(text).map_err(|error| OperateError::usage(format!("{text:?}: {error}")))
}

pub(super) async fn list(arguments: &List, driver: &Driver) -> Result<Exit, OperateError> {
    let older_than = arguments.older_than.map(|seconds| seconds.to_string());
    let query: Vec<(&str, &str)> = [
        ("state", arguments.state.as_deref()),
        ("prefix", arguments.prefix.as_deref()),
        ("older_than_seconds", older_than.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let most = arguments.limit.unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    let mut count = 0_usize;
    let mut screen = Screen::default();
    driver
        .pages("/migrations", &query, "repositories", |page| {
            let kept = page.into_iter().take(most - count);
            let before = count;
            for row in kept {
                count += 1;
                if arguments.connection.json {
                    json(&row)?;
                } else {
                    rows.push(summed_up(&row));
                }
            }
            if before > 0 {
                screen.step(count as u64, 0, &format!("{count} repositories read"));
            }
            Ok(count < most)
        })
        .await?;
    screen.clear();
    if !arguments.connection.json {
        for text in table(&["path", "state", "since", "retries", "why"], &rows) {
            line(&text)?;
        }
        line(&format!("{count} repositories"))?;
    }
    Ok(Exit::Done)
}

fn summed_up(row: &Value) -> Vec<String> {
    let why = [&row["skipped_reason"], &row["detail"]].map(cell);
    let why: Vec<&str> = why.iter().map(String::as_str).filter(|why| !matches!(*why, "-" | "")).collect();
    vec![
        cell(&row["path"]),
        state(row["migration_state"].as_str().unwrap_or_default()),
        cell(&row["state_since"]),
        cell(&row["retries_count"]),
        why.join(": "),
    ]
}

pub(super) async fn explain(arguments: &One, driver: &Driver) -> Result<Exit, OperateError> {
    let explained = driver.get(&format!("/migrations/explain/{}", path(&arguments.path)?), &[]).await?;
    if arguments.connection.json {
        json(&explained)?;
        return Ok(Exit::Done);
    }
    let (row, registry, expected) =
        (&explained["repository"], &explained["registry"], &explained["expected"]);
    line(&format!(
        "{} is {}",
        cell(&row["path"]),
        state(row["migration_state"].as_str().unwrap_or_default())
    ))?;
    let says = match (registry["answered"].as_bool(), registry["status"].is_null()) {
        (Some(true), false) => format!("the registry says {}", cell(&registry["status"])),
        (Some(true), true) => "the registry knows of no import".to_owned(),
        (Some(false) | None, _) => "the registry does not answer".to_owned(),
    };
    line(&says)?;
    let at = if expected["at"].is_null() {
        String::new()
    } else {
        format!(", not before {}", cell(&expected["at"]))
    };
    line(&format!("next: {}{at}", cell(&expected["next"])))?;
    line(&cell(&expected["text"]))?;
    for (name, value) in
        [("retries", &row["retries_count"]), ("last said", &row["detail"]), ("tags", &row["tags_check"])]
    {
        if !value.is_null() && value != "" && value != 0 {
            line(&format!("{name}: {}", cell(value)))?;
        }
    }
    Ok(Exit::Done)
}

pub(super) async fn history(arguments: &One, driver: &Driver) -> Result<Exit, OperateError> {
    let address = format!("/migrations/history/{}", path(&arguments.path)?);
    let mut rows = Vec::new();
    driver
        .pages(&address, &[], "transitions", |page| {
            for transition in page {
                if arguments.connection.json {
                    json(&transition)?;
                    continue;
                }
                let change = if transition["applied"] == true {
                    format!("{} > {}", cell(&transition["from_state"]), cell(&transition["to_state"]))
                } else {
                    format!("{} (ignored: {})", cell(&transition["to_state"]), cell(&transition["verdict"]))
                };
                rows.push(vec![
                    cell(&transition["created_at"]),
                    cell(&transition["event"]),
                    change,
                    cell(&transition["cause"]),
                    cell(&transition["operator"]),
                    cell(&transition["detail"]),
                ]);
            }
            Ok(true)
        })
        .await?;
    if !arguments.connection.json {
        for text in table(&["when", "event", "change", "cause", "who", "said"], &rows) {
            line(&text)?;
        }
    }
    Ok(Exit::Done)
}
