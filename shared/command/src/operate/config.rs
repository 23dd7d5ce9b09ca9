//! Where the driver is, and as whom it is asked: by options, the environment and a file.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::OperateError;
use super::arguments::Connection;
use crate::arguments::is_here;

/// The variable that has the token itself.
const TOKEN: &str = "REGISTRY_MIGRATION_TOKEN";

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    api: Option<String>,
    token_file: Option<PathBuf>,
    operator: Option<String>,
    ca: Option<PathBuf>,
}

/// What there is to know before the driver is asked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The driver's address.
    pub api: Url,
    /// The operators' token.
    pub token: SecretString,
    /// Who asks.
    pub operator: Option<String>,
    /// Whom to trust, if not the public authorities.
    pub ca: Option<PathBuf>,
}

impl Config {
    /// Puts the options together with the environment and the file.
    ///
    /// # Errors
    /// Where something is missing or cannot be read, in words that repeat no secret.
    pub fn read(connection: &Connection) -> Result<Self, OperateError> {
        let file = read_file(connection.config.as_deref())?;
        let api = connection.api.clone().or(file.api).ok_or_else(|| {
            OperateError::usage(
                "where is the driver? Give --api, REGISTRY_MIGRATION_API, or `api` in the configuration file: the \
                 stack's output ApiUrl",
            )
        })?;
        let api = address(&api, connection.insecure_api)?;
        let token_file = connection.token_file.clone().or(file.token_file);
        let token = read_token(connection.token_file.is_some(), token_file.as_deref())?;
        let operator = connection.operator.clone().or(file.operator);
        Ok(Self { api, token, operator, ca: connection.ca.clone().or(file.ca) })
    }
}

fn read_file(named: Option<&Path>) -> Result<File, OperateError> {
    let usual = || {
        let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = home("XDG_CONFIG_HOME").or_else(|| Some(home("HOME")?.join(".config")))?;
        Some(base.join("registry-migration/config.json"))
    };
    let Some(path) = named.map(Path::to_owned).or_else(usual) else { return Ok(File::default()) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(File::default());
        }
        Err(error) => return Err(OperateError::usage(format!("{} cannot be read: {error}", path.display()))),
    };
    // Where it is wrong, and not what stands there: somebody may have put a token into it.
    serde_json::from_str(&text).map_err(|error| {
        OperateError::usage(format!(
            "{} is no configuration (line {}): it is an object with api, token_file, operator and ca, or some of them",
            path.display(),
            error.line()
        ))
    })
}

/// The driver's address, without what stands after the host.
fn address(text: &str, is_allowed: bool) -> Result<Url, OperateError> {
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(mut url) = url.filter(|url| url.host().is_some()) else {
        return Err(OperateError::usage("--api is no address: write https://api.example"));
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(OperateError::usage(
            "--api has more than an address: the token comes from a file or the environment",
        ));
    }
    if url.scheme() == "http" && !is_here(&url) && !is_allowed {
        return Err(OperateError::usage(
            "--api is http, and not on this machine: who listens reads the token. Use https, or allow it with --insecure-api",
        ));
    }
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// The token: of the file that an option or its variable names, of the variable, of the file that the configuration names.
fn read_token(is_given: bool, file: Option<&Path>) -> Result<SecretString, OperateError> {
    let of_environment = || std::env::var(TOKEN).ok().filter(|token| !token.trim().is_empty());
    let token = match file {
        Some(file) if is_given => read(file)?,
        Some(file) => of_environment().map_or_else(|| read(file), Ok)?,
        None => of_environment().ok_or_else(|| {
            OperateError::usage(
                "the operators' token is missing: put it into a file and name that with --token-file, or into \
                 REGISTRY_MIGRATION_TOKEN",
            )
        })?,
    };
    let token = token.trim();
    if token.is_empty() || token.contains(|c: char| c.is_control() || !c.is_ascii()) {
        return Err(OperateError::usage(
            "the operators' token is no token: it is empty, or has several lines",
        ));
    }
    Ok(SecretString::from(token))
}

fn read(file: &Path) -> Result<String, OperateError> {
    std::fs::read_to_string(file).map_err(|error| {
        OperateError::usage(format!("the token in {} cannot be read: {error}", file.display()))
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use secrecy::ExposeSecret;

    use super::{Config, Connection, address};

    const NO_TOKEN: Option<&str> = None;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn prefers_options_to_the_environment_to_the_file() {
        let (_a, token) = file("of-the-file\n");
        let (_b, config) = file(
            &serde_json::json!({"api": "https://file.example", "token_file": token, "operator": "ann"})
                .to_string(),
        );
        let plain = Connection { config: Some(config), ..Connection::default() };
        temp_env::with_var("REGISTRY_MIGRATION_TOKEN", NO_TOKEN, || {
            let read = Config::read(&plain).unwrap();
            assert_eq!(
                (read.api.as_str(), read.token.expose_secret(), read.operator.as_deref()),
                ("https://file.example/", "of-the-file", Some("ann"))
            );
        });
        temp_env::with_var("REGISTRY_MIGRATION_TOKEN", Some("of-the-environment"), || {
            assert_eq!(Config::read(&plain).unwrap().token.expose_secret(), "of-the-environment");
            let named = Connection {
                api: Some("https://option.example".to_owned()),
                token_file: Some(token.clone()),
                operator: Some("bob".to_owned()),
                ..plain.clone()
            };
            let read = Config::read(&named).unwrap();
            assert_eq!(
                (read.api.as_str(), read.token.expose_secret(), read.operator.as_deref()),
                ("https://option.example/", "of-the-file", Some("bob"))
            );
        });
    }

    #[test]
    fn says_what_is_missing_and_repeats_no_secret() {
        let (_a, config) = file(r#"{"api": "https://file.example", "token": "hunter2"}"#);
        let (_b, empty) = file("{}");
        let with = |config: PathBuf, api: Option<&str>| Connection {
            config: Some(config),
            api: api.map(str::to_owned),
            ..Connection::default()
        };
        temp_env::with_var("REGISTRY_MIGRATION_TOKEN", NO_TOKEN, || {
            for (connection, says) in [
                (with(config, None), "token_file"),
                (with(empty.clone(), None), "--api"),
                (with(empty.clone(), Some("https://api.example")), "REGISTRY_MIGRATION_TOKEN"),
                (with("/nonexistent".into(), None), "/nonexistent"),
            ] {
                let error = Config::read(&connection).unwrap_err().to_string();
                assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
            }
        });
        temp_env::with_var("REGISTRY_MIGRATION_TOKEN", Some("hunter2\nhunter3"), || {
            let error = Config::read(&with(empty, Some("https://api.example"))).unwrap_err().to_string();
            assert!(!error.contains("hunter"), "{error}");
        });
    }

    #[test]
    fn sends_the_token_over_http_only_on_this_machine() {
        for (text, is_allowed, url) in [
            ("https://api.example", false, Some("https://api.example/")),
            ("https://api.example/stage", false, Some("https://api.example/stage/")),
            ("http://127.0.0.1:9000", false, Some("http://127.0.0.1:9000/")),
            ("http://api.example", false, None),
            ("http://api.example", true, Some("http://api.example/")),
            ("https://ann:hunter2@api.example", false, None),
            ("api.example", false, None),
            ("ftp://api.example", false, None),
        ] {
            let read = address(text, is_allowed).ok();
            assert_eq!(read.as_ref().map(url::Url::as_str), url, "{text}");
        }
    }
}
