//! The network of the functions that read directly, and that nothing else is in one.

use std::collections::BTreeSet;

use super::{
    document::{Template, list, named, text},
    topologies,
};

/// What Lambda does in a function's name to have its network interfaces.
pub const INTERFACES: [&str; 6] = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
];

#[test]
fn puts_only_direct_readers_into_the_vpc() {
    let bundles = [("CaBundleLayerArn", ""), ("CaBundleLayerArn", "arn:layer")];
    let all = topologies().into_iter().flat_map(|parameters| {
        bundles.map(|bundle| {
            parameters.iter().copied().chain([bundle, ("RegistryCaLayerArn", "")]).collect::<Vec<_>>()
        })
    });
    for parameters in all {
        let direct = parameters.contains(&("Topology", "direct-reader"));
        let own = parameters.contains(&bundles[1]);
        let layers_made = Template::with(&parameters).resources("AWS::Serverless::LayerVersion").len();
        assert_eq!(layers_made, usize::from(direct && !own), "{parameters:?}");
        let (subnets, groups) = if parameters.contains(&("CreateDatabase", "true")) {
            (
                r#"[{"Ref":"NetworkSubnetA"},{"Ref":"NetworkSubnetB"}]"#,
                r#"[{"Fn::GetAtt":"ReadingFunctions.GroupId"}]"#,
            )
        } else {
            (
                r#"{"Fn::Split":[",",{"Ref":"ReaderSubnetIds"}]}"#,
                r#"{"Fn::Split":[",",{"Ref":"ReaderSecurityGroupIds"}]}"#,
            )
        };
        let mut reading = 0;
        for (name, function) in Template::with(&parameters).functions() {
            let layers: Vec<String> = list(&function.properties["Layers"]).into_iter().map(named).collect();
            let place = &function.properties["VpcConfig"];
            if !(direct && function.environment.contains_key("READER_HOST")) {
                assert!(place.is_null() && layers.is_empty(), "{name} with {parameters:?}");
                continue;
            }
            reading += 1;
            assert_eq!(place["SubnetIds"].to_string(), subnets, "{name}");
            assert_eq!(place["SecurityGroupIds"].to_string(), groups, "{name}");
            assert_eq!(layers, [if own { "CaBundleLayerArn" } else { "Authorities" }], "{name}");
        }
        assert_eq!(reading, if direct { 3 } else { 0 }, "{parameters:?}");
    }
}

#[test]
fn lets_go_of_a_vpc_in_every_topology() {
    // A role is changed before its function: what is allowed under a condition would be gone while it is needed.
    for parameters in topologies() {
        let template = Template::with(&parameters);
        for (name, function) in template.functions() {
            assert!(function.policies_of_aws.is_empty(), "{name}: {:?}", function.policies_of_aws);
            let may: BTreeSet<&str> = INTERFACES
                .into_iter()
                .filter(|action| function.permissions.contains(&((*action).to_owned(), "*".to_owned())))
                .collect();
            let may_be_in_a_vpc =
                function.environment.contains_key("READER_SECRET_ARN") && name != "apply-schema";
            let expected = if may_be_in_a_vpc { BTreeSet::from(INTERFACES) } else { BTreeSet::new() };
            assert_eq!(may, expected, "{name} with {parameters:?}");
        }
    }
}

#[test]
fn denies_the_functions_code_what_lambda_may_in_its_name() {
    let template = Template::read();
    let policy = template.resources("AWS::IAM::ManagedPolicy")["InterfacesPolicy"];
    let [allow, deny] = list(&policy["PolicyDocument"]["Statement"])[..] else { panic!("{policy}") };
    assert_eq!((&allow["Effect"], &deny["Effect"]), (&"Allow".into(), &"Deny".into()));
    assert_eq!(allow["Action"], deny["Action"]);
    // A call of the code names its function; one of Lambda's own does not.
    let source = &deny["Condition"]["ArnLike"]["lambda:SourceFunctionArn"];
    assert_eq!(named(source), "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:*");
}

#[test]
fn puts_subnets_into_the_zones_that_are_named() {
    for topology in ["single", "direct-reader"] {
        let template = Template::with(&[("Topology", topology), ("CreateDatabase", "true")]);
        let zones: BTreeSet<String> = template
            .resources("AWS::EC2::Subnet")
            .values()
            .map(|subnet| named(&subnet["AvailabilityZone"]))
            .collect();
        assert_eq!(zones, BTreeSet::from(["ZoneA", "ZoneB"].map(str::to_owned)), "{topology}");
    }
}

#[test]
fn gives_authorities_only_to_what_asks_the_registry() {
    for layer in ["", "arn:layer"] {
        for parameters in topologies() {
            let parameters: Vec<_> = parameters.into_iter().chain([("RegistryCaLayerArn", layer)]).collect();
            for (name, function) in Template::with(&parameters).functions() {
                let layers: Vec<String> =
                    list(&function.properties["Layers"]).into_iter().map(named).collect();
                let expected = !layer.is_empty() && function.environment.contains_key("REGISTRY_URL");
                assert_eq!(layers.contains(&"RegistryCaLayerArn".to_owned()), expected, "{name}: {layers:?}");
                let given = function.environment.contains_key("REGISTRY_CA_FILE");
                assert_eq!(given, expected, "{name}");
            }
        }
    }
}

