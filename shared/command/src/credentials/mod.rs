//! As whom a registry is spoken to. Credentials come from a file, from the environment, or from where Docker and Podman keep
//! them; never from an argument or a URL, which other users of the machine can see.

mod docker;
mod file;
mod helper;

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// As whom.
#[derive(Clone, Debug)]
pub enum Login {
    /// As nobody.
    Anonymous,
    /// By a name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// By a bearer token that the registry takes as it is.
    Token(SecretString),
    /// By a refresh token that the realm exchanges: Docker's `identitytoken`.
    Refresh(SecretString),
}

/// Where credentials were found, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nowhere.
    Nowhere,
    /// In the file that was named.
    File(PathBuf),
    /// In variables of the environment.
    Environment(&'static str),
    /// In Docker's or Podman's configuration.
    Configuration(PathBuf),
    /// By a credential program.
    Program(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("nobody (no credentials were found)"),
            Self::File(path) | Self::Configuration(path) => write!(f, "credentials from {}", path.display()),
            Self::Environment(name) => write!(f, "credentials from {name}"),
            Self::Program(name) => write!(f, "credentials from {name}"),
        }
    }
}

/// Credentials cannot be read. No secret stands in it.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The environment.
    #[error("{0}")]
    Environment(String),
    /// A credential program.
    #[error("{program}: {why}")]
    Program {
        /// Which.
        program: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The two sides, by the names of their variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The source.
    From,
    /// The target.
    To,
}

impl Side {
    const fn variables(self) -> [&'static str; 3] {
        match self {
            Self::From => ["REGISTRY_FROM_USERNAME", "REGISTRY_FROM_PASSWORD", "REGISTRY_FROM_TOKEN"],
            Self::To => ["REGISTRY_TO_USERNAME", "REGISTRY_TO_PASSWORD", "REGISTRY_TO_TOKEN"],
        }
    }
}

/// Finds the credentials for the registry at `host` (with its port, if it has one), in this order: the file, the environment,
/// Docker's configuration, Podman's.
///
/// # Errors
/// [`CredentialsError`] where some are named and cannot be read.
pub async fn find(side: Side, host: &str, file: Option<&Path>) -> Result<(Login, Found), CredentialsError> {
    if let Some(path) = file {
        return Ok((file::read(path, host)?, Found::File(path.to_owned())));
    }
    if let Some(found) = of_environment(side)? {
        return Ok(found);
    }
    for path in docker::configurations() {
        if let Some(found) = docker::look_up(&path, host).await? {
            return Ok(found);
        }
    }
    Ok((Login::Anonymous, Found::Nowhere))
}

