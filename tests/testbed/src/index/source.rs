//! Source distributions made in code, byte for byte the same each time.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::wheel::normalized;

/// A source distribution to be. `SourceDistribution::new("demo-package", "1.2.0")` is an empty one.
#[derive(Clone, Debug)]
pub struct SourceDistribution {
    name: String,
    version: String,
    files: Vec<(String, Vec<u8>)>,
}

impl SourceDistribution {
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            files: Vec::new(),
        }
    }

    /// A file, by its path inside the one folder that a source distribution holds.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), content.into()));
        self
    }

    /// The name as index pages spell it: `demo-package`.
    pub fn normalized_name(&self) -> String {
        normalized(&self.name)
    }

    /// `demo_package-1.2.0.zip`.
    pub fn filename(&self) -> String {
        format!("{}.zip", self.stem())
    }

    fn stem(&self) -> String {
        let name = self.normalized_name().replace('-', "_");
        format!("{name}-{}", self.version)
    }

    /// The archive itself. The same source always has the same bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let information = format!(
            "Metadata-Version: 2.1\nName: {}\nVersion: {}\n",
            self.name, self.version
        );
        let mut files = self.files.clone();
        files.push(("PKG-INFO".to_owned(), information.into_bytes()));
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in files {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .last_modified_time(DateTime::default());
            archive
                .start_file(format!("{}/{path}", self.stem()), options)
                .expect("an archive in memory takes files");
            archive.write_all(&content).expect("memory takes bytes");
        }
        archive
            .finish()
            .expect("an archive in memory is finished")
            .into_inner()
    }
}
