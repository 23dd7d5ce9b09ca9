//! The parameters that a stack refuses, before anything is made.

use std::collections::BTreeMap;

use super::{
    conditions,
    document::{Template, list, text},
};

type Given = BTreeMap<&'static str, &'static str>;

/// What is said against these parameters; those that are not given have their defaults.
fn refusals(given: &Given) -> Vec<String> {
    let template = Template::read();
    let whole = template.whole();
    let of = whole["Parameters"].as_object().unwrap();
    let unknown: Vec<_> = given.keys().filter(|name| !of.contains_key(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let defaults: Vec<(&str, String)> = of
        .iter()
        .filter_map(|(name, parameter)| {
            let default = parameter.get("Default")?;
            Some((name.as_str(), default.as_str().map_or_else(|| default.to_string(), str::to_owned)))
        })
        .collect();
    let default = defaults.iter().filter(|(name, _)| !given.contains_key(name));
    let parameters: Vec<(&str, &str)> = default
        .map(|(name, value)| (*name, value.as_str()))
        .chain(given.iter().map(|(name, value)| (*name, *value)))
        .collect();
    let holds = |condition| conditions::holds(condition, &whole["Conditions"], &parameters);
    let rules = whole["Rules"].as_object().unwrap().values();
    rules
        .filter(|rule| holds(&rule["RuleCondition"]))
        .flat_map(|rule| list(&rule["Assertions"]))
        .filter(|assertion| !holds(&assertion["Assert"]))
        .map(|assertion| text(&assertion["AssertDescription"]))
        .collect()
}

const EXISTING: [(&str, &str); 3] =
    [("CreateDatabase", "false"), ("WriterClusterArn", "arn:writer"), ("OwnerSecretArn", "arn:owner")];
const DIRECT: [(&str, &str); 1] = [("Topology", "direct-reader")];
/// A choice of its own, where there is something to trust.
const BUNDLE: [(&str, &str); 1] = [("CaBundleLayerArn", "arn:layer")];
const REPLICA: [(&str, &str); 4] = [
    ("Topology", "replica-cluster"),
    ("ReaderClusterArn", "arn:reader"),
    ("ReaderOwnerSecretArn", "arn:owner"),
    ("WriterHost", "writer"),
];
const PLACE: [(&str, &str); 3] =
    [("ReaderHost", "host"), ("ReaderSubnetIds", "subnet-1"), ("ReaderSecurityGroupIds", "sg-1")];
const IAM: [(&str, &str); 1] = [("ReaderAuth", "iam")];
const RESOURCE: [(&str, &str); 1] = [("ReaderResourceId", "cluster-1")];

fn given(parts: &[&[(&'static str, &'static str)]]) -> Given {
    parts.iter().flat_map(|part| part.iter().copied()).collect()
}

/// What a stack may do without, or has a default for.
const CHOICES: [&str; 4] = ["CreateDatabase", "Topology", "ReaderAuth", "CaBundleLayerArn"];

/// Each kind of stack that there can be.
fn kinds() -> [Given; 8] {
    [
        given(&[]),
        given(&[&EXISTING]),
        given(&[&EXISTING, &REPLICA]),
        given(&[&DIRECT]),
        given(&[&DIRECT, &BUNDLE]),
        given(&[&DIRECT, &IAM]),
        given(&[&EXISTING, &DIRECT, &PLACE]),
        given(&[&EXISTING, &DIRECT, &PLACE, &IAM, &RESOURCE]),
    ]
}

#[test]
fn every_kind_of_stack_can_be_made_and_one_by_defaults_alone() {
    for kind in kinds() {
        assert_eq!(refusals(&kind), Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn what_a_kind_of_stack_needs_is_missed_by_name() {
    for kind in kinds() {
        for name in kind.keys().filter(|name| !CHOICES.contains(*name)) {
            let mut without = kind.clone();
            without.remove(name);
            let refusals = refusals(&without);
            assert!(refusals.iter().any(|refusal| refusal.contains(name)), "{without:?}: {refusals:?}");
        }
    }
}

#[test]
fn what_a_kind_of_stack_does_not_use_is_refused_by_name() {
    let all = given(&[&EXISTING, &DIRECT, &BUNDLE, &REPLICA, &PLACE, &IAM, &RESOURCE]);
    let mut tried = 0;
    for kind in kinds() {
        let direct = kind.get("Topology") == Some(&"direct-reader");
        let others = all.iter().filter(|(name, _)| {
            // Choices of their own, in the one topology that logs in.
            !(kind.contains_key(*name)
                || ["CreateDatabase", "Topology"].contains(*name)
                || ["ReaderAuth", "CaBundleLayerArn"].contains(*name) && direct)
        });
        for (name, value) in others {
            let mut with = kind.clone();
            with.insert(name, value);
            let refusals = refusals(&with);
            assert!(refusals.iter().any(|refusal| refusal.contains(name)), "{with:?}: {refusals:?}");
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
}

#[test]
fn a_created_database_is_no_replica_cluster_and_a_reader_is_not_the_writer() {
    let created = refusals(&given(&[&REPLICA]));
    assert!(created.iter().any(|refusal| refusal.contains("there is one cluster")), "{created:?}");
    let same = refusals(&given(&[&EXISTING, &REPLICA, &[("ReaderClusterArn", "arn:writer")]]));
    assert!(same.iter().any(|refusal| refusal.contains("another cluster")), "{same:?}");
}
