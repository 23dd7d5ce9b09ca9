//! `settings`: shown, or changed.

use reqwest::Method;
use serde_json::{Map, Value};

use super::{
    OperateError,
    arguments::Settings,
    client::Driver,
    show::{cell, json, line, table},
};
use crate::exit::Exit;

pub(super) async fn settings(arguments: &Settings, driver: &Driver) -> Result<Exit, OperateError> {
    if arguments.changes.is_empty() {
        let settings = driver.get("/settings", &[]).await?;
        return show(&settings, arguments.connection.json);
    }
    let change = change(&arguments.changes)?;
    let before = driver.get("/settings", &[]).await?;
    let names: Vec<String> = change.keys().cloned().collect();
    let mut body = Value::Object(change);
    // Somebody may change them at this moment, too.
    body["version"] = before["version"].clone();
    let after = driver.change(Method::PATCH, "/settings", Some(&body)).await?;
    if arguments.connection.json {
        json(&after)?;
        return Ok(Exit::Done);
    }
    for name in names {
        line(&format!("{name}: {} (it was {})", cell(&after[&name]), cell(&before[&name])))?;
    }
    Ok(Exit::Done)
}

fn show(settings: &Value, is_json: bool) -> Result<Exit, OperateError> {
    if is_json {
        json(settings)?;
        return Ok(Exit::Done);
    }
    let members = settings.as_object().into_iter().flatten();
    let rows: Vec<Vec<String>> = members
        .filter(|(name, _)| *name != "served_by")
        .map(|(name, value)| vec![name.clone(), cell(value)])
        .collect();
    for text in table(&["setting", "value"], &rows) {
        line(&text)?;
    }
    Ok(Exit::Done)
}

/// The change that `NAME=VALUE` words ask for. A value that is no JSON is a word.
fn change(words: &[String]) -> Result<Map<String, Value>, OperateError> {
    let mut change = Map::new();
    for word in words {
        let Some((name, value)) = word.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(OperateError::usage(format!("{word:?} is no change: write NAME=VALUE")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        if change.insert(name.to_owned(), value).is_some() {
            return Err(OperateError::usage(format!("{name} is changed twice")));
        }
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::change;

    #[test]
    fn reads_values_as_json_or_as_words() {
        let words =
            ["enabled=true", "capacity=8", "created_before=2026-01-01T00:00:00Z", r#"target_plans=["a=b"]"#];
        let read = change(&words.map(str::to_owned)).unwrap();
        let meant = json!({
            "enabled": true, "capacity": 8, "created_before": "2026-01-01T00:00:00Z", "target_plans": ["a=b"],
        });
        assert_eq!(Value::Object(read), meant);
        for words in [vec!["enabled"], vec!["=1"], vec!["capacity=1", "capacity=2"]] {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            assert!(change(&words).is_err(), "{words:?}");
        }
    }
}
