//! The database, and what brings it to where the functions want it.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::store::schema::newest;

use super::document::{Template, list, named, text, workspace};

#[test]
fn applies_the_newest_script_before_any_function() {
    let template = Template::read();
    let resources = template.resources("AWS::CloudFormation::CustomResource");
    let [schema] = resources.values().collect::<Vec<_>>()[..] else { panic!("{resources:?}") };
    assert_eq!(schema["NewestScript"], newest(), "write it into template.yaml, so that it is applied");
    assert_eq!(named(&schema["ServiceToken"]), "ApplySchema.Arn");
    // The database has an instance by then, where it is created.
    assert!(named(&schema["Instance"]).starts_with("DatabaseWriter|"));
    let timeout = apply_schema::BUDGETS.invocation.as_secs();
    assert!(schema["ServiceTimeout"].as_u64().unwrap() > 3 * timeout, "the platform tries three times");
    for (id, function) in template.whole()["Resources"].as_object().unwrap() {
        if function["Type"] == "AWS::Serverless::Function" && id != "ApplySchema" {
            assert!(list(&function["DependsOn"]).iter().any(|on| *on == "Schema"), "{id}");
        }
    }
}

#[test]
fn the_roles_secrets_are_theirs_and_generated() {
    let template = Template::read();
    let secrets = template.resources("AWS::SecretsManager::Secret");
    for (id, role) in [
        ("WritingSecret", "migration_driver"),
        ("ReadingSecret", "migration_reader"),
        ("ReplicationSecret", "migration_replication"),
    ] {
        let generated = &secrets[id]["GenerateSecretString"];
        let fixed: Value = serde_json::from_str(&text(&generated["SecretStringTemplate"])).unwrap();
        assert_eq!(fixed["username"], role);
        assert_eq!(generated["GenerateStringKey"], "password");
        assert!(generated["PasswordLength"].as_u64() >= Some(32));
    }
}

#[test]
fn keeps_the_secrets_that_others_know_too() {
    let template = Template::read();
    let resources = template.whole()["Resources"].as_object().unwrap();
    let kept: BTreeSet<&str> = resources
        .iter()
        .filter(|(_, of)| of["Type"] == "AWS::SecretsManager::Secret" && of.get("DeletionPolicy").is_some())
        .map(|(id, of)| {
            // CloudFormation deletes secrets at once. One whose first creation failed is worth nothing.
            assert_eq!(of["DeletionPolicy"], "RetainExceptOnCreate", "{id}");
            assert_eq!(of["UpdateReplacePolicy"], "Retain", "{id}");
            id.as_str()
        })
        .collect();
    assert_eq!(kept, BTreeSet::from(["NotificationSecret", "SigningKey"]));
}

#[test]
fn tells_the_database_of_passwords_that_are_made_anew() {
    let template = Template::read();
    let schema = template.resources("AWS::CloudFormation::CustomResource")["Schema"];
    let secrets = template.resources("AWS::SecretsManager::Secret");
    for id in ["WritingSecret", "ReadingSecret", "ReplicationSecret"] {
        // A change of these makes another password, and nothing else would make the function run.
        let made_by = format!("{}", secrets[id]["GenerateSecretString"]["PasswordLength"]);
        assert_eq!(schema["PasswordLength"].to_string(), made_by, "{id}");
        assert_eq!(secrets[id]["GenerateSecretString"]["ExcludePunctuation"], true, "{id}");
        assert_eq!(secrets[id]["GenerateSecretString"].as_object().unwrap().len(), 4, "{id}");
        assert!(list(&schema["Secrets"]).into_iter().any(|secret| named(secret).contains(id)), "{id}");
    }
}

