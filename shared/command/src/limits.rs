//! What each registry is spared: changed by an argument at the start, or by a file while it runs.

use serde::{Deserialize, Serialize};

use crate::amounts::{Bandwidth, Limit, Requests};

/// The file in the state directory.
pub const FILE: &str = "limits.json";

/// One side's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideLimits {
    /// Requests a second. None: without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<Requests>,
    /// Bytes a second. None: without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bandwidth: Option<Bandwidth>,
}

/// Both sides'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The source's.
    #[serde(default)]
    pub from: SideLimits,
    /// The target's.
    #[serde(default)]
    pub to: SideLimits,
}

/// What an operator says of them. What is not said stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::Args)]
pub struct LimitArguments {
    /// At most so many bytes a second at each registry: 500kB, 20MB, 64MiB, or none
    #[arg(long, value_name = "BYTES")]
    pub max_bandwidth: Option<Limit<Bandwidth>>,
    /// At most so many requests a second at each registry: 0.5, 20, or none
    #[arg(long, value_name = "REQUESTS")]
    pub max_requests: Option<Limit<Requests>>,
    /// The same at the source alone
    #[arg(long, value_name = "BYTES")]
    pub from_max_bandwidth: Option<Limit<Bandwidth>>,
    /// The same at the source alone
    #[arg(long, value_name = "REQUESTS")]
    pub from_max_requests: Option<Limit<Requests>>,
    /// The same at the target alone
    #[arg(long, value_name = "BYTES")]
    pub to_max_bandwidth: Option<Limit<Bandwidth>>,
    /// The same at the target alone
    #[arg(long, value_name = "REQUESTS")]
    pub to_max_requests: Option<Limit<Requests>>,
}

impl LimitArguments {
    /// Whether anything was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Limits {
    /// With what an operator says: what is said of one side comes before what is said of both.
    #[must_use]
    pub fn changed(self, said: &LimitArguments) -> Self {
        Self {
            from: SideLimits {
                max_requests: pick([said.from_max_requests, said.max_requests], self.from.max_requests),
                max_bandwidth: pick([said.from_max_bandwidth, said.max_bandwidth], self.from.max_bandwidth),
            },
            to: SideLimits {
                max_requests: pick([said.to_max_requests, said.max_requests], self.to.max_requests),
                max_bandwidth: pick([said.to_max_bandwidth, said.max_bandwidth], self.to.max_bandwidth),
            },
        }
    }
}

fn pick<T>(said: [Option<Limit<T>>; 2], was: Option<T>) -> Option<T> {
    match said.into_iter().flatten().next() {
        Some(limit) => limit.amount(),
        None => was,
    }
}

#[cfg(test)]
mod tests {
    use super::{LimitArguments, Limits};
    use crate::amounts::{Bandwidth, Limit, Requests};

    #[test]
    fn changes_only_what_is_said_one_side_before_both() {
        let said = LimitArguments {
            max_requests: Some(Limit::AtMost(Requests(10.0))),
            from_max_requests: Some(Limit::AtMost(Requests(2.0))),
            to_max_bandwidth: Some(Limit::AtMost(Bandwidth(5_000))),
            ..LimitArguments::default()
        };
        let limits = Limits::default().changed(&said);
        assert_eq!(
            (limits.from.max_requests, limits.to.max_requests),
            (Some(Requests(2.0)), Some(Requests(10.0)))
        );
        assert_eq!((limits.from.max_bandwidth, limits.to.max_bandwidth), (None, Some(Bandwidth(5_000))));
        let lifted = LimitArguments { max_requests: Some(Limit::None), ..LimitArguments::default() };
        let after = limits.changed(&lifted);
        assert_eq!((after.from.max_requests, after.to.max_requests), (None, None));
        assert_eq!(after.to.max_bandwidth, Some(Bandwidth(5_000)));
    }

    #[test]
    fn reads_what_it_writes_and_refuses_a_slip() {
        let limits = Limits::default().changed(&LimitArguments {
            max_bandwidth: Some(Limit::AtMost(Bandwidth(5_000))),
            ..LimitArguments::default()
        });
        let text = serde_json::to_string(&limits).unwrap();
        assert_eq!(text, r#"{"from":{"max_bandwidth":5000},"to":{"max_bandwidth":5000}}"#);
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
        assert!(serde_json::from_str::<Limits>(r#"{"from":{"max_bandwith":1}}"#).is_err());
    }
}
