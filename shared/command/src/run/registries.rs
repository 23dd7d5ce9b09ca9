//! The two registries: where they are, as whom they are spoken to, what they list.

use std::time::Duration;

use oci::{Cause, Client, ClientConfig, Credentials, Login as Asked, Name, Profile};
use tokio::time::Instant;
use url::Url;

use super::{RunError, access, limiting};
use crate::arguments::{Kind, MigrationArguments, address, host_and_port};
pub(super) use crate::credentials::Side;
use crate::credentials::{self, Found, Login};
use crate::limits::{Limits, SideLimits};
use crate::names::Rules;
use crate::plan::SideView;

/// How long a registry has for its first answers.
const TO_ANSWER: Duration = Duration::from_secs(60);
/// How long a whole catalogue may take.
const TO_LIST: Duration = Duration::from_secs(600);

/// Reads both addresses.
pub(super) fn addresses(arguments: &MigrationArguments) -> Result<(Url, Url), RunError> {
    let from = address("--from", &arguments.from, "--insecure-from", arguments.insecure_from);
    let to = address("--to", &arguments.to, "--insecure-to", arguments.insecure_to);
    Ok((from.map_err(RunError::usage)?, to.map_err(RunError::usage)?))
}

/// Finds both logins.
pub(super) async fn logins(
    arguments: &MigrationArguments,
    from: &Url,
    to: &Url,
) -> Result<[(Login, Found); 2], RunError> {
    let find = async |side, url, file: &Option<std::path::PathBuf>| {
        credentials::find(side, &host_and_port(url), file.as_deref()).await.map_err(RunError::usage)
    };
    Ok([find(Side::From, from, &arguments.from_auth).await?, find(Side::To, to, &arguments.to_auth).await?])
}

/// Both, spoken to.
pub(super) struct Registries {
    pub(super) source: Client,
    pub(super) target: Client,
    /// How the target's client is made, but for what is found by asking.
    target_config: ClientConfig,
    found: [Found; 2],
    realms: [Option<Url>; 2],
    /// Requests to the source before the plan.
    pub(super) limits: Limits,
}

impl Registries {
    /// Asks both whether they are registries and take the credentials.
    pub(super) async fn connect(
        arguments: &MigrationArguments,
        from: Url,
        to: Url,
        [(from_login, from_found), (to_login, to_found)]: [(Login, Found); 2],
        limits: Limits,
    ) -> Result<Self, RunError> {
        let source_config = ClientConfig {
            profile: arguments.from_profile.map_or(Profile::Other, profile),
            access: access(Side::From),
            credentials: credentials_of(from_login),
            realms: arguments.from_realm.clone(),
            authorities: arguments.from_ca.clone(),
            insecure: arguments.insecure_from,
            limits: limiting::of_client(&limits.from),
            ..ClientConfig::new(from)
        };
        let target_config = ClientConfig {
            profile: arguments.to_profile.map_or(Profile::Other, profile),
            access: access(Side::To),
            credentials: credentials_of(to_login),
            realms: arguments.to_realm.clone(),
            authorities: arguments.to_ca.clone(),
            insecure: arguments.insecure_to,
            limits: limiting::of_client(&limits.to),
            ..ClientConfig::new(to)
        };
        let client = |side: Side, config: ClientConfig| {
            Client::new(config).map_err(|error| RunError::Usage(format!("{side}: {error}")))
        };
        let source = client(Side::From, source_config)?;
        let target = client(Side::To, target_config.clone())?;
        let realms = [check(Side::From, &source).await?, check(Side::To, &target).await?];
        Ok(Self { source, target, target_config, found: [from_found, to_found], realms, limits })
    }

