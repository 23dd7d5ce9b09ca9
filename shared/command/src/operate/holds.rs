//! `hold` and `release`: which final steps wait.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    OperateError,
    arguments::{Hold, Release},
    client::Driver,
    show::{self, cell, line, table},
};
use crate::{exit::Exit, screen::note};

pub(super) async fn hold(arguments: &Hold, driver: &Driver) -> Result<Exit, OperateError> {
    let Some(body) = change(arguments)? else {
        let answer = driver.get("/holds", &[]).await?;
        return list(&answer, arguments.connection.json);
    };
    let answer = driver.change(Method::PUT, "/holds", Some(&body)).await?;
    say(&answer["hold"], arguments.connection.json, "")
}

pub(super) async fn release(arguments: &Release, driver: &Driver) -> Result<Exit, OperateError> {
    let prefix = arguments.prefix.as_deref().unwrap_or_default();
    let answer = driver.remove("/holds", &[("prefix", prefix)]).await?;
    say(&answer["hold"], arguments.connection.json, "removed: ")
}

/// What is to be held, or none where the holds are to be shown.
fn change(arguments: &Hold) -> Result<Option<Value>, OperateError> {
    let wants_nothing = !arguments.until_released
        && arguments.window.is_none()
        && arguments.priority.is_none()
        && arguments.reason.is_none();
    let prefix = match (&arguments.prefix, arguments.all) {
        (Some(prefix), _) => prefix.as_str(),
        (None, true) => "",
        (None, false) if wants_nothing => return Ok(None),
        (None, false) => return Err(OperateError::usage("whose final steps? Name a prefix, or --all")),
    };
    let until_released =
        arguments.until_released || (arguments.window.is_none() && arguments.priority.is_none());
    let window = arguments
        .window
        .as_ref()
        .map(|(from, until)| json!({ "from": from, "until": until, "zone": arguments.zone }));
    Ok(Some(json!({
        "prefix": prefix,
        "until_released": until_released,
        "window": window,
        "priority": arguments.priority,
        "reason": arguments.reason,
    })))
}

fn list(answer: &Value, is_json: bool) -> Result<Exit, OperateError> {
    if is_json {
        show::json(answer)?;
        return Ok(Exit::Done);
    }
    let holds = answer["holds"].as_array().map(Vec::as_slice).unwrap_or_default();
    if holds.is_empty() {
        note("there is none");
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = holds
        .iter()
        .map(|hold| {
            vec![
                named(hold),
                rule(hold),
                if hold["holding"] == true { "yes" } else { "no" }.to_owned(),
                cell(&hold["held"]),
                cell(&hold["left_over"]),
                cell(&hold["operator"]),
                cell(&hold["reason"]),
            ]
        })
        .collect();
    for text in table(&["prefix", "rule", "holding", "held", "left over", "set by", "reason"], &rows) {
        line(&text)?;
    }
    Ok(Exit::Done)
}

fn say(hold: &Value, is_json: bool, before: &str) -> Result<Exit, OperateError> {
    if is_json {
        show::json(hold)?;
    } else {
        line(&format!("{before}{}: {}", named(hold), rule(hold)))?;
    }
    Ok(Exit::Done)
}

fn named(hold: &Value) -> String {
    match hold["prefix"].as_str() {
        None | Some("") => "every repository".to_owned(),
        Some(prefix) => format!("{}/", show::plain(prefix)),
    }
}

/// What a hold asks for, in words.
fn rule(hold: &Value) -> String {
    let mut parts = Vec::new();
    if hold["until_released"] == true {
        parts.push("held until released".to_owned());
    }
    if let Some(window) = hold["window"].as_object() {
        let time = |name: &str| cell(&window[name]);
        parts.push(format!("only from {} to {} in {}", time("from"), time("until"), time("zone")));
    }
    if !hold["priority"].is_null() {
        parts.push(format!("priority {}", cell(&hold["priority"])));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{change, named, rule};
    use crate::operate::arguments::Hold;

    fn asked(words: &[&str]) -> Result<Option<Value>, String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            hold: Hold,
        }
        let line = <Line as clap::Parser>::try_parse_from([&["hold"], words].concat());
        change(&line.map_err(|error| error.to_string())?.hold).map_err(|error| error.to_string())
    }

    #[test]
    fn asks_for_what_the_words_say() {
        let hold = |prefix: &str, until_released: bool, window: Value, priority: Value| {
            Ok(Some(json!({
                "prefix": prefix,
                "until_released": until_released,
                "window": window,
                "priority": priority,
                "reason": null,
            })))
        };
        let night = json!({ "from": "22:00", "until": "04:00", "zone": "Europe/Berlin" });
        for (words, expected) in [
            (vec![], Ok(None)),
            (vec!["team/"], hold("team/", true, Value::Null, Value::Null)),
            (vec!["--all"], hold("", true, Value::Null, Value::Null)),
            (
                vec!["team", "--window", "22:00-04:00", "--zone", "Europe/Berlin"],
                hold("team", false, night, Value::Null),
            ),
            (vec!["team", "--priority", "7"], hold("team", false, Value::Null, json!(7))),
            (vec!["team", "--priority", "7", "--until-released"], hold("team", true, Value::Null, json!(7))),
        ] {
            assert_eq!(asked(&words), expected, "{words:?}");
        }
        for words in [vec!["--reason", "x"], vec!["team", "--window", "22:00-04:00"], vec!["team", "--all"]] {
            assert!(asked(&words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn says_what_a_hold_asks_for() {
        let hold = json!({
            "prefix": "team",
            "until_released": true,
            "window": { "from": "22:00", "until": "04:00", "zone": "UTC" },
            "priority": 3,
        });
        assert_eq!(named(&hold), "team/");
        assert_eq!(rule(&hold), "held until released, only from 22:00 to 04:00 in UTC, priority 3");
        assert_eq!(named(&json!({ "prefix": "" })), "every repository");
    }
}
