//! What an operator does: makes the registry's repositories known, and lets their migrations begin.

use anyhow::{Context, ensure};
use local::Client;
use reqwest::Method;
use serde_json::{Value, json};

/// Registers everything that the registry's catalogue lists, call after call from where the last one came to.
/// How many they were.
///
/// # Errors
/// When a call fails, or a name is one that the driver cannot know a repository by.
pub(crate) async fn register_catalogue(client: &Client) -> anyhow::Result<usize> {
    let mut registered = 0;
    let mut body = json!({});
    loop {
        let reply = call(client, Method::POST, "/repositories/from-catalog", &body).await?;
        let refused = reply["refused"].as_array().context("nothing about refused names")?;
        ensure!(refused.is_empty(), "these cannot be registered: {refused:?}");
        registered += reply["registered"].as_u64().context("nothing about what was registered")?;
        match &reply["next"] {
            Value::Null => return Ok(registered.try_into()?),
            next => body = json!({"after": next}),
        }
    }
}

/// Changes settings; `enabled` among them is what everything waits for.
///
/// # Errors
/// When they are refused.
pub(crate) async fn change_settings(client: &Client, changes: &Value) -> anyhow::Result<()> {
    call(client, Method::PATCH, "/settings", changes).await?;
    Ok(())
}

async fn call(client: &Client, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = client.as_operator(method, path).json(body).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status == 200, "{path}: {status} {text}");
    serde_json::from_str(&text).with_context(|| format!("{path} answered {text}"))
}
