//! The policy file.

use super::*;

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(policy("prefx: A\nregion: all\n"), @r"
    .github/layersmith.yaml:1:1: error: unknown key `prefx`: did you mean `prefix`?
    .github/layersmith.yaml:2:1: error: unknown key `region`: did you mean `regions`?
    ");
}

#[test]
fn a_list_instead_of_a_mapping() {
    insta::assert_snapshot!(policy("- a\n"), @".github/layersmith.yaml:1:1: error: the file must be a mapping of keys to values, found a list: write for example `prefix: Layersmith`");
}

#[test]
fn a_prefix_that_aws_would_refuse() {
    insta::assert_snapshot!(policy("prefix: my layers\n"), @".github/layersmith.yaml:1:9: error: `prefix` cannot be `my layers`: use letters, digits, `-` and `_`, 65 at most, such as `Layersmith`");
}

#[test]
fn wrong_types() {
    insta::assert_snapshot!(policy(r#"prefix: [a]
python: all
regions: 1
expire_after_days: a year
cooldown_days: 1.5
tables: md
limits: [1]
upgrade: true
visibility: [public]
"#), @r#"
    .github/layersmith.yaml:1:9: error: `prefix` must be text, found a list: write for example `prefix: Layersmith`
    .github/layersmith.yaml:2:9: error: `python` must be a list, found text: write for example `python: ["3.12", "3.13"]`
    .github/layersmith.yaml:3:10: error: `regions` must be `all` or a list, found a number: write for example `regions: [us-east-1, eu-west-1]`
    .github/layersmith.yaml:4:20: error: `expire_after_days` must be a whole number, found text: write for example `expire_after_days: 365`
    .github/layersmith.yaml:5:16: error: `cooldown_days` cannot be `1.5`: use a whole number from 0 to 365
    .github/layersmith.yaml:6:9: error: `tables` must be a mapping with `path` or `formats`, found text: write for example `tables: {path: layers/arns, formats: [md, csv, json, feed]}`
    .github/layersmith.yaml:7:9: error: `limits` must be a mapping with `packages_per_layer`, `layers_per_pull_request` or `build_seconds`, found a list: write for example `limits: {packages_per_layer: 30}`
    .github/layersmith.yaml:8:10: error: `upgrade` must be text, found the truth value `true`: write it in quotes: `"true"`
    .github/layersmith.yaml:9:13: error: `visibility` must be `public`, `private`, `{organization: …}` or `{accounts: […]}`, found a list: write for example `visibility: public`
    "#);
}

#[test]
fn numbers_out_of_bounds() {
    insta::assert_snapshot!(policy(r#"expire_after_days: 0
cooldown_days: -1
limits: {packages_per_layer: 0, layers_per_pull_request: 1e9, build_second: 3, build_seconds: 99999999999999999999}
"#), @r"
    .github/layersmith.yaml:1:20: error: `expire_after_days` cannot be `0`: use a whole number from 1 to 3650
    .github/layersmith.yaml:2:16: error: `cooldown_days` cannot be `-1`: use a whole number from 0 to 365
    .github/layersmith.yaml:3:30: error: `packages_per_layer` cannot be `0`: use a whole number from 1 to 200
    .github/layersmith.yaml:3:58: error: `layers_per_pull_request` cannot be `1e9`: use a whole number from 1 to 500
    .github/layersmith.yaml:3:63: error: unknown key `build_second`: did you mean `build_seconds`?
    .github/layersmith.yaml:3:95: error: `build_seconds` cannot be `99999999999999999999`: use a whole number from 1 to 3600
    ");
}

#[test]
fn visibility_in_another_shape() {
    insta::assert_snapshot!(policy("visibility: pubic\n"), @".github/layersmith.yaml:1:13: error: `visibility` cannot be `pubic`: did you mean `public`?");
    insta::assert_snapshot!(policy("visibility: organization\n"), @".github/layersmith.yaml:1:13: error: `visibility` cannot be `organization`: say which one: `visibility: {organization: o-abc1234567}`");
    insta::assert_snapshot!(policy("visibility: {organization: abc, accounts: [1]}\n"), @".github/layersmith.yaml:1:13: error: `visibility` must name either `organization` or `accounts`: write for example `visibility: {organization: o-abc1234567}`");
    insta::assert_snapshot!(policy("visibility: {organisation: o-abc1234567}\n"), @r"
    .github/layersmith.yaml:1:13: error: `visibility` must name either `organization` or `accounts`: write for example `visibility: {organization: o-abc1234567}`
    .github/layersmith.yaml:1:14: error: unknown key `organisation`: did you mean `organization`?
    ");
    insta::assert_snapshot!(policy("visibility: {organization: abc}\n"), @".github/layersmith.yaml:1:28: error: `abc` is not the id of an AWS organization: write `o-` and 10 to 32 lowercase letters and digits, such as `o-abc1234567`");
    insta::assert_snapshot!(policy(r#"visibility: {accounts: [123, 12345678901x, '123456789012', 1234-5678-9012, 123456789012]}
"#), @r#"
    .github/layersmith.yaml:1:25: error: `123` is not the id of an AWS account: write its 12 digits in quotes, such as `"123456789012"`
    .github/layersmith.yaml:1:30: error: `12345678901x` is not the id of an AWS account: write its 12 digits in quotes, such as `"123456789012"`
    .github/layersmith.yaml:1:60: warning: `accounts` lists `1234-5678-9012` twice: remove one of them
    .github/layersmith.yaml:1:76: warning: `accounts` lists `123456789012` twice: remove one of them
    "#);
}

#[test]
fn addresses_of_the_index() {
    insta::assert_snapshot!(policy("index_url: https://u:hunter2@example.com/simple\n"), @".github/layersmith.yaml:1:12: error: `index_url` contains credentials, and this file is for everybody to read: secrets do not belong in this file: take them out, revoke them, and give new ones to the bot in its settings");
    insta::assert_snapshot!(policy("index_url: ftp://example.com\n"), @".github/layersmith.yaml:1:12: error: `index_url` must begin with `https://` or `http://`: write for example `index_url: https://packages.example.com/simple`");
    insta::assert_snapshot!(policy("index_url: packages.example.com\n"), @".github/layersmith.yaml:1:12: error: `index_url` is not an address: write for example `index_url: https://packages.example.com/simple`");
    insta::assert_snapshot!(policy("index_url: https://example.com/simple?token=hunter2\n"), @".github/layersmith.yaml:1:12: error: `index_url` must end before `?` and `#`: a token there is a secret, and secrets do not belong in this file");
    insta::assert_snapshot!(policy("index_url: http://example.com/simple\n"), @".github/layersmith.yaml:1:12: warning: `index_url` is not encrypted: whoever is on the way can change what is installed: use `https://`");
    insta::assert_snapshot!(policy("index_url: https://token@example.com\n"), @".github/layersmith.yaml:1:12: error: `index_url` contains credentials, and this file is for everybody to read: secrets do not belong in this file: take them out, revoke them, and give new ones to the bot in its settings");
}

#[test]
fn misspelt_choices() {
    insta::assert_snapshot!(policy("upgrade: montly\nplan_pull_requests_from: colaborators\n"), @r"
    .github/layersmith.yaml:1:10: error: `upgrade` cannot be `montly`: did you mean `monthly`?
    .github/layersmith.yaml:2:26: error: `plan_pull_requests_from` cannot be `colaborators`: did you mean `collaborators`?
    ");
}

#[test]
fn where_tables_cannot_go() {
    insta::assert_snapshot!(policy("tables: {path: /etc}\n"), @".github/layersmith.yaml:1:16: error: the tables' path must be relative to the repository, found `/etc`: write for example `path: layers/arns`");
    insta::assert_snapshot!(policy("tables: {path: ../x}\n"), @".github/layersmith.yaml:1:16: error: the tables' path must stay inside the repository, found `../x`: write for example `path: layers/arns`");
    insta::assert_snapshot!(policy("tables: {path: layers}\n"), @".github/layersmith.yaml:1:16: error: the tables' path must not be the folder of the request files, found `layers`: write for example `path: layers/arns`");
    insta::assert_snapshot!(policy("tables: {path: layers/../..}\n"), @".github/layersmith.yaml:1:16: error: the tables' path must stay inside the repository, found `layers/../..`: write for example `path: layers/arns`");
    insta::assert_snapshot!(policy("tables: {path: .github/x}\n"), @".github/layersmith.yaml:1:16: error: the tables' path must not be a folder that git or GitHub uses, found `.github/x`: write for example `path: layers/arns`");
    insta::assert_snapshot!(policy("tables: {path: a//b}\n"), @".github/layersmith.yaml:1:16: error: the tables' path must be folders of letters, digits, `.`, `_` and `-`, found `a//b`: write for example `path: layers/arns`");
    insta::assert_snapshot!(policy("tables: {path: a b}\n"), @".github/layersmith.yaml:1:16: error: the tables' path must be folders of letters, digits, `.`, `_` and `-`, found `a b`: write for example `path: layers/arns`");
    insta::assert_snapshot!(policy("tables: {path: ./a}\n"), @".github/layersmith.yaml:1:16: error: the tables' path must be folders of letters, digits, `.`, `_` and `-`, found `./a`: write for example `path: layers/arns`");
    insta::assert_snapshot!(policy("tables: {path: ''}\n"), @".github/layersmith.yaml:1:16: error: the tables' path must be folders of letters, digits, `.`, `_` and `-`, found ``: write for example `path: layers/arns`");
    insta::assert_snapshot!(policy("tables: {path: layers/arns/}\n"), @"");
}

#[test]
fn formats_and_parts_of_tables() {
    insta::assert_snapshot!(policy("tables: {formats: [markdown, html, csv, csv], pth: x}\n"), @"
    .github/layersmith.yaml:1:20: error: `markdown` is not a table format: did you mean `md`?
    .github/layersmith.yaml:1:30: error: `html` is not a table format: use `md`, `csv`, `json` or `feed`
    .github/layersmith.yaml:1:41: warning: `formats` lists `csv` twice: remove one of them
    .github/layersmith.yaml:1:47: error: unknown key `pth`: did you mean `path`?
    ");
    insta::assert_snapshot!(policy("tables: {formats: []}\n"), @".github/layersmith.yaml:1:19: error: `formats` is an empty list: write for example `formats: [md, csv, json, feed]`");
}

#[test]
fn a_region_that_does_not_exist() {
    insta::assert_snapshot!(policy("regions: [us-east-1]\nexclude_regions: [us-east-1, us-est-2]\n"), @r"
    .github/layersmith.yaml:1:10: error: `exclude_regions` excludes every region that `regions` lists: nothing would be published: take one of them off `exclude_regions`
    .github/layersmith.yaml:2:30: error: `us-est-2` is not a region of AWS Lambda: did you mean `us-east-2`?
    ");
}

#[test]
fn no_region_left() {
    insta::assert_snapshot!(policy("regions: [us-east-1]\nexclude_regions: [us-east-1]\n"), @".github/layersmith.yaml:1:10: error: `exclude_regions` excludes every region that `regions` lists: nothing would be published: take one of them off `exclude_regions`");
}

#[test]
fn no_place_for_secrets() {
    insta::assert_snapshot!(policy("index_password: x\n"), @".github/layersmith.yaml:1:1: error: unknown key `index_password`: use `prefix`, `python`, `architectures`, `regions`, `exclude_regions`, `visibility`, `expire_after_days`, `cooldown_days`, `index_url`, `upgrade`, `align_versions`, `tables`, `staging`, `limits`, `notify`, `parameters` or `plan_pull_requests_from`");
}

#[test]
fn a_staging_bucket_is_a_pattern_with_a_region_in_it() {
    let read = |text: &str| {
        let (policy, problems) = parse_policy(".github/layersmith.yaml", text.as_bytes());
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let staging = policy.and_then(|policy| policy.staging);
        (
            staging.map(|bucket| bucket.to_string()),
            problems.join("\n"),
        )
    };
    for good in [
        "staging: layersmith-{account}-{region}\n",
        "staging: \"{region}-layers\"\n",
        "regions: [us-east-1]\nstaging: layers\n",
    ] {
        let (staging, problems) = read(good);
        assert!(staging.is_some() && problems.is_empty(), "{problems}");
    }
    for (bad, says) in [
        (
            "staging: \"layers-{partition}\"\n",
            ".github/layersmith.yaml:1:10: error: `staging` cannot be `layers-{partition}`: `{partition}` is not a placeholder",
        ),
        ("staging: Layers-{region}\n", "lowercase letters"),
        ("staging: layers\n", "one bucket for several regions"),
        (
            "regions: [us-east-1, eu-west-1]\nstaging: layers\n",
            ".github/layersmith.yaml:2:10: error: `staging` names one bucket",
        ),
    ] {
        let (staging, problems) = read(bad);
        assert!(staging.is_none() && problems.contains(says), "{problems}");
    }
}

#[test]
fn who_is_notified() {
    assert_eq!(
        policy(
            "notify:\n  - sns: arn:aws:sns:eu-west-1:123456789012:layers\n  - webhook: https://hooks.example.com/x\n"
        ),
        ""
    );
    assert_eq!(policy("notify: []\n"), "");
    insta::assert_snapshot!(policy(r#"notify:
  - arn:aws:sns:eu-west-1:123456789012:layers
  - https://hooks.example.com/x
  - 3
  - snss: arn:aws:sns:eu-west-1:123456789012:layers
  - {sns: x, webhook: y}
  - sns: arn:aws:sqs:eu-west-1:123456789012:layers
  - webhook: http://hooks.example.com/x
  - webhook: https://me:secret@hooks.example.com/x
  - webhook: 1
  - webhook: https://hooks.example.com/x
  - webhook: https://hooks.example.com/x
"#), @r#"
        .github/layersmith.yaml:2:5: error: `notify` lists a text: write `- sns: arn:aws:sns:eu-west-1:123456789012:layers`
        .github/layersmith.yaml:3:5: error: `notify` lists a text: write for example `- webhook: https://hooks.example.com/layers`
        .github/layersmith.yaml:4:5: error: `notify` must list mappings, found a number: write for example `- sns: arn:aws:sns:eu-west-1:123456789012:layers`
        .github/layersmith.yaml:5:5: error: an item of `notify` must name either `sns` or `webhook`: write for example `- sns: arn:aws:sns:eu-west-1:123456789012:layers`
        .github/layersmith.yaml:5:5: error: unknown key `snss`: did you mean `sns`?
        .github/layersmith.yaml:6:5: error: an item of `notify` must name either `sns` or `webhook`: write for example `- sns: arn:aws:sns:eu-west-1:123456789012:layers`
        .github/layersmith.yaml:7:10: error: `arn:aws:sqs:eu-west-1:123456789012:layers` is not the ARN of an SNS topic: write for example `sns: arn:aws:sns:eu-west-1:123456789012:layers`
        .github/layersmith.yaml:8:14: error: the webhook must begin with `https://`: write for example `webhook: https://hooks.example.com/layers`; secrets do not belong in this file, the signing key is a setting
        .github/layersmith.yaml:9:14: error: the webhook contains credentials: write for example `webhook: https://hooks.example.com/layers`; secrets do not belong in this file, the signing key is a setting
        .github/layersmith.yaml:10:14: error: `webhook` must be text, found a number: write it in quotes: `"1"`
        .github/layersmith.yaml:12:5: warning: this destination is listed twice: remove one of them
        "#);
    insta::assert_snapshot!(policy("notify: https://hooks.example.com\n"), @r#".github/layersmith.yaml:1:9: error: `notify` must be a list, found text: write for example `notify: [{sns: "arn:aws:sns:eu-west-1:123456789012:layers"}]`"#);
}

#[test]
fn public_names_in_parameter_store() {
    for good in ["true", "false", "{path: /layers/prod}", "{path: /layers/}"] {
        assert_eq!(policy(&format!("parameters: {good}\n")), "");
    }
    insta::assert_snapshot!(policy("parameters: /layersmith\n"), @".github/layersmith.yaml:1:13: error: `parameters` must be `true`, `false` or `{path: …}`, found text: write for example `parameters: true`");
    insta::assert_snapshot!(policy("parameters: {}\n"), @".github/layersmith.yaml:1:13: error: `parameters` does not say where: write for example `{path: /layersmith}`, or `true` for just that");
    insta::assert_snapshot!(policy("parameters: {paht: /x}\n"), @"
    .github/layersmith.yaml:1:13: error: `parameters` does not say where: write for example `{path: /layersmith}`, or `true` for just that
    .github/layersmith.yaml:1:14: error: unknown key `paht`: did you mean `path`?
    ");
    insta::assert_snapshot!(policy("parameters: {path: layers}\n"), @".github/layersmith.yaml:1:20: error: `layers` cannot begin the names of parameters: write up to 12 levels of letters, digits, `.`, `_` and `-`, such as `path: /layersmith`");
    insta::assert_snapshot!(policy("parameters: {path: /aws/x}\n"), @".github/layersmith.yaml:1:20: error: `/aws/x` cannot begin the names of parameters: AWS keeps names that begin with `aws` or `ssm` for itself");
    insta::assert_snapshot!(policy("parameter: true\n"), @".github/layersmith.yaml:1:1: error: unknown key `parameter`: did you mean `parameters`?");
    insta::assert_snapshot!(policy("tables: {formats: [atom, fed]}\n"), @"
    .github/layersmith.yaml:1:20: error: `atom` is not a table format: did you mean `feed`?
    .github/layersmith.yaml:1:26: error: `fed` is not a table format: did you mean `feed`?
    ");
}
