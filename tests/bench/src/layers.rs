//! The layers that are measured, and the packages that are compared.

/// A layer to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer {
    /// Its name in a catalog.
    pub(crate) name: &'static str,
    /// What is asked for.
    pub(crate) packages: &'static [&'static str],
    /// What a function that uses it does first.
    pub(crate) import: &'static str,
}

impl Layer {
    /// As it is written in tables.
    pub(crate) fn title(&self) -> String {
        self.packages.join(" ")
    }
}

/// The layers of every table, from the smallest to the largest kind.
pub(crate) const LAYERS: [Layer; 6] = [
    Layer {
        name: "requests",
        packages: &["requests"],
        import: "import requests",
    },
    Layer {
        name: "boto3",
        packages: &["boto3"],
        import: "import boto3; boto3.client('s3', region_name='us-east-1')",
    },
    Layer {
        name: "pandas",
        packages: &["pandas"],
        import: "import pandas",
    },
    Layer {
        name: "scientific",
        packages: &["numpy", "scipy", "scikit-learn"],
        import: "import sklearn.linear_model",
    },
    Layer {
        name: "pyarrow",
        packages: &["pyarrow"],
        import: "import pyarrow",
    },
    Layer {
        name: "powertools",
        packages: &["aws-lambda-powertools[all]"],
        import: "import aws_lambda_powertools",
    },
];

/// Fifty packages that people asked layers of, each with wheels: those of a list of fifty-three from 2019, but for
/// `envelopes`, `flashtext` and `python-Levenshtein-wheels`, which have none for any Python of AWS Lambda. Nothing can be
/// resolved or kept for these, so that a plan of them would measure something else.
pub(crate) fn many_packages() -> Vec<&'static str> {
    include_str!("../data/packages.txt").lines().collect()
}

/// The layer's name for a package: lowercase.
pub(crate) fn layer_name(package: &str) -> String {
    package.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_fifty_packages_each_once() {
        let mut names: Vec<String> = many_packages().into_iter().map(layer_name).collect();
        assert_eq!(names.len(), 50);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 50);
    }
}
