use std::{fmt::Display, str::FromStr};

/// A variable that a configuration reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Whether the function refuses to start without it.
    pub required: bool,
}

/// What is wrong with one variable. Its value is not part of it: it might be a secret in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not set, or set to nothing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Set to something that it cannot be.
    #[error("{name} is wrong: {reason}")]
    Wrong {
        /// The variable.
        name: &'static str,
        /// Why its value cannot be used.
        reason: String,
    },
    /// Set, and used only with another value of another variable: whoever set it would take it for true.
    #[error("{name} is not used with {with}")]
    Unused {
        /// The variable.
        name: &'static str,
        /// The other variable and its value.
        with: String,
    },
}

impl Fault {
    const fn name(&self) -> &'static str {
        match self {
            Self::Missing(name) | Self::Wrong { name, .. } | Self::Unused { name, .. } => name,
        }
    }
}

/// Everything that is wrong with the environment, at once: who repairs it has to try only once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigError(pub Vec<Fault>);

/// A configuration that is read from the environment. Written by [`config!`](crate::config!), which sees to
/// it that every variable is asked for whatever the others hold.
pub trait FromEnvironment: Sized {
    /// Asks `environment` for everything this needs; `None` when one of it is missing or wrong, which
    /// `environment` then knows.
    fn read(environment: &mut Environment<'_>) -> Option<Self>;
}

/// The environment while a configuration is read from it: remembers what was asked for and what was wrong.
pub struct Environment<'a> {
    source: &'a dyn Fn(&str) -> Option<String>,
    asked: Vec<Variable>,
    faults: Vec<Fault>,
}

impl Environment<'_> {
    /// A value that must be there.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        match self.take(Variable { name, required: true }) {
            Some(text) => self.parse(name, &text),
            None => {
                self.faults.push(Fault::Missing(name));
                None
            }
        }
    }

    /// A value that may be absent: `Some(None)` then.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.take(Variable { name, required: false }) {
            Some(text) => self.parse(name, &text).map(Some),
            None => Some(None),
        }
    }

    /// Says that a variable is wrong after all. The reason must not hold its value.
    pub fn refuse(&mut self, name: &'static str, reason: impl Display) {
        self.faults.push(Fault::Wrong { name, reason: reason.to_string() });
    }

    /// Refuses a variable that is set, since it is used only `with` something else. One that cannot be read is refused
    /// already.
    pub fn refuse_unused(&mut self, name: &'static str, with: &str) {
        let is_set = (self.source)(name).is_some_and(|text| !text.is_empty());
        if is_set && !self.faults.iter().any(|fault| fault.name() == name) {
            self.faults.push(Fault::Unused { name, with: with.to_owned() });
        }
    }

    fn take(&mut self, variable: Variable) -> Option<String> {
        self.asked.push(variable);
        (self.source)(variable.name).filter(|text| !text.is_empty())
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, name: &'static str, text: &str) -> Option<T> {
        text.parse()
            .map_err(|error: T::Err| self.faults.push(Fault::Wrong { name, reason: error.to_string() }))
            .ok()
    }
}