    /// What goes: the source's names and the target's, how many are left out, and what is listed and no name.
    pub(super) async fn choose(
        &self,
        rules: &Rules,
    ) -> Result<(Vec<(Name, Name)>, usize, Vec<String>), RunError> {
        let listed = self.source.catalogue(Instant::now() + TO_LIST).await;
        let (names, unreadable): (Vec<String>, Vec<String>) = match listed {
            Ok(page) => (page.items.iter().map(|name| name.as_str().to_owned()).collect(), page.unreadable),
            // Public registries have no list. Whoever names repositories needs none.
            Err(error) if has_no_list(error.cause) => match rules.named() {
                Some(names) => (names, Vec::new()),
                None => {
                    return Err(RunError::Unusable(format!(
                        "the source does not list its repositories ({error}): name each with --only, without globs"
                    )));
                }
            },
            Err(error) => return Err(RunError::Unusable(format!("the source's list: {error}"))),
        };
        let chosen = rules.choose(names.iter().map(String::as_str)).map_err(RunError::usage)?;
        if self.source.url() == self.target.url()
            && let Some((same, _)) = chosen.names.iter().find(|(from, to)| from == to)
        {
            return Err(RunError::Usage(format!("{same} would be copied onto itself: rename it")));
        }
        let mut names = Vec::with_capacity(chosen.names.len());
        for (source, target) in chosen.names {
            let parse = |name: &str| {
                Name::parse(name).map_err(|error| RunError::Usage(format!("{name:?} is {error}")))
            };
            names.push((parse(&source)?, parse(&target)?));
        }
        Ok((names, chosen.excluded, unreadable))
    }

    /// Finds out what kind of registry the target is, where nobody has said it.
    pub(super) async fn recognise(
        &mut self,
        arguments: &MigrationArguments,
        name: &Name,
    ) -> Result<(), RunError> {
        if arguments.to_profile.is_none() {
            self.find_out(name).await?;
        }
        let profile = self.target.profile();
        if arguments.delete_removed && !profile.deletes_tags() {
            return Err(RunError::Usage(format!(
                "--delete-removed: the target ({}) is not known to remove a tag without all other tags of the same image, so \
                 nothing is removed there. Leave the option out",
                profile.name()
            )));
        }
        Ok(())
    }

    async fn find_out(&mut self, name: &Name) -> Result<(), RunError> {
        let found = self.target.recognise(name, Instant::now() + TO_ANSWER).await;
        let profile = found.map_err(|error| RunError::Unusable(format!("the target: {error}")))?;
        if !profile.is_proven() {
            return Err(RunError::Unusable(
                "the target is neither distribution 2 nor distribution 3, and this is not proven with any other registry. \
                 To go on all the same, say --to-profile other"
                    .to_owned(),
            ));
        }
        let config = ClientConfig { profile, ..self.target_config.clone() };
        self.target = Client::new(config).map_err(RunError::usage)?;
        Ok(())
    }

    /// Both as the plan names them.
    pub(super) fn views(&self) -> [SideView; 2] {
        let view = |client: &Client, at: usize, limits: &SideLimits| SideView {
            url: client.url().to_string(),
            kind: match (client.profile(), at) {
                (Profile::Other, 0) => "any registry".to_owned(),
                (Profile::Other, _) => "unproven".to_owned(),
                (profile, _) => profile.name().to_owned(),
            },
            login: self.found[at].to_string(),
            token_realm: self.realms[at].as_ref().map(Url::to_string),
            limits: limits.to_string(),
        };
        [view(&self.source, 0, &self.limits.from), view(&self.target, 1, &self.limits.to)]
    }
}

/// Whether a registry that answers so to its list has none for us.
const fn has_no_list(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::NotFound | Cause::Unauthorized | Cause::Denied | Cause::Protocol | Cause::UnsupportedMediaType
    )
}

const fn profile(kind: Kind) -> Profile {
    match kind {
        Kind::Distribution2 => Profile::Distribution2,
        Kind::Distribution3 => Profile::Distribution3,
        Kind::Other => Profile::Other,
    }
}

fn credentials_of(login: Login) -> Credentials {
    match login {
        Login::Anonymous => Credentials::Anonymous,
        Login::Basic { user, password } => Credentials::Basic { user, password },
        Login::Token(token) => Credentials::Token(token),
        Login::Refresh(token) => Credentials::Refresh(token),
    }
}

async fn check(side: Side, client: &Client) -> Result<Option<Url>, RunError> {
    match client.check(Instant::now() + TO_ANSWER).await {
        Ok(Asked::Bearer { realm }) => Ok(Some(realm)),
        Ok(Asked::Anonymous | Asked::Basic | Asked::Token) => Ok(None),
        Err(error) => Err(RunError::Unusable(format!("{side}, {}: {error}", client.url()))),
    }
}
