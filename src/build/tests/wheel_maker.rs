//! Makes wheels, right ones and wrong ones, byte by byte.

use crate::model::{Digest, Lock, LockedPackage, WheelFile};
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use std::io::Write;

/// A zip entry, every part of which can be made to lie.
#[derive(Clone)]
pub(super) struct TestEntry {
    pub(super) name: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) mode: u32,
    pub(super) deflated: bool,
    /// How hard the encoder tries, 1 to 9.
    pub(super) level: u32,
    pub(super) descriptor: bool,
    pub(super) flags: u16,
    pub(super) method: Option<u16>,
    pub(super) local_name: Option<Vec<u8>>,
    pub(super) local_size: Option<u32>,
    pub(super) central_size: Option<u32>,
    /// Another checksum than that of the data.
    pub(super) crc: Option<u32>,
    /// Whether the sizes stand in zip64 extra fields.
    pub(super) zip64: bool,
    /// More extra fields, of both headers.
    pub(super) extra: Vec<u8>,
    /// What follows the compressed stream, as a part of it.
    pub(super) after_stream: Vec<u8>,
    /// Where the central entry says its local header is.
    pub(super) header_start: Option<u32>,
}

impl TestEntry {
    pub(super) fn new(name: &str, data: &[u8]) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            data: data.to_vec(),
            mode: 0o100_644,
            deflated: true,
            level: 6,
            descriptor: false,
            flags: if name.is_ascii() { 0 } else { 1 << 11 },
            method: None,
            local_name: None,
            local_size: None,
            central_size: None,
            crc: None,
            zip64: false,
            extra: Vec::new(),
            after_stream: Vec::new(),
            header_start: None,
        }
    }
}

/// A zip of the entries.
pub(super) fn zip(entries: &[TestEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let mut compressed = if entry.deflated {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(entry.level));
            encoder.write_all(&entry.data).unwrap();
            encoder.finish().unwrap()
        } else {
            entry.data.clone()
        };
        compressed.extend_from_slice(&entry.after_stream);
        let mut crc = Crc::new();
        crc.update(&entry.data);
        let crc = entry.crc.unwrap_or(crc.sum());
        let flags = entry.flags | if entry.descriptor { 1 << 3 } else { 0 };
        let method = entry.method.unwrap_or(if entry.deflated { 8 } else { 0 });
        let sizes = [crc, compressed.len() as u32, entry.data.len() as u32];
        let header = |out: &mut Vec<u8>, sizes: [u32; 3], name: &[u8]| -> Vec<u8> {
            let mut extra = entry.extra.clone();
            let mut sizes = sizes;
            if entry.zip64 {
                extra.extend_from_slice(&[1, 0, 16, 0]);
                extra.extend_from_slice(&u64::from(sizes[2]).to_le_bytes());
                extra.extend_from_slice(&u64::from(sizes[1]).to_le_bytes());
                sizes = [sizes[0], u32::MAX, u32::MAX];
            }
            for short in [flags, method, 0x6f00, 0x5a21] {
                out.extend_from_slice(&short.to_le_bytes());
            }
            sizes
                .iter()
                .for_each(|size| out.extend_from_slice(&size.to_le_bytes()));
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(&(extra.len() as u16).to_le_bytes());
            extra
        };
        let offset = entry.header_start.unwrap_or(out.len() as u32);
        out.extend_from_slice(b"PK\x03\x04\x14\x00");
        let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);
        let mut local_sizes = if entry.descriptor { [0; 3] } else { sizes };
        local_sizes[2] = entry.local_size.unwrap_or(local_sizes[2]);
        let extra = header(&mut out, local_sizes, local_name);
        out.extend_from_slice(local_name);
        out.extend_from_slice(&extra);
        out.extend_from_slice(&compressed);
        if entry.descriptor {
            out.extend_from_slice(b"PK\x07\x08");
            sizes
                .iter()
                .for_each(|size| out.extend_from_slice(&size.to_le_bytes()));
        }
        directory.extend_from_slice(b"PK\x01\x02\x14\x03\x14\x00");
        let central_sizes = [sizes[0], sizes[1], entry.central_size.unwrap_or(sizes[2])];
        let extra = header(&mut directory, central_sizes, &entry.name);
        // No comment, first disk, no internal attributes.
        directory.extend_from_slice(&[0; 6]);
        directory.extend_from_slice(&(entry.mode << 16).to_le_bytes());
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(&entry.name);
        directory.extend_from_slice(&extra);
    }
    let start = out.len() as u32;
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    }
    out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

/// A wheel under construction: its name, version and files.
#[derive(Clone)]
pub(super) struct TestWheel {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) entries: Vec<TestEntry>,
    is_stored: bool,
}

impl TestWheel {
    /// A wheel with these files besides `METADATA`, `WHEEL` and `RECORD`.
    pub(super) fn new(name: &str, version: &str, files: &[(&str, &str)]) -> Self {
        let entries = files
            .iter()
            .map(|(path, text)| TestEntry::new(path, text.as_bytes()))
            .collect();
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            entries,
            is_stored: false,
        }
    }

    /// The same wheel with nothing compressed: what an encoder makes of a text differs between processors.
    pub(super) fn stored(mut self) -> Self {
        self.is_stored = true;
        self
    }

    pub(super) fn with(mut self, entry: TestEntry) -> Self {
        self.entries.push(entry);
        self
    }

    pub(super) fn filename(&self) -> String {
        format!("{}-{}-py3-none-any.whl", self.name, self.version)
    }

    pub(super) fn dist_info(&self) -> String {
        format!("{}-{}.dist-info", self.name, self.version)
    }

    /// The folder of files that go elsewhere than beside the package.
    pub(super) fn data(&self) -> String {
        format!("{}-{}.data", self.name, self.version)
    }

    /// The wheel's bytes, with a `RECORD` that is right.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let record: String = self
            .entries
            .iter()
            .map(|entry| {
                format!(
                    "{},sha256={},{}\n",
                    String::from_utf8_lossy(&entry.name),
                    Digest::of(&entry.data).record_base64(),
                    entry.data.len()
                )
            })
            .collect();
        self.bytes_with_record(&record)
    }

    pub(super) fn bytes_with_record(&self, record: &str) -> Vec<u8> {
        let dist_info = self.dist_info();
        let metadata = format!(
            "Metadata-Version: 2.4\nName: {}\nVersion: {}\nLicense-Expression: MIT\n\nText\n",
            self.name, self.version
        );
        let wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        let mut entries = self.entries.clone();
        for (file, text) in [
            ("METADATA", &*metadata),
            ("WHEEL", wheel),
            ("RECORD", record),
        ] {
            entries.push(TestEntry::new(
                &format!("{dist_info}/{file}"),
                text.as_bytes(),
            ));
        }
        if self.is_stored {
            entries.iter_mut().for_each(|entry| entry.deflated = false);
        }
        zip(&entries)
    }

    /// The wheel as a lock has it, served below `base`.
    pub(super) fn locked(&self, base: &str) -> LockedPackage {
        let bytes = self.bytes();
        LockedPackage {
            name: crate::model::normalize_package_name(&self.name),
            version: self.version.clone(),
            wheel: WheelFile {
                filename: self.filename(),
                url: format!("{base}/{}", self.filename()),
                sha256: Digest::of(&bytes),
                size: Some(bytes.len() as u64),
            },
            yanked: None,
        }
    }
}

/// A lock of some wheels served below `base`, in the order given.
pub(super) fn lock(wheels: &[TestWheel], base: &str) -> Lock {
    Lock {
        packages: wheels.iter().map(|wheel| wheel.locked(base)).collect(),
    }
}