#[test]
fn adds_no_network_to_other_topologies() {
    let made = |parameters: &[(&str, &str)]| -> BTreeSet<String> {
        let template = Template::with(parameters);
        let all = template.whole()["Resources"].as_object().unwrap();
        all.iter()
            .filter(|(_, of)| text(&of["Type"]).starts_with("AWS::EC2::"))
            .map(|(id, _)| id.clone())
            .collect()
    };
    let network = ["Network", "NetworkSubnetA", "NetworkSubnetB", "DatabaseSecurityGroup"].map(str::to_owned);
    for parameters in topologies() {
        let expected = match (parameters[0].1, parameters[1].1) {
            (_, "false") => BTreeSet::new(),
            ("direct-reader", _) => continue,
            _ => BTreeSet::from(network.clone()),
        };
        assert_eq!(made(&parameters), expected, "{parameters:?}");
    }
}

fn created() -> Template {
    Template::with(&[("Topology", "direct-reader"), ("CreateDatabase", "true")])
}

/// Where everything goes that leaves a subnet, by what its route names.
fn way_out(template: &Template, subnet: &str, by: &str) -> String {
    let tables = template.resources("AWS::EC2::SubnetRouteTableAssociation");
    let table =
        tables.values().find(|of| named(&of["SubnetId"]) == subnet).map(|of| named(&of["RouteTableId"]));
    let routes = template.resources("AWS::EC2::Route");
    let route = routes.values().find(|route| Some(named(&route["RouteTableId"])) == table).unwrap();
    assert_eq!(route["DestinationCidrBlock"], "0.0.0.0/0");
    named(&route[by])
}

#[test]
fn leads_out_by_a_gateway_and_to_needed_services() {
    let template = created();
    let private = ["NetworkSubnetA", "NetworkSubnetB"];
    for subnet in private {
        let nat = way_out(&template, subnet, "NatGatewayId");
        let public = named(&template.resources("AWS::EC2::NatGateway")[nat.as_str()]["SubnetId"]);
        assert!(!private.contains(&public.as_str()));
        let internet = way_out(&template, &public, "GatewayId");
        assert!(
            template.resources("AWS::EC2::InternetGateway").contains_key(internet.as_str()),
            "{internet}"
        );
    }
    let endpoints = template.resources("AWS::EC2::VPCEndpoint");
    let services: BTreeSet<String> = endpoints.values().map(|of| named(&of["ServiceName"])).collect();
    let expected = ["secretsmanager", "rds-data"].map(|of| format!("com.amazonaws.${{AWS::Region}}.{of}"));
    assert_eq!(services, BTreeSet::from(expected));
    let groups = template.resources("AWS::EC2::SecurityGroup");
    for (id, endpoint) in endpoints {
        assert_eq!(endpoint["PrivateDnsEnabled"], true, "{id}: the SDK knows no other name");
        assert_eq!(list(&endpoint["SubnetIds"]).into_iter().map(named).collect::<Vec<_>>(), private, "{id}");
        let group = named(list(&endpoint["SecurityGroupIds"])[0]);
        let [ingress] = list(&groups[group.trim_end_matches(".GroupId")]["SecurityGroupIngress"])[..] else {
            panic!("{id}")
        };
        assert_eq!((&ingress["FromPort"], &ingress["ToPort"]), (&443.into(), &443.into()), "{id}");
        assert_eq!(named(&ingress["SourceSecurityGroupId"]), "ReadingFunctions.GroupId", "{id}");
    }
}

#[test]
fn lets_only_reading_functions_into_the_database() {
    let template = created();
    let database: Vec<String> =
        list(&template.resources("AWS::RDS::DBCluster")["Database"]["VpcSecurityGroupIds"])
            .into_iter()
            .map(named)
            .collect();
    assert_eq!(database, ["DatabaseSecurityGroup"]);
    assert!(
        template.resources("AWS::EC2::SecurityGroup")["DatabaseSecurityGroup"]["SecurityGroupIngress"]
            .is_null()
    );
    let all = template.resources("AWS::EC2::SecurityGroupIngress");
    let [ingress] = all.into_values().collect::<Vec<_>>()[..] else { panic!("one is expected") };
    assert_eq!(named(&ingress["GroupId"]), "DatabaseSecurityGroup.GroupId");
    assert_eq!(named(&ingress["SourceSecurityGroupId"]), "ReadingFunctions.GroupId");
    assert_eq!([named(&ingress["FromPort"]), named(&ingress["ToPort"])], ["Database.Endpoint.Port"; 2]);
    let reading = &template.functions()["migration-status"];
    assert_eq!(reading.environment["READER_PORT"], "Database.Endpoint.Port");
}
