use secrecy::{ExposeSecret, SecretString};

use super::SecretError;
use crate::config::SecretArn;

/// Refuses what cannot be a value that a caller shows: a JSON object, as AWS's console stores what is entered as key and
/// value.
///
/// # Errors
/// [`SecretError::Form`] names the secret.
pub fn check_value(arn: &SecretArn, secret: &SecretString) -> Result<(), SecretError> {
    let is_object =
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(secret.expose_secret());
    if is_object.is_err() {
        return Ok(());
    }
    Err(SecretError::Form {
        arn: arn.clone(),
        reason: "is a JSON object (key and value): store the value alone, as plain text",
    })
}

#[cfg(test)]
mod tests {
    use super::check_value;

    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:notification";

    #[test]
    fn tells_a_value_from_what_the_console_stores() {
        for value in ["hunter2", "{hunter2", "12", "true", "\"hunter2\"", "[]"] {
            assert!(check_value(&ARN.parse().unwrap(), &value.to_owned().into()).is_ok(), "{value}");
        }
        for object in [r#"{"secret":"hunter2"}"#, "{}", "{\"hunter2\":\n{}}"] {
            let error =
                check_value(&ARN.parse().unwrap(), &object.to_owned().into()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the secret {ARN} is a JSON object")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
