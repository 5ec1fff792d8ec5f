"""Shows what deploy/template.yaml becomes: the plain CloudFormation template, as JSON, without asking AWS.

AWS does this in two steps when the stack is deployed: `AWS::LanguageExtensions` repeats what stands in `Fn::ForEach`, then
`AWS::Serverless-2016-10-31` turns its own resources into plain ones. The second step is AWS' own translator
(aws-sam-translator); it leaves loops alone, so the first one is here. A state machine gets the definition that its file holds.

    python translate.py TEMPLATE [PARAMETER=VALUE]...
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.model.exceptions import InvalidDocumentException  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

LOOP = "Fn::ForEach::"


class NoManagedPolicies:
    """The roles are written out; a name that the translator looked up would be a mistake."""

    def load(self):
        return {}


def replaced(value, name, item):
    """`value` with the loop's variable replaced: `${name}`, `&{name}` (letters and digits only) and `!Ref name`."""
    if value == {"Ref": name}:
        return item
    if isinstance(value, dict):
        return {replaced(key, name, item): replaced(inner, name, item) for key, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, name, item) for inner in value]
    if isinstance(value, str):
        plain = "".join(letter for letter in item if letter.isalnum())
        return value.replace("${%s}" % name, item).replace("&{%s}" % name, plain)
    return value


def collection(template, parameters, given):
    """The items of a loop: a list, a parameter that holds one, or an entry of the mappings."""
    if isinstance(given, dict) and "Fn::FindInMap" in given:
        found = template["Mappings"]
        for key in given["Fn::FindInMap"]:
            found = found[key]
        given = found
    elif isinstance(given, dict) and "Ref" in given:
        text = parameters.get(given["Ref"], template["Parameters"][given["Ref"]].get("Default", ""))
        given = text.split(",")
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise ValueError(f"a loop goes over a list of strings, not over {given!r}")
    return given


def expanded(template, parameters, value):
    """`value` with every loop written out."""
    if isinstance(value, list):
        return [expanded(template, parameters, inner) for inner in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, inner in value.items():
        if not key.startswith(LOOP):
            pairs = [(key, expanded(template, parameters, inner))]
        else:
            name, items, body = inner
            pairs = [
                pair
                for item in collection(template, parameters, items)
                for pair in expanded(template, parameters, replaced(body, name, item)).items()
            ]
        for name, made in pairs:
            if name in result:
                raise ValueError(f"{name} is there twice")
            result[name] = made
    return result


def translated(path, parameters):
    template = yaml_parse(path.read_text(encoding="utf-8"))
    transforms = template.pop("Transform")
    if transforms != ["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"]:
        raise ValueError(f"these transforms are not known here: {transforms}")
    template = expanded(template, parameters, template)
    definitions = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::StateMachine":
            file = path.parent / resource["Properties"]["DefinitionUri"]
            definitions[name] = json.loads(file.read_text(encoding="utf-8"))
            # What packaging puts here.
            resource["Properties"]["DefinitionUri"] = {"Bucket": "bucket", "Key": "key"}
    template["Transform"] = "AWS::Serverless-2016-10-31"
    result = transform(template, dict(parameters), NoManagedPolicies())
    for name, definition in definitions.items():
        properties = result["Resources"][name]["Properties"]
        del properties["DefinitionS3Location"]
        properties["Definition"] = definition
    return result


def main():
    path, *given = sys.argv[1:]
    parameters = dict(entry.split("=", 1) for entry in given)
    try:
        result = translated(pathlib.Path(path), parameters)
    except InvalidDocumentException as error:
        sys.exit("\n".join([error.message, *(cause.message for cause in error.causes)]))
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{path}: {error!r}")
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
