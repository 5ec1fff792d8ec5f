//! `….cdx.json`: the bill of materials in CycloneDX 1.6 (ECMA-424), as JSON.
//!
//! Made without a time and with a serial number that follows from what it says, so that one build has one SBOM and another
//! build, which may say something else of the same zip, another one.

use super::{Input, Package, format, public_address};
use crate::build::metadata::Metadata;
use crate::model::{Digest, normalize_package_name};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// How the layer is called inside the document.
const LAYER: &str = "layer";

pub(super) fn write<W: Write>(input: &Input<'_>, out: W) -> io::Result<()> {
    let digest = input.layer.artifact.digest;
    let components: Vec<Value> = input.packages.iter().map(component).collect();
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": { "components": [{
                "type": "application",
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": {
                "type": "file",
                "bom-ref": LAYER,
                "name": format!("{digest}.zip"),
                "hashes": [sha256(&digest)],
                "properties": [
                    { "name": "layersmith:target", "value": input.layer.choices.target },
                    { "name": "layersmith:runtime", "value": input.layer.choices.target.python.runtime() },
                    { "name": "layersmith:architecture", "value": input.layer.choices.target.architecture },
                ],
            },
        },
        "components": components,
        "dependencies": dependencies(input),
    });
    let said = Digest::of(document.to_string().as_bytes());
    document["serialNumber"] = json!(serial_number(&said));
    format::write_lines(&document, out)
}

/// A UUID of version 8 (RFC 9562, section 5.8: custom) from the first half of a digest.
fn serial_number(digest: &Digest) -> String {
    let mut digits: Vec<char> = digest.to_string().chars().take(32).collect();
    digits[12] = '8';
    // The variant's two bits are `10`.
    digits[16] = match digits[16] {
        '0' | '4' | '8' | 'c' => '8',
        '1' | '5' | '9' | 'd' => '9',
        '2' | '6' | 'a' | 'e' => 'a',
        _ => 'b',
    };
    let part = |from: usize, to: usize| digits[from..to].iter().collect::<String>();
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

fn sha256(digest: &Digest) -> Value {
    json!({ "alg": "SHA-256", "content": digest })
}

/// The package URL (purl specification, type `pypi`). Of the characters of a version (PEP 440) only two need an escape.
fn purl(package: &Package<'_>) -> String {
    let version = package.version.replace('+', "%2B");
    format!("pkg:pypi/{}@{}", package.name, version.replace('!', "%21"))
}

fn component(package: &Package<'_>) -> Value {
    let metadata = package.metadata;
    let purl = purl(package);
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [sha256(&package.wheel.sha256)],
    });
    if let Some(summary) = &metadata.summary {
        component["description"] = json!(summary);
    }
    let licenses = licenses(metadata);
    if !licenses.is_empty() {
        component["licenses"] = Value::Array(licenses);
    }
    let distribution = public_address(&package.wheel.url).map(|url| match package.wheel.built_from() {
        // The digest is that of the wheel, which is nowhere to be fetched.
        Some(_) => json!({ "type": "source-distribution", "url": url }),
        None => {
            json!({ "type": "distribution", "url": url, "hashes": [sha256(&package.wheel.sha256)] })
        }
    });
    let website = metadata.homepage.as_deref().and_then(public_address);
    let website = website.map(|url| json!({ "type": "website", "url": url }));
    let references: Vec<Value> = distribution.into_iter().chain(website).collect();
    if !references.is_empty() {
        component["externalReferences"] = Value::Array(references);
    }
    component
}

/// A package's licences: one SPDX expression where it states one, otherwise their names. None when it states nothing.
fn licenses(metadata: &Metadata) -> Vec<Value> {
    let stated = [&metadata.expression, &metadata.license_field];
    let expression = stated
        .into_iter()
        .flatten()
        .find(|text| spdx::Expression::parse(text).is_ok());
    if let Some(expression) = expression {
        return vec![json!({ "expression": expression, "acknowledgement": "declared" })];
    }
    let mut names: Vec<&str> = metadata.expression.as_deref().into_iter().collect();
    if names.is_empty() {
        names = metadata.classified();
    }
    if names.is_empty() {
        names.extend(metadata.license_field.as_deref());
    }
    let mut told = BTreeSet::new();
    names
        .into_iter()
        .filter(|name| told.insert(*name))
        .map(|name| json!({ "license": { "name": name, "acknowledgement": "declared" } }))
        .collect()
}

/// What needs what: the layer what was asked for, a package those of its `Requires-Dist` that are in the layer. Markers
/// are not worked out: the resolver did that, and what does not apply is not there; an optional one counts if it is.
fn dependencies(input: &Input<'_>) -> Vec<Value> {
    let purls: BTreeMap<&str, String> = input
        .packages
        .iter()
        .map(|package| (package.name, purl(package)))
        .collect();
    let asked = input.layer.choices.packages.iter();
    let asked: BTreeSet<&String> = asked.filter_map(|name| purls.get(name.as_str())).collect();
    // Without a list of what was asked for, everything was.
    let asked = if asked.is_empty() {
        purls.values().collect()
    } else {
        asked
    };
    let mut dependencies = vec![json!({ "ref": LAYER, "dependsOn": asked })];
    dependencies.extend(input.packages.iter().map(|package| {
        let needs: BTreeSet<&String> = package
            .metadata
            .requires
            .iter()
            .map(|requirement| required_name(requirement))
            .filter(|name| *name != package.name)
            .filter_map(|name| purls.get(name.as_str()))
            .collect();
        json!({ "ref": purls.get(package.name), "dependsOn": needs })
    }));
    dependencies
}

/// The normalised name at the beginning of a requirement (PEP 508).
fn required_name(requirement: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = requirement
        .find(|c| !is_name(c))
        .unwrap_or(requirement.len());
    normalize_package_name(&requirement[..end])
}
