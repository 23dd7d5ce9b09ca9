//! A file with credentials: `{"username":"…","password":"…"}`, `{"token":"…"}`, `{"identitytoken":"…"}`, or the form of Docker's
//! `config.json`, of which only `auths` is read.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{CredentialsError, Login};

/// What is known of one host, or of the one that a whole file is about.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    username: Option<String>,
    password: Option<SecretString>,
    auth: Option<SecretString>,
    token: Option<SecretString>,
    #[serde(alias = "identityToken", alias = "IdentityToken")]
    identitytoken: Option<SecretString>,
}

/// What of a configuration is of interest.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Configuration {
    pub(super) auths: Option<BTreeMap<String, Entry>>,
    #[serde(rename = "credsStore")]
    pub(super) store: Option<String>,
    #[serde(rename = "credHelpers")]
    pub(super) helpers: BTreeMap<String, String>,
    #[serde(flatten)]
    alone: Entry,
}

impl Configuration {
    pub(super) fn read(path: &Path) -> Result<Self, CredentialsError> {
        let text = std::fs::read_to_string(path).map_err(|error| of_file(path, error.to_string()))?;
        // serde's own words may quote what stands there.
        serde_json::from_str(&text).map_err(|error| {
            of_file(
                path,
                format!("line {}, column {}: not the JSON of credentials", error.line(), error.column()),
            )
        })
    }

    /// The entry for a host among `auths`, whose names may be addresses.
    pub(super) fn entry(&self, host: &str) -> Option<&Entry> {
        let auths = self.auths.as_ref()?;
        auths
            .get(host)
            .or_else(|| auths.iter().find(|(name, _)| host_of(name) == host).map(|(_, entry)| entry))
    }

    /// The credential program for a host.
    pub(super) fn program(&self, host: &str) -> Option<&str> {
        let own = self.helpers.iter().find(|(name, _)| host_of(name) == host).map(|(_, program)| program);
        own.or(self.store.as_ref()).map(String::as_str)
    }
}

/// `https://host/v1/` as `host`.
fn host_of(name: &str) -> &str {
    let rest = name.split_once("://").map_or(name, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

impl Entry {
    /// What it says. None: nothing, as where a credential program has it.
    pub(super) fn login(&self) -> Result<Option<Login>, &'static str> {
        if let Some(token) = given(self.identitytoken.as_ref()) {
            return Ok(Some(Login::Refresh(token)));
        }
        if let Some(token) = given(self.token.as_ref()) {
            return Ok(Some(Login::Token(token)));
        }
        if let Some(auth) = given(self.auth.as_ref()) {
            let decoded = STANDARD.decode(auth.expose_secret().trim()).map_err(|_| "`auth` is not base64")?;
            let text = String::from_utf8(decoded).map_err(|_| "`auth` is not UTF-8")?;
            let (user, password) = text.split_once(':').ok_or("`auth` is not user:password")?;
            return Ok(Some(Login::Basic {
                user: user.to_owned(),
                password: password.trim_end_matches('\0').into(),
            }));
        }
        match (&self.username, &self.password) {
            (Some(user), Some(password)) => {
                Ok(Some(Login::Basic { user: user.clone(), password: password.clone() }))
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err("`username` without `password`"),
            (None, Some(_)) => Err("`password` without `username`"),
        }
    }
}

fn given(secret: Option<&SecretString>) -> Option<SecretString> {
    secret.filter(|secret| !secret.expose_secret().is_empty()).cloned()
}

pub(super) fn of_file(path: &Path, why: impl Into<String>) -> CredentialsError {
    CredentialsError::File { path: path.to_owned(), why: why.into() }
}

/// Reads a file that was named for a registry: it has to have something for it.
pub(super) fn read(path: &Path, host: &str) -> Result<Login, CredentialsError> {
    let read = Configuration::read(path)?;
    let entry = if read.auths.is_some() { read.entry(host) } else { Some(&read.alone) };
    let login = entry.map(Entry::login).transpose().map_err(|why| of_file(path, why))?.flatten();
    login.ok_or_else(|| of_file(path, format!("it has nothing for {host}")))
}
