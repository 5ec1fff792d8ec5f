//! A function that uses a layer, ready to copy, for the usual tools.

use crate::model::{Architecture, Region, Target};

/// Code blocks of Markdown for SAM, CDK, Terraform, the Serverless Framework and the AWS CLI.
pub(super) fn render(arn: &str, target: Target, region: &Region) -> String {
    let runtime = target.python.runtime();
    let constant = runtime.to_uppercase().replace("PYTHON3.", "PYTHON_3_");
    let architecture = target.architecture;
    let cdk_architecture = match architecture {
        Architecture::X86_64 => "X86_64",
        Architecture::Arm64 => "ARM_64",
    };
    let blocks = [
        (
            "AWS SAM",
            "yaml",
            format!(
                "Resources:\n  Function:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: {runtime}\n      \
                 Architectures: [{architecture}]\n      Handler: app.handler\n      CodeUri: src/\n      Layers:\n        - {arn}\n"
            ),
        ),
        (
            "AWS CDK (Python)",
            "python",
            format!(
                "from aws_cdk import aws_lambda\n\nlayer = aws_lambda.LayerVersion.from_layer_version_arn(\n    self, \"Layer\", \
                 \"{arn}\"\n)\naws_lambda.Function(\n    self,\n    \"Function\",\n    runtime=aws_lambda.Runtime.{constant},\n    \
                 architecture=aws_lambda.Architecture.{cdk_architecture},\n    handler=\"app.handler\",\n    \
                 code=aws_lambda.Code.from_asset(\"src\"),\n    layers=[layer],\n)\n"
            ),
        ),
        (
            "Terraform",
            "hcl",
            format!(
                "resource \"aws_lambda_function\" \"function\" {{\n  function_name = \"function\"\n  role          = \
                 aws_iam_role.function.arn\n  runtime       = \"{runtime}\"\n  architectures = [\"{architecture}\"]\n  handler       = \
                 \"app.handler\"\n  filename      = \"function.zip\"\n  layers        = [\"{arn}\"]\n}}\n"
            ),
        ),
        (
            "Serverless Framework",
            "yaml",
            format!(
                "provider:\n  name: aws\n  region: {region}\n  runtime: {runtime}\n  architecture: {architecture}\n\nfunctions:\n  \
                 function:\n    handler: app.handler\n    layers:\n      - {arn}\n"
            ),
        ),
        (
            "AWS CLI (replaces the layers that the function has)",
            "sh",
            format!(
                "aws lambda update-function-configuration --region {region} --function-name function \\\n  --layers {arn}\n"
            ),
        ),
    ];
    let blocks: Vec<String> = blocks
        .iter()
        .map(|(tool, language, text)| format!("{tool}:\n\n```{language}\n{text}```\n"))
        .collect();
    blocks.join("\n")
}
