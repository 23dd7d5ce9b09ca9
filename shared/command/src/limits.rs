//! What each registry is spared: changed by an argument at the start, or by a file while it runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::amounts::{Action, ActionLimit, Bandwidth, Limit, Remaining, Requests};

/// The file in the state directory.
pub const FILE: &str = "limits.json";

/// One side's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideLimits {
    /// Requests a second. None: without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<Requests>,
    /// Bytes a second. None: without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bandwidth: Option<Bandwidth>,
    /// Requests a second of single actions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub max_actions: BTreeMap<Action, Requests>,
    /// How many requests must be left of those that the registry allows (`ratelimit-remaining`). None: it is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_remaining: Option<Remaining>,
}

/// Both sides'.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub struct LimitArguments {
    /// At most so many bytes a second at each registry: 500kB, 20MB, 64MiB, or none
    #[arg(long, value_name = "BYTES")]
    pub max_bandwidth: Option<Limit<Bandwidth>>,
    /// At most so many requests a second at each registry: 0.5, 20, or none
    #[arg(long, value_name = "REQUESTS")]
    pub max_requests: Option<Limit<Requests>>,
    /// At most so many requests of one action a second: put-manifest=10, get-blob=none. May be repeated
    #[arg(long, value_name = "ACTION=REQUESTS")]
    pub max_action: Vec<ActionLimit>,
    /// Wait while a registry says that no more than this are left of the requests that it allows (ratelimit-remaining)
    #[arg(long, value_name = "REQUESTS")]
    pub min_remaining: Option<Limit<Remaining>>,
    /// The same at the source alone
    #[arg(long, value_name = "BYTES")]
    pub from_max_bandwidth: Option<Limit<Bandwidth>>,
    /// The same at the source alone
    #[arg(long, value_name = "REQUESTS")]
    pub from_max_requests: Option<Limit<Requests>>,
    /// The same at the source alone
    #[arg(long, value_name = "ACTION=REQUESTS")]
    pub from_max_action: Vec<ActionLimit>,
    /// The same at the source alone
    #[arg(long, value_name = "REQUESTS")]
    pub from_min_remaining: Option<Limit<Remaining>>,
    /// The same at the target alone
    #[arg(long, value_name = "BYTES")]
    pub to_max_bandwidth: Option<Limit<Bandwidth>>,
    /// The same at the target alone
    #[arg(long, value_name = "REQUESTS")]
    pub to_max_requests: Option<Limit<Requests>>,
    /// The same at the target alone
    #[arg(long, value_name = "ACTION=REQUESTS")]
    pub to_max_action: Vec<ActionLimit>,
    /// The same at the target alone
    #[arg(long, value_name = "REQUESTS")]
    pub to_min_remaining: Option<Limit<Remaining>>,
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
    pub fn changed(&self, said: &LimitArguments) -> Self {
        Self {
            from: SideLimits {
                max_requests: pick([said.from_max_requests, said.max_requests], self.from.max_requests),
                max_bandwidth: pick([said.from_max_bandwidth, said.max_bandwidth], self.from.max_bandwidth),
                max_actions: with([&said.max_action, &said.from_max_action], self.from.max_actions.clone()),
                min_remaining: pick([said.from_min_remaining, said.min_remaining], self.from.min_remaining),
            },
            to: SideLimits {
                max_requests: pick([said.to_max_requests, said.max_requests], self.to.max_requests),
                max_bandwidth: pick([said.to_max_bandwidth, said.max_bandwidth], self.to.max_bandwidth),
                max_actions: with([&said.max_action, &said.to_max_action], self.to.max_actions.clone()),
                min_remaining: pick([said.to_min_remaining, said.min_remaining], self.to.min_remaining),
            },
        }
    }
}

/// What is said later comes before what is said earlier.
fn with(said: [&[ActionLimit]; 2], mut was: BTreeMap<Action, Requests>) -> BTreeMap<Action, Requests> {
    for ActionLimit { action, limit } in said.into_iter().flatten() {
        match limit.amount() {
            Some(requests) => was.insert(*action, requests),
            None => was.remove(action),
        };
    }
    was
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
    use crate::amounts::{Bandwidth, Limit, Remaining, Requests};

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
    fn limits_single_actions_of_one_side_or_both() {
        let actions = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let said = LimitArguments {
            max_action: actions(&["get-blob=20", "put-manifest=20"]),
            to_max_action: actions(&["put-manifest=10"]),
            from_min_remaining: Some(Limit::AtMost(Remaining(30))),
            ..LimitArguments::default()
        };
        let limits = Limits::default().changed(&said);
        let text = serde_json::to_string(&limits).unwrap();
        assert_eq!(
            text,
            r#"{"from":{"max_actions":{"put-manifest":20.0,"get-blob":20.0},"min_remaining":30},"to":{"max_actions":{"put-manifest":10.0,"get-blob":20.0}}}"#
        );
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
        assert!(serde_json::from_str::<Limits>(r#"{"from":{"max_actions":{"put":1}}}"#).is_err());
        let lifted = LimitArguments {
            max_action: actions(&["get-blob=none", "put-manifest=none"]),
            min_remaining: Some(Limit::None),
            ..LimitArguments::default()
        };
        assert_eq!(limits.changed(&lifted), Limits::default());
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
