//! What a stack with certain parameters comes to: conditions are decided as CloudFormation would.

use serde_json::{Map, Value};

use super::document::{list, text};

/// `value` with every `Fn::If` decided and every resource that has a `Condition` kept or left out. None: nothing.
pub fn decide(value: &Value, conditions: &Value, parameters: &[(&str, &str)]) -> Option<Value> {
    let holds = |name: &Value| holds(&conditions[text(name)], conditions, parameters);
    match value {
        Value::Object(object) => {
            if let Some(branches) = object.get("Fn::If") {
                let [name, yes, no] = list(branches)[..] else { panic!("{branches}") };
                return decide(if holds(name) { yes } else { no }, conditions, parameters);
            }
            if object.get("Ref").is_some_and(|of| of == "AWS::NoValue") {
                return None;
            }
            // A condition by name is one of a resource; those of a policy's statement are objects.
            if let Some(name @ Value::String(_)) = object.get("Condition")
                && !holds(name)
            {
                return None;
            }
            let kept: Map<String, Value> = object
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), decide(value, conditions, parameters)?)))
                .collect();
            Some(Value::Object(kept))
        }
        Value::Array(elements) => {
            Some(elements.iter().filter_map(|element| decide(element, conditions, parameters)).collect())
        }
        plain => Some(plain.clone()),
    }
}

/// Whether a condition holds; or one of a rule.
pub fn holds(condition: &Value, conditions: &Value, parameters: &[(&str, &str)]) -> bool {
    let operator =
        condition.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next());
    let Some((operator, operands)) = operator else { panic!("not a condition: {condition}") };
    let holds = |operand: &Value| holds(operand, conditions, parameters);
    match operator.as_str() {
        "Fn::Equals" => {
            let operands: Vec<String> = list(operands).into_iter().map(|of| worth(of, parameters)).collect();
            operands[0] == operands[1]
        }
        "Fn::Not" => !holds(list(operands)[0]),
        "Fn::And" => list(operands).into_iter().all(holds),
        "Fn::Or" => list(operands).into_iter().any(holds),
        "Fn::Contains" => {
            let [all, one] = list(operands)[..] else { panic!("{operands}") };
            list(all).into_iter().any(|of| worth(of, parameters) == worth(one, parameters))
        }
        "Condition" | "Fn::Condition" => holds(&conditions[text(operands)]),
        other => panic!("{other} is not known here"),
    }
}

/// A parameter that is not given stands for itself: it equals nothing else.
fn worth(value: &Value, parameters: &[(&str, &str)]) -> String {
    match value.get("Ref") {
        Some(name) => {
            let given = parameters.iter().find(|(parameter, _)| name == parameter);
            given.map_or_else(|| format!("the value of {name}"), |(_, value)| (*value).to_owned())
        }
        None => text(value),
    }
}
