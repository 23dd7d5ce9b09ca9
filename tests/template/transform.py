"""Transforms a SAM template as CloudFormation does, offline: writes the result as JSON, prints what it consists of.

usage: transform.py TEMPLATE RESULT
"""

import json
import sys

from samcli.commands.deploy.auth_utils import auth_per_resource
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def main(source, result):
    with open(source, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # Where packaging puts what was built.
            resource["Properties"]["CodeUri"] = "s3://artefacts/bootstrap.zip"
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = "s3://artefacts/layer.zip"
    # Managed policies of AWS are named by ARN: none has to be looked up.
    transformed = Translator({}, Parser()).translate(template, {})
    with open(result, "w", encoding="utf-8") as file:
        json.dump(transformed, file, indent=1)

    # Enter is "no", and ends the deployment.
    for function, authorized in auth_per_resource(SamLocalStackProvider.get_stacks(source)[0]):
        if not authorized:
            print("asked at a guided deployment", function)
    resources = transformed["Resources"]
    for name, resource in sorted(resources.items()):
        print(resource["Type"], name)
    for name, resource in sorted(resources.items()):
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::ApiGatewayV2::Api":
            for path, methods in sorted(properties["Body"]["paths"].items()):
                for method, operation in sorted(methods.items()):
                    integration = operation["x-amazon-apigateway-integration"]
                    function = integration["uri"]["Fn::Sub"].split("/functions/")[1].split(".")[0]
                    print("route", method.upper(), path, function.lstrip("${"), integration["payloadFormatVersion"])
        if resource["Type"] == "AWS::Events::Rule":
            targets = [target["Arn"]["Fn::GetAtt"][0] for target in properties["Targets"]]
            print("schedule", properties["ScheduleExpression"], *targets)
        if resource["Type"] == "AWS::Lambda::Permission":
            source = properties["SourceArn"]
            if "Fn::Sub" in source:
                source = source["Fn::Sub"].split(":")[-1]
            print("caller", properties["FunctionName"]["Ref"], properties["Principal"], json.dumps(source))


if __name__ == "__main__":
    main(*sys.argv[1:])
