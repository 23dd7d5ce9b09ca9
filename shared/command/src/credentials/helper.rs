//! Docker's credential programs: `docker-credential-NAME get` reads a host and answers JSON.

use std::process::Stdio;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{CredentialsError, Login};

/// Some ask a person to unlock a key.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the name of a user says where the secret is a refresh token.
const REFRESH: &str = "<token>";

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: SecretString,
}

pub(super) fn name_of(program: &str) -> String {
    format!("docker-credential-{program}")
}

/// What the program has for the host. None: nothing. What it says is not repeated: a secret may stand in it.
pub(super) async fn ask(program: &str, host: &str) -> Result<Option<Login>, CredentialsError> {
    let name = name_of(program);
    let failed = |why: String| CredentialsError::Program { program: name.clone(), why };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if program.is_empty() || !program.chars().all(is_plain) {
        return Err(failed("a credential program is named by letters, digits, dots and dashes".to_owned()));
    }
    let mut child = Command::new(&name)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let input = child.stdin.take();
    let exchange = async {
        if let Some(mut input) = input {
            // One that does not read has answered by itself.
            let _ = input.write_all(format!("{host}\n").as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(PATIENCE, exchange).await;
    let output = output.map_err(|_| failed(format!("it does not answer within {} s", PATIENCE.as_secs())))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(failed(format!("it failed ({})", output.status)));
    }
    let answer: Answer = serde_json::from_str(&said)
        .map_err(|_| failed("its answer is not JSON with Username and Secret".to_owned()))?;
    if answer.secret.expose_secret().is_empty() {
        return Ok(None);
    }
    Ok(Some(match answer.user.as_str() {
        REFRESH => Login::Refresh(answer.secret),
        _ => Login::Basic { user: answer.user, password: answer.secret },
    }))
}
