//! What changes repositories: one request for each, and each answer shown.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    OperateError,
    arguments::{Accept, Cancel, Connection, Reopen, Retry, Several, Skip},
    client::Driver,
    look::path,
    show::{self, cell, line, state},
};
use crate::{
    exit::Exit,
    screen::{Screen, note},
};

pub(super) async fn start(arguments: &Several, driver: &Driver) -> Result<Exit, OperateError> {
    each(driver, &arguments.connection, "start", &arguments.paths, None).await
}

pub(super) async fn retry(arguments: &Retry, driver: &Driver) -> Result<Exit, OperateError> {
    let mut paths = arguments.paths.clone();
    if arguments.all {
        let mut query = vec![("state", "import_aborted")];
        query.extend(arguments.prefix.as_deref().map(|prefix| ("prefix", prefix)));
        driver
            .pages("/migrations", &query, "repositories", |page| {
                paths.extend(page.iter().filter_map(|row| row["path"].as_str()).map(str::to_owned));
                Ok(true)
            })
            .await?;
    }
    each(driver, &arguments.connection, "retry", &paths, None).await
}

pub(super) async fn cancel(arguments: &Cancel, driver: &Driver) -> Result<Exit, OperateError> {
    let body = json!({ "force": arguments.force });
    each(driver, &arguments.connection, "cancel", &arguments.paths, Some(body)).await
}

pub(super) async fn skip(arguments: &Skip, driver: &Driver) -> Result<Exit, OperateError> {
    let body = json!({ "reason": arguments.reason });
    each(driver, &arguments.connection, "skip", &arguments.paths, Some(body)).await
}

pub(super) async fn accept(arguments: &Accept, driver: &Driver) -> Result<Exit, OperateError> {
    let body = json!({ "reason": arguments.reason });
    each(driver, &arguments.connection, "accept", &arguments.paths, Some(body)).await
}

pub(super) async fn reopen(arguments: &Reopen, driver: &Driver) -> Result<Exit, OperateError> {
    if !arguments.all {
        let body = arguments.reason.as_ref().map(|reason| json!({ "reason": reason }));
        return each(driver, &arguments.connection, "reopen", &arguments.paths, body).await;
    }
    let mut body = json!({ "state": arguments.state, "dry_run": !arguments.yes });
    for (name, value) in
        [("reason", &arguments.skipped), ("because", &arguments.reason), ("prefix", &arguments.prefix)]
    {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    let mut screen = Screen::default();
    let mut reopened = 0;
    loop {
        // At most a thousand at once.
        let answer = driver.change(Method::POST, "/migrations/reopen", Some(&body)).await?;
        let number = |name: &str| answer[name].as_u64().unwrap_or(0);
        reopened += number("reopened");
        screen.step(
            reopened,
            reopened + number("left"),
            &format!("{reopened} reopened, {} left", number("left")),
        );
        if arguments.yes && number("left") > 0 && number("reopened") > 0 {
            continue;
        }
        screen.clear();
        if arguments.connection.json {
            show::json(&answer)?;
        } else if arguments.yes {
            line(&format!("{reopened} reopened, {} left", number("left")))?;
        } else {
            line(&format!("{} would be reopened; with --yes they are", number("matching")))?;
        }
        return Ok(Exit::Done);
    }
}

/// Asks for one thing of each repository. One that is refused stops no other.
async fn each(
    driver: &Driver,
    connection: &Connection,
    what: &str,
    paths: &[String],
    body: Option<Value>,
) -> Result<Exit, OperateError> {
    let paths: Vec<_> = paths.iter().map(|text| path(text)).collect::<Result<_, _>>()?;
    let mut screen = Screen::default();
    let mut refused = 0;
    for (index, path) in paths.iter().enumerate() {
        if paths.len() > 1 {
            screen.step(index as u64, paths.len() as u64, &format!("{index} of {} asked for", paths.len()));
        }
        match driver.change(Method::POST, &format!("/migrations/{what}/{path}"), body.as_ref()).await {
            Ok(row) if connection.json => show::json(&row)?,
            Ok(row) => {
                let standing = &row["standing"];
                let standing =
                    if standing.is_null() { String::new() } else { format!(" ({})", cell(standing)) };
                let is = state(row["migration_state"].as_str().unwrap_or_default());
                line(&format!("{path} is {is}{standing}"))?;
            }
            Err(OperateError::Refused(refusal)) if refusal.status != 401 => {
                refused += 1;
                if connection.json {
                    let mut body = refusal.body.clone();
                    body["path"] = json!(path);
                    show::json(&body)?;
                } else {
                    screen.say(&format!("{path}: {}", super::refused(&refusal)));
                }
            }
            Err(error) => return Err(error),
        }
    }
    screen.clear();
    if paths.is_empty() {
        note("there is none");
    }
    if refused > 0 {
        note(&format!("{refused} of {} were refused", paths.len()));
    }
    Ok(if refused == 0 { Exit::Done } else { Exit::Loss })
}