/// Reads a configuration from the process's environment.
///
/// # Errors
/// [`ConfigError`] with everything that is missing or wrong.
pub fn from_process<C: FromEnvironment>() -> Result<C, ConfigError> {
    from_source(&|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
}

/// Reads a configuration from anywhere.
///
/// # Errors
/// [`ConfigError`] with everything that is missing or wrong.
pub fn from_source<C: FromEnvironment>(source: &dyn Fn(&str) -> Option<String>) -> Result<C, ConfigError> {
    let mut environment = Environment { source, asked: Vec::new(), faults: Vec::new() };
    let settings = C::read(&mut environment);
    let mut faults = environment.faults;
    // Two groups may ask for the same variable.
    let mut seen = Vec::new();
    faults.retain(|fault| {
        !seen.contains(fault) && {
            seen.push(fault.clone());
            true
        }
    });
    settings.filter(|_| faults.is_empty()).ok_or(ConfigError(faults))
}

/// The variables that a configuration reads, by name: what `template.yaml` must set. They come from the
/// reading itself, so the two cannot drift apart.
#[must_use]
pub fn variables<C: FromEnvironment>() -> Vec<Variable> {
    let mut environment = Environment { source: &|_| None, asked: Vec::new(), faults: Vec::new() };
    C::read(&mut environment);
    let mut asked = environment.asked;
    // Required stands before optional, so that it is kept where one name is asked for in both ways.
    asked.sort_by_key(|variable| (variable.name, !variable.required));
    asked.dedup_by_key(|variable| variable.name);
    asked
}

/// Defines a configuration: a struct of public fields, each read from a `required "NAME"` or
/// `optional "NAME"` variable (the latter an `Option`), or a `flatten` of another configuration.
///
/// ```
/// shared::config! {
///     /// The configuration of a function.
///     pub struct Config {
///         /// Where to write.
///         pub writer: shared::config::WriterConfig = flatten,
///         /// How many at once.
///         pub batch: Option<u64> = optional "BATCH",
///     }
/// }
/// let names: Vec<_> = shared::config::variables::<Config>().iter().map(|v| v.name).collect();
/// assert!(names.contains(&"WRITER_ARN") && names.contains(&"BATCH"));
/// ```
#[macro_export]
macro_rules! config {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$doc:meta])* pub $field:ident: $type:ty = $how:ident $($variable:literal)?),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name { $($(#[$doc])* pub $field: $type,)+ }

        impl $crate::config::FromEnvironment for $name {
            fn read(environment: &mut $crate::config::Environment<'_>) -> Option<Self> {
                $(let $field: Option<$type> = $crate::config!(@read environment $how $($variable)?);)+
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
    (@read $environment:ident required $variable:literal) => { $environment.required($variable) };
    (@read $environment:ident optional $variable:literal) => { $environment.optional($variable) };
    (@read $environment:ident flatten) => { $crate::config::FromEnvironment::read($environment) };
}

#[cfg(test)]
mod tests {
    use crate::config::{
        ConfigError, Fault, NotificationConfig, RegistryConfig, Variable, WriterAddress, WriterConfig,
        from_source, variables,
    };

    crate::config! {
        /// Two groups that share a variable, and an optional number.
        pub struct Both {
            /// One.
            pub writer: WriterConfig = flatten,
            /// The other.
            pub address: WriterAddress = flatten,
            /// A third.
            pub notification: NotificationConfig = flatten,
            /// A number.
            pub batch: Option<u64> = optional "BATCH",
        }
    }

    const CLUSTER: &str = "arn:aws:rds:eu-central-1:123456789012:cluster:writer";
    const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:writer";

    fn value(name: &str) -> Option<String> {
        let value = match name {
            "WRITER_ARN" => CLUSTER,
            "WRITER_SECRET_ARN" | "NOTIFICATION_SECRET_ARN" => SECRET,
            "DATABASE_NAME" => "migrations",
            "WRITER_ENDPOINT_URL" => "http://127.0.0.1:4000",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn a_whole_environment_is_read() {
        let both: Both = from_source(&value).unwrap();
        assert_eq!(both.writer.arn.as_str(), CLUSTER);
        assert_eq!(both.writer.endpoint_url.unwrap().as_str(), "http://127.0.0.1:4000/");
        assert_eq!(both.notification.secret_arn.as_str(), SECRET);
        assert_eq!((both.address.arn.as_str(), both.batch), (CLUSTER, None));
        assert_eq!(both.writer.database, "migrations");
    }

    #[test]
    fn names_everything_missing_or_wrong_at_once() {
        let source = |name: &str| match name {
            "WRITER_ARN" => Some("hunter2".to_owned()),
            "NOTIFICATION_SECRET_ARN" => Some(String::new()),
            "DATABASE_NAME" => None,
            "BATCH" => Some("many".to_owned()),
            other => value(other),
        };
        let error = from_source::<Both>(&source).unwrap_err();
        let text = error.to_string();
        assert_eq!(text.matches("DATABASE_NAME is missing").count(), 1, "{text}");
        assert_eq!(text.matches("WRITER_ARN is wrong").count(), 1, "{text}");
        assert!(text.contains("NOTIFICATION_SECRET_ARN is missing"), "{text}");
        assert!(text.contains("WRITER_ARN is wrong: not an ARN of the service rds"), "{text}");
        assert!(text.contains("BATCH is wrong: invalid digit"), "{text}");
        assert!(!text.contains("hunter2"), "a wrong value may be a secret in the wrong place: {text}");
        assert_eq!(error.0.len(), 4);
    }

    #[test]
    fn an_address_that_is_none_is_refused_by_name() {
        let source = |name: &str| match name {
            "REGISTRY_URL" => Some("registry".to_owned()),
            "REGISTRY_SIGNING_KEY_SECRET_ARN" => Some(SECRET.to_owned()),
            _ => Some("x".to_owned()),
        };
        let ConfigError(faults) = from_source::<RegistryConfig>(&source).unwrap_err();
        assert!(matches!(&faults[..], [Fault::Wrong { name: "REGISTRY_URL", .. }]), "{faults:?}");
    }

    #[test]
    fn the_variables_are_those_that_the_reading_asks_for() {
        let required = |name| Variable { name, required: true };
        let optional = |name| Variable { name, required: false };
        assert_eq!(
            variables::<Both>(),
            [
                optional("BATCH"),
                required("DATABASE_NAME"),
                required("NOTIFICATION_SECRET_ARN"),
                optional("SECRET_MAX_AGE_SECONDS"),
                required("WRITER_ARN"),
                optional("WRITER_ENDPOINT_URL"),
                required("WRITER_SECRET_ARN"),
            ]
        );
    }
}
