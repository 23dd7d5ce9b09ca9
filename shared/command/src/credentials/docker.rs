//! Docker's configuration, and Podman's, which has the same form.

use std::path::{Path, PathBuf};

use super::file::{Configuration, of_file};
use super::{CredentialsError, Found, Login, helper};

/// Where configurations may be, in the order in which they are asked.
pub(super) fn configurations() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let docker = variable("DOCKER_CONFIG")
        .or_else(|| Some(variable("HOME")?.join(".docker")))
        .map(|folder| folder.join("config.json"));
    let podman = variable("REGISTRY_AUTH_FILE")
        .or_else(|| Some(variable("XDG_RUNTIME_DIR")?.join("containers/auth.json")));
    docker.into_iter().chain(podman).filter(|path| path.is_file()).collect()
}

/// What a configuration has for a host, itself or by its credential program. None: nothing.
pub(super) async fn look_up(path: &Path, host: &str) -> Result<Option<(Login, Found)>, CredentialsError> {
    let read = Configuration::read(path)?;
    if let Some(program) = read.program(host)
        && let Some(login) = helper::ask(program, host).await?
    {
        return Ok(Some((login, Found::Program(helper::name_of(program)))));
    }
    let Some(entry) = read.entry(host) else { return Ok(None) };
    let login = entry.login().map_err(|why| of_file(path, why))?;
    Ok(login.map(|login| (login, Found::Configuration(path.to_owned()))))
}
