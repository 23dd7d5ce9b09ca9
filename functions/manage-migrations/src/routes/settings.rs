//! `GET /settings` and `PATCH /settings`.

use lambda_http::{Body, Response};
use serde::Serialize;
use shared::{
    migration::{Settings, SettingsChange},
    store::SettingsChanged,
    telemetry::as_text,
    web::{Problem, json_body, no_body},
};

use crate::deps::{Call, WRITER, acting_store};

#[derive(Serialize)]
struct Changed {
    changed: bool,
    #[serde(flatten)]
    settings: Settings,
}

/// The settings as the writer has them.
pub async fn show_settings(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    no_body(call.request)?;
    let settings = call.deps.store.settings(call.deadline()).await?;
    Ok(call.ok(WRITER, settings.ok_or_else(Problem::defect)?))
}

/// Changes what the body names, if the settings still are at the version that it names.
pub async fn change_settings(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let change: SettingsChange = json_body(call.request)?;
    let invalid =
        |error| Problem::bad_request(format!("the body's field {error}")).of_kind("invalid-setting");
    let change = change.checked().map_err(invalid)?;
    if change.is_empty() {
        return Err(Problem::bad_request("the body changes no setting"));
    }
    let changed = acting_store(call)?.change_settings(&change, call.deadline()).await?;
    let verdict = changed.as_ref().map(SettingsChanged::name);
    tracing::info!(change = as_text(&change), verdict, "changed the settings");
    match changed.ok_or_else(Problem::defect)? {
        SettingsChanged::Changed(settings) => Ok(call.ok(WRITER, Changed { changed: true, settings })),
        SettingsChanged::Unchanged(settings) => Ok(call.ok(WRITER, Changed { changed: false, settings })),
        SettingsChanged::Conflict(settings) => {
            let text = format!(
                "the settings have changed since (now version {}): read them again, then retry",
                settings.version
            );
            Err(Problem::conflict(text).of_kind("settings-changed").with("version", settings.version))
        }
    }
}