fn of_environment(side: Side) -> Result<Option<(Login, Found)>, CredentialsError> {
    let [user_name, password_name, token_name] = side.variables();
    let read = |name: &'static str| match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(CredentialsError::Environment(format!("{name} is not UTF-8")))
        }
    };
    match (read(user_name)?, read(password_name)?, read(token_name)?) {
        (None, None, None) => Ok(None),
        (None, None, Some(token)) => Ok(Some((Login::Token(token.into()), Found::Environment(token_name)))),
        (Some(user), Some(password), None) => {
            let login = Login::Basic { user, password: password.into() };
            Ok(Some((login, Found::Environment(user_name))))
        }
        _ => Err(CredentialsError::Environment(format!(
            "set {user_name} and {password_name}, or {token_name} alone"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::{CredentialsError, Found, Login, Side, find};

    /// Finds with an environment of its own: nothing of the machine's is read.
    fn found(
        side: Side,
        host: &str,
        file: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<(Login, Found), CredentialsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = file.map(|text| {
            let path = folder.path().join("auth.json");
            fs::write(&path, text).unwrap();
            path
        });
        let mut environment: Vec<(String, Option<String>)> = ["FROM", "TO"]
            .iter()
            .flat_map(|side| {
                ["USERNAME", "PASSWORD", "TOKEN"].map(|name| (format!("REGISTRY_{side}_{name}"), None))
            })
            .chain(
                ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"]
                    .map(|name| (name.to_owned(), None)),
            )
            .chain([("HOME".to_owned(), Some(folder.path().display().to_string()))])
            .collect();
        environment
            .extend(variables.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        temp_env::with_vars(environment, || runtime.block_on(find(side, host, path.as_deref())))
    }

    /// A login in one line.
    fn shown(login: &Login) -> String {
        match login {
            Login::Anonymous => "anonymous".to_owned(),
            Login::Basic { user, password } => format!("{user}:{}", password.expose_secret()),
            Login::Token(token) => format!("token {}", token.expose_secret()),
            Login::Refresh(token) => format!("refresh {}", token.expose_secret()),
        }
    }

    #[test]
    fn prefers_the_file_then_the_environment_then_docker() {
        let docker = tempfile::tempdir().unwrap();
        // "docker:kept"
        let config = r#"{"auths":{"r.example":{"auth":"ZG9ja2VyOmtlcHQ="}}}"#;
        fs::write(docker.path().join("config.json"), config).unwrap();
        let docker = docker.path().display().to_string();
        let all = [
            ("DOCKER_CONFIG", docker.as_str()),
            ("REGISTRY_FROM_USERNAME", "env"),
            ("REGISTRY_FROM_PASSWORD", "secret"),
        ];
        let file = Some(r#"{"username":"file","password":"given"}"#);
        let login = |result: Result<(Login, Found), CredentialsError>| shown(&result.unwrap().0);
        assert_eq!(login(found(Side::From, "r.example", file, &all)), "file:given");
        assert_eq!(login(found(Side::From, "r.example", None, &all)), "env:secret");
        // The other side has variables of its own.
        assert_eq!(login(found(Side::To, "r.example", None, &all)), "docker:kept");
        assert_eq!(login(found(Side::To, "other.example", None, &all)), "anonymous");
        let (login, found) = found(Side::To, "r.example", None, &[("REGISTRY_TO_TOKEN", "t")]).unwrap();
        assert_eq!((shown(&login).as_str(), found), ("token t", Found::Environment("REGISTRY_TO_TOKEN")));
    }

    #[test]
    fn refuses_half_a_login_in_the_environment() {
        for variables in [
            &[("REGISTRY_TO_USERNAME", "u")][..],
            &[("REGISTRY_TO_PASSWORD", "p")],
            &[("REGISTRY_TO_USERNAME", "u"), ("REGISTRY_TO_PASSWORD", "p"), ("REGISTRY_TO_TOKEN", "t")],
        ] {
            let error = found(Side::To, "r.example", None, variables).unwrap_err().to_string();
            assert!(error.contains("set REGISTRY_TO_USERNAME and REGISTRY_TO_PASSWORD"), "{error}");
        }
    }

    #[test]
    fn reads_every_form_of_a_file_for_the_host_alone() {
        for (text, expected) in [
            (r#"{"username":"u","password":"p"}"#, "u:p"),
            (r#"{"token":"t"}"#, "token t"),
            (r#"{"identitytoken":"i"}"#, "refresh i"),
            (r#"{"auths":{"r.example:5000":{"auth":"dTpwOnE="}}}"#, "u:p:q"),
            (r#"{"auths":{"https://r.example:5000/v1/":{"username":"u","password":"p"}}}"#, "u:p"),
            (r#"{"auths":{"r.example:5000":{"auth":"dTpw","identitytoken":"i"}}}"#, "refresh i"),
        ] {
            let (login, _) = found(Side::From, "r.example:5000", Some(text), &[]).unwrap();
            assert_eq!(shown(&login), expected, "{text}");
        }
        let error =
            found(Side::From, "r.example", Some(r#"{"auths":{"r.example:5000":{"auth":"dTpw"}}}"#), &[]);
        assert!(error.unwrap_err().to_string().ends_with("it has nothing for r.example"));
    }

    #[test]
    fn tells_of_an_unreadable_file_without_its_secrets() {
        for text in [
            "hunter2",
            r#"{"username":"u","pasword":"hunter2"}"#,
            r#"{"username":"hunter2"}"#,
            r#"{"auths":{"r.example":{"auth":"hunter2 is no base64"}}}"#,
            r#"{"auths":{"r.example":{"auth":"aHVudGVyMg=="}}}"#,
            r#"["hunter2"]"#,
        ] {
            let error = found(Side::From, "r.example", Some(text), &[]).unwrap_err();
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(!shown.contains("hunter2"), "{shown}");
                assert!(shown.contains("auth.json"), "{shown}");
            }
        }
    }

    #[test]
    fn asks_dockers_credential_programs() {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str, script: &str| {
            let path = folder.path().join(format!("docker-credential-{name}"));
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let answer = r#"[ "$1" = get ] || exit 9; read -r host; echo '{"ServerURL":"'"$host"'","Username":"'"$host"'","Secret":"s"}'"#;
        program("store", answer);
        program("special", &answer.replace(r#"","Secret"#, r#"!","Secret"#));
        program("token", r#"echo '{"Username":"<token>","Secret":"refresh-me"}'"#);
        program("empty", "echo 'credentials not found in native keychain'; exit 1");
        program("broken", "echo hunter2; echo hunter2 >&2; exit 3");
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let ask = |config: &str, host: &str| {
            fs::write(folder.path().join("config.json"), config).unwrap();
            let variables = [("DOCKER_CONFIG", folder.path().display().to_string()), ("PATH", path.clone())];
            let variables: Vec<(&str, &str)> =
                variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            found(Side::From, host, None, &variables)
        };
        let config = r#"{"credsStore":"store","credHelpers":{"special.example":"special","t.example":"token","e.example":"empty","b.example":"broken"},"auths":{"r.example":{}}}"#;
        let login = |host: &str| shown(&ask(config, host).unwrap().0);
        assert_eq!(login("r.example"), "r.example:s");
        assert_eq!(login("special.example"), "special.example!:s");
        assert_eq!(login("t.example"), "refresh refresh-me");
        assert_eq!(login("e.example"), "anonymous");
        let error = ask(config, "b.example").unwrap_err().to_string();
        assert!(error.starts_with("docker-credential-broken: ") && !error.contains("hunter2"), "{error}");
        let missing = ask(r#"{"credsStore":"no-such-program"}"#, "r.example").unwrap_err().to_string();
        assert!(missing.starts_with("docker-credential-no-such-program: "), "{missing}");
    }

    #[test]
    fn runs_no_program_by_a_path() {
        for name in ["../store", "a/b", "a b", "", "a;b"] {
            let docker = tempfile::tempdir().unwrap();
            let config = format!(r#"{{"credHelpers":{{"r.example":{name:?}}}}}"#);
            fs::write(docker.path().join("config.json"), config).unwrap();
            let variables = [("DOCKER_CONFIG", docker.path().to_str().unwrap())];
            let error = found(Side::From, "r.example", None, &variables).unwrap_err().to_string();
            assert!(error.contains("is named by letters"), "{name}: {error}");
        }
    }

    #[test]
    fn shows_no_secret_when_a_login_is_debugged() {
        let (login, _) =
            found(Side::From, "r", Some(r#"{"username":"u","password":"hunter2"}"#), &[]).unwrap();
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
