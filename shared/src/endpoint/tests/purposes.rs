use std::any::TypeId;

use crate::endpoint::{
    Consistency, EndpointKind, Endpoints, IfUnavailable, Notification, Observe, PURPOSES, Purpose, Reader,
    Status, Writer, purposes_table,
};

#[test]
fn the_table_is_this() {
    assert_eq!(
        purposes_table(),
        "\
| purpose | functions | endpoint | consistency | if the endpoint cannot serve |
|---|---|---|---|---|
| Notification | registry-notification | writer | latest | sent again inside the registry's timeout if it surely did not run, else 503 |
| Start | start-migration | writer | latest | error to the caller, nothing half done |
| Manage | manage-migrations | writer | latest | error to the caller, nothing half done |
| Claim | enqueue-migrations, registry-notification, manage-migrations, guard-migrations | writer | latest | error to the caller, nothing half done |
| Guard | guard-migrations | writer | latest | error to the caller, nothing half done |
| Status | migration-status | reader | at least `min_version` if the caller names one, else any | writer through a SELECT-only secret, counted |
| List | migration-status | reader | any | writer through a SELECT-only secret within a budget, counted, else 503 |
| Summary | migration-status | reader | any | writer through a SELECT-only secret within a budget, counted, else 503 |
| History | migration-status | reader | any | writer through a SELECT-only secret within a budget, counted, else 503 |
| Dashboard | migration-status | reader | any | writer through a SELECT-only secret within a budget, counted, else 503 |
| StaleScan | guard-migrations | reader | any: only a hint, decided again on the writer | this round is skipped, counted |
| Observe | observe-migrations | both | compared | the failure is reported as a metric |
"
    );
}

#[test]
fn a_purposes_type_is_the_endpoint_its_rule_names() {
    fn endpoint_of<P: Purpose>() -> (EndpointKind, TypeId) {
        (P::RULE.endpoint, TypeId::of::<P::Endpoint>())
    }
    assert_eq!(endpoint_of::<Notification>(), (EndpointKind::Writer, TypeId::of::<Writer>()));
    assert_eq!(endpoint_of::<Status>(), (EndpointKind::Reader, TypeId::of::<Reader>()));
    assert_eq!(endpoint_of::<Observe>(), (EndpointKind::Both, TypeId::of::<Endpoints>()));
}

#[test]
fn nothing_the_notifications_function_does_reads_from_the_reader() {
    let mut rules = PURPOSES.iter().filter(|rule| rule.functions.contains(&"registry-notification"));
    assert!(rules.all(|rule| rule.endpoint == EndpointKind::Writer));
}

#[test]
fn only_the_writer_promises_the_latest_and_only_reads_fall_back() {
    for rule in PURPOSES {
        let latest = rule.consistency == Consistency::Latest;
        assert_eq!(latest, rule.endpoint == EndpointKind::Writer, "{}", rule.name);
        let falls_back = matches!(
            rule.if_unavailable,
            IfUnavailable::ReadOnlyWriter | IfUnavailable::ReadOnlyWriterWithinBudget
        );
        assert!(!falls_back || rule.endpoint == EndpointKind::Reader, "{}", rule.name);
    }
}
