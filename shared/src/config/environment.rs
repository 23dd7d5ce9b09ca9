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
}

/// Everything that is wrong with the environment, at once: who repairs it has to try only once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigError(pub Vec<Fault>);

/// A configuration that is read from the environment. Written by [`settings!`](crate::settings), which sees to
/// it that every variable is asked for whatever the others hold.
pub trait Settings: Sized {
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

    /// Says that a variable is missing after all.
    pub fn miss(&mut self, name: &'static str) {
        self.faults.push(Fault::Missing(name));
    }

    /// Says that a variable is wrong after all. The reason must not hold its value.
    pub fn refuse(&mut self, name: &'static str, reason: impl Display) {
        self.faults.push(Fault::Wrong { name, reason: reason.to_string() });
    }

    /// Of what may be absent in general, what must be there after all.
    pub fn needed<T>(&mut self, name: &'static str, told: Option<Option<T>>) -> Option<T> {
        let told = told?;
        if told.is_none() {
            self.miss(name);
        }
        told
    }

    /// Refuses what may be there in general and is there. What cannot be read is refused already.
    pub fn refuse_told<T>(&mut self, name: &'static str, told: &Option<Option<T>>, reason: impl Display) {
        if matches!(told, Some(Some(_))) {
            self.refuse(name, reason);
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
pub fn from_process<C: Settings>() -> Result<C, ConfigError> {
    from_source(&|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
}

/// Reads a configuration from anywhere.
///
/// # Errors
/// [`ConfigError`] with everything that is missing or wrong.
pub fn from_source<C: Settings>(source: &dyn Fn(&str) -> Option<String>) -> Result<C, ConfigError> {
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
pub fn variables<C: Settings>() -> Vec<Variable> {
    let mut environment = Environment { source: &|_| None, asked: Vec::new(), faults: Vec::new() };
    C::read(&mut environment);
    let mut asked = environment.asked;
    // Required stands before optional, so that it is kept where one name is asked for in both ways.
    asked.sort_by_key(|variable| (variable.name, !variable.required));
    asked.dedup_by_key(|variable| variable.name);
    asked
}

/// Defines a configuration: a struct of public fields, each read from a `required "NAME"` or
/// `optional "NAME"` variable (the latter an `Option`), or an `all` of another configuration.
///
/// ```
/// shared::settings! {
///     /// What this function is told.
///     pub struct Config {
///         /// Where to write.
///         pub writer: shared::config::WriterConfig = all,
///         /// How many at once.
///         pub batch: Option<u64> = optional "BATCH",
///     }
/// }
/// let names: Vec<_> = shared::config::variables::<Config>().iter().map(|v| v.name).collect();
/// assert!(names.contains(&"WRITER_ARN") && names.contains(&"BATCH"));
/// ```
#[macro_export]
macro_rules! settings {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$doc:meta])* pub $field:ident: $type:ty = $how:ident $($variable:literal)?),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name { $($(#[$doc])* pub $field: $type,)+ }

        impl $crate::config::Settings for $name {
            fn read(environment: &mut $crate::config::Environment<'_>) -> Option<Self> {
                $(let $field: Option<$type> = $crate::settings!(@read environment $how $($variable)?);)+
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
    (@read $environment:ident required $variable:literal) => { $environment.required($variable) };
    (@read $environment:ident optional $variable:literal) => { $environment.optional($variable) };
    (@read $environment:ident all) => { $crate::config::Settings::read($environment) };
}
