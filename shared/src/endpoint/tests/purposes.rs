use std::{any::TypeId, sync::Arc};

use crate::endpoint::{
    Consistency, EndpointKind, Endpoints, Notification, Observe, PURPOSES, Purpose, ReplicaReads, Status,
    Writer, fallback_table, purposes_table,
};

#[test]
fn the_readme_shows_the_table_as_it_is() {
    let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let table = format!("<!-- purposes -->\n{}<!-- /purposes -->", purposes_table());
    assert!(readme.contains(&table), "shared/README.md is stale; between its marks belongs\n{table}");
}

#[test]
fn the_readme_shows_what_is_done_where_an_endpoint_cannot_serve() {
    let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let table = format!("<!-- fallbacks -->\n{}<!-- /fallbacks -->", fallback_table());
    assert!(readme.contains(&table), "shared/README.md is stale; between its marks belongs\n{table}");
}

#[test]
fn a_purposes_type_is_the_endpoint_its_rule_names() {
    fn endpoint_of<P: Purpose>() -> (EndpointKind, TypeId) {
        (P::RULE.endpoint, TypeId::of::<P::Endpoint>())
    }
    assert_eq!(endpoint_of::<Notification>(), (EndpointKind::Writer, TypeId::of::<Writer>()));
    assert_eq!(endpoint_of::<Status>(), (EndpointKind::Reader, TypeId::of::<Arc<ReplicaReads>>()));
    assert_eq!(endpoint_of::<Observe>(), (EndpointKind::Both, TypeId::of::<Endpoints>()));
}

#[test]
fn never_reads_from_the_reader_for_a_notification() {
    let mut rules = PURPOSES.iter().filter(|rule| rule.functions.contains(&"registry-notification"));
    assert!(rules.all(|rule| rule.endpoint == EndpointKind::Writer));
}

#[test]
fn the_latest_is_promised_exactly_where_the_writer_is_asked() {
    for rule in PURPOSES {
        let latest = rule.consistency == Consistency::Latest;
        assert_eq!(latest, rule.endpoint == EndpointKind::Writer, "{}", rule.name);
    }
}
