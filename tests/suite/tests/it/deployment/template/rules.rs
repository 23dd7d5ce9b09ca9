//! The parameters that a stack refuses, before anything is made.

use std::collections::BTreeMap;

use super::{
    conditions,
    document::{Template, list, text, workspace},
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
const CREATED: [(&str, &str); 2] = [("ZoneA", "zone-a"), ("ZoneB", "zone-b")];
const DIRECT: [(&str, &str); 1] = [("Topology", "direct-reader")];
/// A choice of its own, where there is an owner's secret to decrypt.
const KEYS: [(&str, &str); 1] = [("OwnerSecretKeyArns", "arn:key")];
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
        given(&[&CREATED]),
        given(&[&EXISTING]),
        given(&[&EXISTING, &REPLICA]),
        given(&[&CREATED, &DIRECT]),
        given(&[&CREATED, &DIRECT, &BUNDLE]),
        given(&[&CREATED, &DIRECT, &IAM]),
        given(&[&EXISTING, &DIRECT, &PLACE]),
        given(&[&EXISTING, &DIRECT, &PLACE, &IAM, &RESOURCE]),
    ]
}

#[test]
fn accepts_every_kind_of_stack() {
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
    let all = given(&[&CREATED, &EXISTING, &KEYS, &DIRECT, &BUNDLE, &REPLICA, &PLACE, &IAM, &RESOURCE]);
    let mut tried = 0;
    for kind in kinds() {
        let direct = kind.get("Topology") == Some(&"direct-reader");
        let others = all.iter().filter(|(name, _)| {
            // Choices of their own, in the one topology that logs in.
            !(kind.contains_key(*name)
                || ["CreateDatabase", "Topology"].contains(*name)
                || ["ReaderAuth", "CaBundleLayerArn"].contains(*name) && direct
                || **name == "OwnerSecretKeyArns" && kind.contains_key("OwnerSecretArn"))
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
fn refuses_a_reader_that_is_the_writer() {
    let created = refusals(&given(&[&CREATED, &REPLICA]));
    assert!(created.iter().any(|refusal| refusal.contains("there is one cluster")), "{created:?}");
    let same = refusals(&given(&[&EXISTING, &REPLICA, &[("ReaderClusterArn", "arn:writer")]]));
    assert!(same.iter().any(|refusal| refusal.contains("another cluster")), "{same:?}");
}

#[test]
fn refuses_two_subnets_in_one_zone() {
    let same = refusals(&given(&[&CREATED, &[("ZoneB", "zone-a")]]));
    assert!(same.iter().any(|refusal| refusal.contains("another zone")), "{same:?}");
}

#[test]
fn refuses_another_name_for_a_created_database() {
    // The name belongs to the cluster: another one would put an empty cluster in its place.
    let name = [("DatabaseName", "others")];
    let created = refusals(&given(&[&CREATED, &name]));
    assert!(created.iter().any(|refusal| refusal.contains("DatabaseName")), "{created:?}");
    assert_eq!(refusals(&given(&[&EXISTING, &name])), Vec::<String>::new());
}

#[test]
fn refuses_to_log_in_by_iam_as_a_role_with_another_use() {
    let user = |of| [("ReaderUser", of)];
    for taken in [
        "migration_driver",
        "migration_owner",
        "migration_replication",
        "postgres",
        "rds_iam",
        "rds_superuser",
        "rdsadmin",
    ] {
        for kind in [given(&[&CREATED, &DIRECT, &IAM]), given(&[&EXISTING, &DIRECT, &PLACE, &IAM, &RESOURCE])]
        {
            let mut with = kind.clone();
            with.extend(user(taken));
            let refusals = refusals(&with);
            assert!(refusals.iter().any(|refusal| refusal.contains("ReaderUser")), "{taken}: {refusals:?}");
        }
    }
    // With a token it could no longer log in by the password that the writer asks for. At a proxy it does not.
    let reader = user("migration_reader");
    let created = refusals(&given(&[&CREATED, &DIRECT, &IAM, &reader]));
    assert!(created.iter().any(|refusal| refusal.contains("ReaderUser")), "{created:?}");
    let proxy = refusals(&given(&[&EXISTING, &DIRECT, &PLACE, &IAM, &RESOURCE, &reader]));
    assert_eq!(proxy, Vec::<String>::new());
}

#[test]
fn goes_back_from_each_topology_as_the_handbook_says() {
    let handbook = std::fs::read_to_string(workspace().join("functions/README.md")).unwrap();
    let commands = handbook.replace("\\\n", " ");
    let commands: Vec<&str> =
        commands.lines().filter_map(|line| line.trim_start().strip_prefix("$DEPLOY ")).collect();
    let from =
        [given(&[&EXISTING, &REPLICA]), given(&[&EXISTING, &DIRECT, &BUNDLE, &PLACE, &IAM, &RESOURCE])];
    assert_eq!(commands.len(), from.len(), "{commands:?}");
    for (former, command) in from.iter().zip(commands) {
        let mut all = former.clone();
        for word in command.split_whitespace() {
            // Quotation marks inside of quotation marks are what makes a value empty.
            let (name, value) = word.trim_matches('\'').split_once('=').unwrap();
            assert_eq!(word.starts_with('\''), value == "\"\"", "{word}");
            let (name, value) = (name.to_owned().leak(), value.trim_matches('"').to_owned().leak());
            all.insert(name, value);
        }
        assert_eq!(all["Topology"], "single");
        assert_eq!(refusals(&all), Vec::<String>::new(), "{command}");
        // Without what it makes empty it is refused.
        let mut kept = former.clone();
        kept.insert("Topology", "single");
        assert!(!refusals(&kept).is_empty(), "{command}");
    }
}