#[test]
fn reads_a_created_reader_only_once_it_is_there() {
    let waits = |topology| {
        let template = Template::with(&[("Topology", topology), ("CreateDatabase", "true")]);
        named(&template.resources("AWS::CloudFormation::CustomResource")["Schema"]["ReaderInstance"])
    };
    // Until there is a second instance, the reader endpoint leads to the writer.
    assert_eq!(["single", "direct-reader"].map(waits), ["null", "DatabaseReader"]);
}

#[test]
fn shows_a_stack_policy_that_keeps_the_created_cluster() {
    let template = Template::read();
    let handbook = std::fs::read_to_string(workspace().join("functions/README.md")).unwrap();
    let body = handbook.split("--stack-policy-body '").nth(1).and_then(|rest| rest.split('\'').next());
    let policy: Value = serde_json::from_str(body.expect("a stack policy")).unwrap();
    let [allow, deny] = list(&policy["Statement"])[..] else { panic!("{policy}") };
    assert_eq!((&allow["Effect"], &allow["Resource"]), (&"Allow".into(), &"*".into()));
    assert_eq!(deny["Effect"], "Deny");
    assert_eq!(list(&deny["Action"]), ["Update:Replace", "Update:Delete"]);
    let resources: Vec<String> = list(&deny["Resource"]).into_iter().map(text).collect();
    assert_eq!(resources, ["LogicalResourceId/Database"]);
    assert!(template.resources("AWS::RDS::DBCluster").contains_key("Database"));
}

#[test]
fn creates_a_database_that_never_sleeps_and_is_kept() {
    let template = Template::read();
    let whole = &template.whole()["Resources"]["Database"];
    assert_eq!(
        (&whole["DeletionPolicy"], &whole["UpdateReplacePolicy"]),
        (&"Snapshot".into(), &"Snapshot".into())
    );
    let cluster = &whole["Properties"];
    for kept in ["EnableHttpEndpoint", "ManageMasterUserPassword", "StorageEncrypted"] {
        assert_eq!(cluster[kept], true, "{kept}");
    }
    let parameters = &template.whole()["Parameters"];
    assert_eq!(named(&cluster["DeletionProtection"]), "DatabaseDeletionProtection");
    assert_eq!(parameters["DatabaseDeletionProtection"]["Default"], "true");
    let capacity = named(&cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"]);
    assert!(parameters[&capacity]["MinValue"].as_f64() >= Some(0.5), "it would pause");
    let instances = template.resources("AWS::RDS::DBInstance");
    assert_eq!(instances.keys().copied().collect::<Vec<_>>(), ["DatabaseReader", "DatabaseWriter"]);
    for (id, instance) in instances {
        assert_eq!(
            (&instance["DBInstanceClass"], &instance["PubliclyAccessible"]),
            (&"db.serverless".into(), &false.into()),
            "{id}"
        );
    }
}

#[test]
fn has_database_resources_only_where_one_is_created() {
    let template = Template::read();
    let resources = template.whole()["Resources"].as_object().unwrap();
    let created: BTreeSet<&str> = resources
        .iter()
        .filter(|(_, resource)| {
            ["AWS::RDS::", "AWS::EC2::"].iter().any(|of| text(&resource["Type"]).starts_with(of))
        })
        .map(|(id, resource)| {
            let condition = text(&resource["Condition"]);
            assert!(["CreatesDatabase", "ReadsDirectlyWhatIsCreated"].contains(&condition.as_str()), "{id}");
            (id.as_str(), condition == "CreatesDatabase")
        })
        .filter_map(|(id, always)| always.then_some(id))
        .collect();
    assert!(created.contains("Database") && created.len() == 8, "{created:?}");
}

#[test]
fn every_parameter_has_a_default_or_nobody_could_know_it() {
    let template = Template::read();
    let parameters = template.whole()["Parameters"].as_object().unwrap();
    let asked: Vec<&str> = parameters
        .iter()
        .filter(|(_, of)| of.get("Default").is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(asked, ["RegistrySigningKey", "RegistryTokenAudience", "RegistryTokenIssuer", "RegistryUrl"]);
}
