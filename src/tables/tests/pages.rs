//! The pages of single layers.

use super::*;

#[test]
fn the_page_of_a_layer() {
    insta::assert_snapshot!(Catalog::new().render()["layers/arns/layers/pandas.md"], @r#"
    # pandas

    Data frames

    Made of `pandas`, `numpy>=2`, as [asked for](../../../layers/pandas.yaml). [All layers](../README.md) · New versions as a feed: [Atom](../feeds/layers/pandas.atom), [JSON Feed](../feeds/layers/pandas.json)

    ## What is inside

    | For | Version | Zipped | Unzipped | Files | Regions | SHA-256 of the zip |
    | --- | --- | --- | --- | --- | --- | --- |
    | Python 3.13 on x86_64 | 2.3.3 | 26.8 MiB | 92.7 MiB | 1234 | 2 | `ca93a5ed51b4cb357b58242db14e2ae32ae11e093c7382d805b3b0c1f032f9be` |
    | Python 3.13 on arm64 | 2.3.3 | 26.8 MiB | 92.7 MiB | 1234 | 1 | `e10baadcd1343082d50b2f1d3b79608541fe89dccaf44d9e4e11f9f23389f76c` |

    | Package | p3.13 | p3.13-arm64 | Licence |
    | --- | --- | --- | --- |
    | numpy | 2.3.5 | 2.3.4 | BSD-3-Clause |
    | pandas | 2.3.3 | 2.3.3 | BSD 3-Clause |

    ## ARNs

    <details>
    <summary>Python 3.13 on x86_64</summary>

    The number at the end of the ARN differs between regions.

    | Region | Version | Arn |
    | --- | --- | --- |
    | eu-west-1 | 2.3.3 | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-pandas:3` |
    | us-east-1 | 2.3.3 | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4` |

    </details>

    <details>
    <summary>Python 3.13 on arm64</summary>

    | Region | Version | Arn |
    | --- | --- | --- |
    | us-east-1 | 2.3.3 | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-arm64-pandas:2` |

    </details>

    ## Use it

    For Python 3.13 on x86_64 in us-east-1; take the ARN of your own combination from above.

    AWS SAM:

    ```yaml
    Resources:
      Function:
        Type: AWS::Serverless::Function
        Properties:
          Runtime: python3.13
          Architectures: [x86_64]
          Handler: app.handler
          CodeUri: src/
          Layers:
            - arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4
    ```

    AWS CDK (Python):

    ```python
    from aws_cdk import aws_lambda

    layer = aws_lambda.LayerVersion.from_layer_version_arn(
        self, "Layer", "arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4"
    )
    aws_lambda.Function(
        self,
        "Function",
        runtime=aws_lambda.Runtime.PYTHON_3_13,
        architecture=aws_lambda.Architecture.X86_64,
        handler="app.handler",
        code=aws_lambda.Code.from_asset("src"),
        layers=[layer],
    )
    ```

    Terraform:

    ```hcl
    resource "aws_lambda_function" "function" {
      function_name = "function"
      role          = aws_iam_role.function.arn
      runtime       = "python3.13"
      architectures = ["x86_64"]
      handler       = "app.handler"
      filename      = "function.zip"
      layers        = ["arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4"]
    }
    ```

    Serverless Framework:

    ```yaml
    provider:
      name: aws
      region: us-east-1
      runtime: python3.13
      architecture: x86_64

    functions:
      function:
        handler: app.handler
        layers:
          - arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4
    ```

    AWS CLI (replaces the layers that the function has):

    ```sh
    aws lambda update-function-configuration --region us-east-1 --function-name function \
      --layers arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4
    ```

    ## History

    | Published | Version | For | Status | Expiry Date | Regions | Zip |
    | --- | --- | --- | --- | --- | --- | --- |
    | 2026-11-20 | 2.3.3 | Python 3.13 on x86_64 | latest |  | 2 | `ca93a5ed51b4cb35` |
    | 2026-11-20 | 2.3.3 | Python 3.13 on arm64 | latest |  | 1 | `e10baadcd1343082` |
    | 2026-10-01 | 2.3.2 | Python 3.13 on x86_64 | deprecated | 2027-10-01 | 1 | `d1a7b95d8b0fbdaa` |
    "#);
}

#[test]
fn the_page_of_a_retired_layer() {
    insta::assert_snapshot!(Catalog::new().render()["layers/arns/layers/retired.md"], @"
    # retired

    Nobody asks for this layer any more: it gets no new versions, and those below expire. [All layers](../README.md) · New versions as a feed: [Atom](../feeds/layers/retired.atom), [JSON Feed](../feeds/layers/retired.json)

    ## History

    | Published | Version | For | Status | Expiry Date | Regions | Zip |
    | --- | --- | --- | --- | --- | --- | --- |
    | 2026-10-01 | 1.0 | Python 3.13 on x86_64 | deprecated | 2027-10-01 | 1 | `9eef45331cca091f` |
    ");
}

#[test]
fn regions_that_lag_behind_are_told_apart() {
    let mut catalog = Catalog::new();
    let mut newer = version("pandas", "p3.13", "us-east-1", "2.4.0", 5);
    newer.live_at = Some(at("2026-11-22"));
    catalog.versions[0] = deprecated(catalog.versions[0].clone());
    catalog
        .builds
        .push(build(&newer, &[("pandas", "2.4.0", None)]));
    catalog.versions.push(newer);
    let page = &catalog.render()["layers/arns/layers/pandas.md"];
    let of = |heading: &str| {
        let (_, after) = page.split_once(&format!("## {heading}\n")).unwrap();
        after.split("\n## ").next().unwrap().trim().to_owned()
    };
    insta::assert_snapshot!(of("What is inside"), @"
    | For | Version | Zipped | Unzipped | Files | Regions | SHA-256 of the zip |
    | --- | --- | --- | --- | --- | --- | --- |
    | Python 3.13 on x86_64 | 2.4.0 | 26.8 MiB | 92.7 MiB | 1234 | 1 | `dfd44cdb20d44d540c1d04c3f8adf9ddcc1cc77563a3a6058f8189fea8523ad2` |
    | Python 3.13 on x86_64 | 2.3.3 | 26.8 MiB | 92.7 MiB | 1234 | 1 | `ca93a5ed51b4cb357b58242db14e2ae32ae11e093c7382d805b3b0c1f032f9be` |
    | Python 3.13 on arm64 | 2.3.3 | 26.8 MiB | 92.7 MiB | 1234 | 1 | `e10baadcd1343082d50b2f1d3b79608541fe89dccaf44d9e4e11f9f23389f76c` |

    | Package | p3.13 | p3.13-arm64 | Licence |
    | --- | --- | --- | --- |
    | numpy |  | 2.3.4 | BSD-3-Clause |
    | pandas | 2.4.0 | 2.3.3 | unknown |
    ");
    insta::assert_snapshot!(of("History"), @"
    | Published | Version | For | Status | Expiry Date | Regions | Zip |
    | --- | --- | --- | --- | --- | --- | --- |
    | 2026-11-22 | 2.4.0 | Python 3.13 on x86_64 | latest |  | 1 | `dfd44cdb20d44d54` |
    | 2026-11-20 | 2.3.3 | Python 3.13 on arm64 | latest |  | 1 | `e10baadcd1343082` |
    | 2026-10-01 | 2.3.2 | Python 3.13 on x86_64 | deprecated | 2027-10-01 | 1 | `d1a7b95d8b0fbdaa` |
    | 2026-10-01 | 2.3.3 | Python 3.13 on x86_64 | latest in 1, deprecated in 1 | 2027-10-01 | 2 | `ca93a5ed51b4cb35` |
    ");
}

#[test]
fn a_layer_whose_request_file_has_a_mistake_is_not_called_retired() {
    let mut catalog = Catalog::new();
    catalog.held.insert("retired".parse().unwrap());
    let files = catalog.render();
    let page = &files["layers/arns/layers/retired.md"];
    assert!(page.contains("has a mistake: until that is mended, the layer stays as it is."));
    let overview = &files["layers/arns/README.md"];
    assert!(overview.contains("| Stays as it is: the file that asks for it has a mistake. |"));
    assert!(!page.contains("expire") && !overview.contains("No longer built"));
}
