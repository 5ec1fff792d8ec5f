//! The ARN of a layer version.

use super::{InvalidValue, Region, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4`: one published, immutable layer version.
///
/// Source: AWS Lambda API reference, `PublishLayerVersion`, `LayerVersionArn`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerArn {
    /// Where the version lives; also decides the partition.
    pub region: Region,
    /// The 12 digits of the publishing account.
    pub account: String,
    /// The published layer's name.
    pub layer: String,
    /// The version number, from 1.
    pub version: u64,
}

impl FromStr for LayerArn {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |what: &str| {
            InvalidValue(format!(
                "`{text}` is not the ARN of a layer version: {what}"
            ))
        };
        let parts: Vec<&str> = text.split(':').collect();
        let [
            arn,
            partition,
            service,
            region,
            account,
            kind,
            layer,
            version,
        ] = parts[..]
        else {
            return Err(invalid("it has not eight parts"));
        };
        if arn != "arn" || service != "lambda" || kind != "layer" {
            return Err(invalid("it does not read arn:…:lambda:…:layer:…"));
        }
        let region: Region = region
            .parse()
            .map_err(|_| invalid("its region is not known"))?;
        if region.partition() != partition {
            return Err(invalid("its partition does not fit its region"));
        }
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid("its account has not 12 digits"));
        }
        if layer.is_empty() {
            return Err(invalid("its layer name is empty"));
        }
        let version = version
            .parse()
            .map_err(|_| invalid("its version is not a number"))?;
        Ok(Self {
            region,
            account: account.to_owned(),
            layer: layer.to_owned(),
            version,
        })
    }
}

impl fmt::Display for LayerArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            region,
            account,
            layer,
            version,
        } = self;
        write!(
            f,
            "arn:{}:lambda:{region}:{account}:layer:{layer}:{version}",
            region.partition()
        )
    }
}

serde_as_text!(LayerArn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_as_it_is_shown() {
        let text = "arn:aws-cn:lambda:cn-north-1:123456789012:layer:Layersmith-p313-pandas:4";
        let arn: LayerArn = text.parse().unwrap();
        assert_eq!(
            (arn.version, arn.layer.as_str()),
            (4, "Layersmith-p313-pandas")
        );
        assert_eq!(arn.to_string(), text);
        for bad in [
            "",
            "arn:aws:lambda:us-east-1:123456789012:layer:x",
            "arn:aws:lambda:us-east-1:12:layer:x:1",
        ] {
            assert!(bad.parse::<LayerArn>().is_err());
        }
    }
}
