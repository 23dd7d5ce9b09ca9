//! The event is read by hand: a type of its own would refuse one that lacks a member, and CloudFormation, which waits for
//! an answer, would wait for an hour.

use serde_json::Value;
use url::Url;

/// What CloudFormation wants of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestType {
    /// To be made.
    Create,
    /// To be brought to other properties.
    Update,
    /// To be gone.
    Delete,
    /// Nothing of CloudFormation's: somebody invoked the function.
    ByHand,
}

/// A custom resource's event, as far as the resource is concerned with it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceRequest {
    /// What is wanted.
    pub kind: RequestType,
    /// The properties that the template gives; null where it gives none.
    pub properties: Value,
    /// Those before an update; null otherwise.
    pub old_properties: Value,
}

impl ResourceRequest {
    /// Reads it. The error is for people.
    pub(super) fn of(event: &Value) -> Result<Self, String> {
        let kind = match event.get("RequestType").map(Value::as_str) {
            Some(Some("Create")) => RequestType::Create,
            Some(Some("Update")) => RequestType::Update,
            Some(Some("Delete")) => RequestType::Delete,
            None if event.get("ResponseURL").is_none() => RequestType::ByHand,
            Some(_) | None => return Err("RequestType is none of Create, Update and Delete".to_owned()),
        };
        let member = |name| event.get(name).cloned().unwrap_or_default();
        Ok(Self {
            kind,
            properties: member("ResourceProperties"),
            old_properties: member("OldResourceProperties"),
        })
    }
}

/// Where and as what a stack waits for its answer. The address is signed: who knows it can answer.
pub(super) struct Receipt<'a> {
    pub(super) url: Result<Url, &'static str>,
    pub(super) stack: &'a str,
    pub(super) request: &'a str,
    pub(super) logical_id: &'a str,
    pub(super) physical_id: &'a str,
}

impl<'a> Receipt<'a> {
    /// Reads what there is of it, however broken the rest of the event; `None` for an event that names no stack.
    pub(super) fn of(event: &'a Value, id: &'static str) -> Option<Self> {
        let text = |name| event.get(name).and_then(Value::as_str);
        let url = event.get("ResponseURL")?.as_str().and_then(|url| url.parse().ok());
        Some(Self {
            url: url.ok_or("ResponseURL is no address"),
            stack: text("StackId").unwrap_or_default(),
            request: text("RequestId").unwrap_or_default(),
            logical_id: text("LogicalResourceId").unwrap_or_default(),
            // Another one than before would have CloudFormation delete the one before.
            physical_id: text("PhysicalResourceId").unwrap_or(id),
        })
    }
}
