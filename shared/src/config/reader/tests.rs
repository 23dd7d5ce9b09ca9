use std::{collections::BTreeMap, path::Path};

use super::{ReaderAuth, ReaderConfig, ReaderPlace, Topology};
use crate::config::{Variable, from_source, variables};

const WRITER: &str = "arn:aws:rds:eu-central-1:123456789012:cluster:writer";
const READER: &str = "arn:aws:rds:eu-central-1:123456789012:cluster:reader";
const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:reader";

/// What a topology needs, and `more`; an empty value takes one away.
fn read(topology: &str, more: &[(&'static str, &'static str)]) -> Result<ReaderConfig, String> {
    let mut given = BTreeMap::from([
        ("TOPOLOGY", topology),
        ("WRITER_ARN", WRITER),
        ("READER_SECRET_ARN", SECRET),
        ("DATABASE_NAME", "migrations"),
    ]);
    match topology {
        "direct-reader" => {
            given.extend([
                ("READER_HOST", "cluster-ro"),
                ("READER_CA_FILE", "/ca.pem"),
                ("READER_AUTH", "secret"),
            ]);
        }
        "replica-cluster" => given.extend([("READER_ARN", READER)]),
        _ => {}
    }
    given.extend(more.iter().copied());
    from_source(&|name| given.get(name).map(|value| (*value).to_owned())).map_err(|error| error.to_string())
}

#[test]
fn each_topology_has_its_reader() {
    let cluster = |place| match place {
        ReaderPlace::Cluster { arn, .. } => arn.to_string(),
        ReaderPlace::Server(server) => panic!("{server:?}"),
    };
    assert_eq!(cluster(read("single", &[]).unwrap().place), WRITER);
    assert_eq!(cluster(read("replica-cluster", &[]).unwrap().place), READER);
    let ReaderPlace::Server(server) = read("direct-reader", &[]).unwrap().place else { panic!() };
    assert_eq!((server.host.as_str(), server.port), ("cluster-ro", 5432));
    assert_eq!((&*server.certificates, server.auth), (Path::new("/ca.pem"), ReaderAuth::Secret));
    let iam = [("READER_AUTH", "iam"), ("READER_USER", "migration_reader"), ("READER_PORT", "6432")];
    let ReaderPlace::Server(server) = read("direct-reader", &iam).unwrap().place else { panic!() };
    assert_eq!((server.port, server.auth), (6432, ReaderAuth::Iam { user: "migration_reader".to_owned() }));
}

#[test]
fn what_a_topology_does_not_use_is_refused_by_name() {
    let values = [
        ("READER_ARN", READER),
        ("READER_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("READER_HOST", "cluster-ro"),
        ("READER_PORT", "5432"),
        ("READER_CA_FILE", "/ca.pem"),
        ("READER_AUTH", "iam"),
        ("READER_USER", "migration_reader"),
    ];
    for topology in Topology::ALL {
        for (name, value) in values {
            let allowed = match topology {
                Topology::Single => false,
                Topology::ReplicaCluster => matches!(name, "READER_ARN" | "READER_ENDPOINT_URL"),
                Topology::DirectReader => {
                    matches!(name, "READER_HOST" | "READER_PORT" | "READER_CA_FILE")
                }
            };
            let result = read(topology.name(), &[(name, value)]);
            match (result, name) {
                (Ok(_), _) => assert!(allowed, "{name} with {}", topology.name()),
                // A user is missing then.
                (Err(error), "READER_AUTH") if topology == Topology::DirectReader => {
                    assert_eq!(error, "configuration: READER_USER is missing");
                }
                (Err(error), _) => {
                    assert!(!allowed && error.contains(&format!("{name} is not used with ")), "{error}");
                }
            }
        }
    }
}

#[test]
fn what_a_topology_needs_is_missed_by_name_and_all_at_once() {
    let none = [("READER_HOST", ""), ("READER_CA_FILE", ""), ("READER_AUTH", ""), ("READER_ARN", READER)];
    let error = read("direct-reader", &none).unwrap_err();
    for expected in [
        "READER_HOST is missing",
        "READER_CA_FILE is missing",
        "READER_AUTH is missing",
        "READER_ARN is not used with TOPOLOGY=direct-reader",
    ] {
        assert!(error.contains(expected), "{error}");
    }
    assert!(read("replica-cluster", &[("READER_ARN", "")]).unwrap_err().contains("READER_ARN is missing"));
    let itself = read("replica-cluster", &[("READER_ARN", WRITER)]).unwrap_err();
    assert!(itself.contains("READER_ARN is wrong: the writer's own cluster is TOPOLOGY=single"), "{itself}");
    assert!(read("", &[]).unwrap_err().contains("TOPOLOGY is missing"));
    let error = read("cluster", &[("READER_PORT", "many"), ("READER_AUTH", "none")]).unwrap_err();
    for expected in [
        "TOPOLOGY is wrong: must be single, direct-reader or",
        "READER_PORT is wrong",
        "READER_AUTH is wrong: must be secret or",
    ] {
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn every_variable_of_every_topology_is_known() {
    let required: Vec<&str> = variables::<ReaderConfig>()
        .into_iter()
        .filter(|v| v.required)
        .map(|Variable { name, .. }| name)
        .collect();
    assert_eq!(required, ["DATABASE_NAME", "READER_SECRET_ARN", "TOPOLOGY", "WRITER_ARN"]);
    assert_eq!(variables::<ReaderConfig>().len(), 12);
}
