//! `template.yaml`, read for what it says of each function.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::conditions;

/// The template, its tags in their long form (`!Ref X` is `{"Ref": "X"}`).
pub struct Template(Value);

/// One action that a role may take, and on what.
pub type Permission = (String, String);

/// A deployed function.
#[derive(Debug)]
pub struct Function {
    /// The folder that it is built from.
    pub name: String,
    /// Its resource, with what holds for all functions filled in.
    pub properties: Value,
    /// Its `Metadata`.
    pub metadata: Value,
    /// Its environment; values as [`named`] names them.
    pub environment: BTreeMap<String, String>,
    /// The role that it has.
    pub role: String,
    /// What the role allows by this template.
    pub permissions: BTreeSet<Permission>,
    /// The policies of AWS that the role has besides.
    pub policies_of_aws: BTreeSet<String>,
    /// Its routes: method and path.
    pub routes: BTreeSet<(String, String)>,
}

/// The top level.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Template {
    pub fn read() -> Self {
        let text = std::fs::read_to_string(workspace().join("template.yaml")).unwrap();
        Self(long(yaml_serde::from_str(&text).unwrap()))
    }

    pub fn whole(&self) -> &Value {
        &self.0
    }

    /// The resources of a type with their properties.
    pub fn resources(&self, kind: &str) -> BTreeMap<&str, &Value> {
        let all = self.0["Resources"].as_object().unwrap();
        let of_it = all.iter().filter(|(_, resource)| resource["Type"] == kind);
        of_it.map(|(name, resource)| (name.as_str(), &resource["Properties"])).collect()
    }

    /// The same with these parameters: what depends on a condition is decided.
    pub fn with(parameters: &[(&str, &str)]) -> Self {
        let Self(mut whole) = Self::read();
        let conditions = whole["Conditions"].clone();
        for part in ["Globals", "Resources"] {
            let decided = conditions::decide(&whole[part], &conditions, parameters);
            whole[part] = decided.unwrap_or_default();
        }
        Self(whole)
    }

    /// The functions by name.
    pub fn functions(&self) -> BTreeMap<String, Function> {
        let all = self.resources("AWS::Serverless::Function");
        let functions = all.into_iter().map(|(id, properties)| self.function(id, properties));
        functions.map(|function| (function.name.clone(), function)).collect()
    }

    fn function(&self, id: &str, properties: &Value) -> Function {
        let name = dashed(id);
        let mut whole = self.0["Globals"]["Function"].clone();
        merge(&mut whole, properties);
        let role = named(&whole["Role"]).strip_suffix(".Arn").unwrap().to_owned();
        let given = whole["Environment"]["Variables"].as_object().unwrap();
        Function {
            metadata: self.0["Resources"][id]["Metadata"].clone(),
            environment: given.iter().map(|(name, value)| (name.clone(), named(value))).collect(),
            permissions: self.permissions(&role),
            policies_of_aws: self.taken(&role).filter(|policy| policy.starts_with("arn:")).collect(),
            routes: self.routes(id),
            properties: whole,
            role,
            name,
        }
    }

    /// The routes that lead to a function.
    fn routes(&self, id: &str) -> BTreeSet<(String, String)> {
        let function = format!("/functions/${{{id}.Arn}}/invocations");
        let paths = self.resources("AWS::Serverless::HttpApi")["Api"]["DefinitionBody"]["paths"].as_object();
        let operations = paths.into_iter().flatten().flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(move |(method, operation)| (method, path, operation))
        });
        operations
            .filter(|(.., operation)| {
                text(&operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]).ends_with(&function)
            })
            .map(|(method, path, _)| (method.to_uppercase(), path.clone()))
            .collect()
    }

    /// The policies that a role has taken, those too that it has under a condition only.
    fn taken(&self, role: &str) -> impl Iterator<Item = String> {
        let role = self.resources("AWS::IAM::Role")[role];
        let named = list(&role["ManagedPolicyArns"]).into_iter().map(named).collect::<Vec<_>>();
        let each = named.into_iter().flat_map(|of| of.split('|').map(str::to_owned).collect::<Vec<_>>());
        each.filter(|policy| policy != "AWS::NoValue")
    }

    /// What a role allows, by its own statements and by the policies of this template.
    fn permissions(&self, name: &str) -> BTreeSet<Permission> {
        let role = self.resources("AWS::IAM::Role")[name];
        let shared = self.resources("AWS::IAM::ManagedPolicy");
        let own = list(&role["Policies"]).into_iter().map(|policy| &policy["PolicyDocument"]);
        let ours = self.taken(name).filter(|policy| !policy.starts_with("arn:")).map(|policy| {
            &shared.get(policy.as_str()).unwrap_or_else(|| panic!("{policy} is not in the template"))["PolicyDocument"]
        });
        let statements = own.chain(ours).flat_map(|document| list(&document["Statement"])).flat_map(either);
        statements
            .filter(|statement| {
                assert!(["Allow", "Deny"].iter().any(|effect| statement["Effect"] == *effect), "{statement}");
                statement["Effect"] == "Allow"
            })
            .flat_map(|statement| {
                let resources: Vec<String> = list(&statement["Resource"]).into_iter().map(named).collect();
                assert!(!resources.is_empty(), "{statement}");
                let actions = list(&statement["Action"]).into_iter().map(text);
                actions
                    .flat_map(|action| {
                        resources.iter().map(move |on| (action.clone(), on.clone())).collect::<Vec<_>>()
                    })
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

/// What a value stands for, as one word: `Api` for a reference to it, `Queue.Arn` for an attribute, `a|b` for one or
/// the other, and a text that values are put into as it is.
pub fn named(value: &Value) -> String {
    if let Some(either) = value.get("Fn::If").and_then(Value::as_array) {
        return either[1..].iter().map(named).collect::<Vec<_>>().join("|");
    }
    let only = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next());
    match (value, only) {
        (_, Some((key, Value::String(of)))) if ["Ref", "Fn::GetAtt", "Fn::Sub"].contains(&key.as_str()) => {
            of.clone()
        }
        (Value::String(text), _) => text.clone(),
        _ => value.to_string(),
    }
}

/// What there is under a condition or without it, where a value depends on one; nothing of what is no value.
fn either(value: &Value) -> Vec<&Value> {
    let branches = value.get("Fn::If").map_or_else(|| vec![value], |branches| list(branches).split_off(1));
    branches.into_iter().filter(|branch| named(branch) != "AWS::NoValue").collect()
}

/// The elements of a list; a value that is none is its own only element.
pub fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(elements) => elements.iter().collect(),
        one => vec![one],
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// Every object in `value`, itself included.
pub fn objects(value: &Value) -> Vec<&Map<String, Value>> {
    let own = value.as_object().into_iter();
    let inner: Vec<&Value> = match value {
        Value::Object(object) => object.values().collect(),
        Value::Array(elements) => elements.iter().collect(),
        _ => Vec::new(),
    };
    own.chain(inner.into_iter().flat_map(objects)).collect()
}

/// `StartMigration` is built from `start-migration`.
pub fn dashed(id: &str) -> String {
    let mut name = String::new();
    for character in id.chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

/// What holds for all functions holds for each unless it says otherwise.
fn merge(whole: &mut Value, own: &Value) {
    match (whole, own) {
        (Value::Object(whole), Value::Object(own)) => {
            for (key, value) in own {
                merge(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        (whole, own) => *whole = own.clone(),
    }
}

fn long(value: yaml_serde::Value) -> Value {
    match value {
        yaml_serde::Value::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let function = tag.trim_start_matches('!');
            let key = if function == "Ref" { function.to_owned() } else { format!("Fn::{function}") };
            json!({ key: long(tagged.value) })
        }
        yaml_serde::Value::Sequence(elements) => elements.into_iter().map(long).collect(),
        yaml_serde::Value::Mapping(mapping) => {
            Value::Object(mapping.into_iter().map(|(key, value)| (text(&long(key)), long(value))).collect())
        }
        plain => serde_json::to_value(plain).unwrap(),
    }
}
