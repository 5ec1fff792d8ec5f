//! A wheel unpacked once, to nowhere: each file is held to what the wheel says of it, and looked into as it comes by.

use super::elf::{Inspection, WheelFacts};
use super::error::BuildError;
use super::slim::{self, Search, UsedKinds};
use super::verify::{Passing, check_members, recorded};
use super::wheel::{Content, Wheel, named};
use super::window::WindowedFile;
use super::zip_reader::{self, Member, ReadError};
use crate::model::LockedPackage;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::panic::resume_unwind;
use std::path::Path;

/// Bytes of a file by which it is told what it is.
const HEAD: usize = 4;

/// What unpacking a wheel showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Examined {
    /// What the audit and the import test want to know.
    pub(crate) facts: WheelFacts,
    /// Which files that layers can do without its code uses.
    pub(crate) used: UsedKinds,
}

/// Opens a wheel's file and examines it, half by half at once; working files go to `scratch`.
///
/// # Errors
/// [`BuildError::BadWheel`] with the first thing that is wrong with it, and [`BuildError::Io`].
pub(crate) fn open(
    file: File,
    package: &LockedPackage,
    scratch: &Path,
) -> Result<(Wheel<WindowedFile>, Examined), BuildError> {
    let another = || {
        let file = file.try_clone().map(WindowedFile::new);
        file.map_err(BuildError::io("opening a wheel"))
    };
    let readers = [another()?, another()?];
    let filename = package.wheel.filename.clone();
    let reader = WindowedFile::new(file);
    open_with(
        reader,
        readers,
        filename,
        &package.name,
        &package.version,
        scratch,
    )
}

/// The same with anything that can be read.
///
/// # Errors
/// As [`open`].
#[cfg(test)]
pub(crate) fn open_wheel<R: Read + Seek + Send + Sync + Clone>(
    reader: R,
    filename: String,
    package: &str,
    version: &str,
    scratch: &Path,
) -> Result<(Wheel<R>, Examined), BuildError> {
    let readers = [reader.clone(), reader.clone()];
    open_with(reader, readers, filename, package, version, scratch)
}

fn open_with<R: Read + Seek + Send + Sync>(
    mut reader: R,
    readers: [R; 2],
    filename: String,
    package: &str,
    version: &str,
    scratch: &Path,
) -> Result<(Wheel<R>, Examined), BuildError> {
    let members = zip_reader::members(&mut reader).map_err(|error| named(&filename, error))?;
    let mut wheel = Wheel::of(reader, members.clone(), filename, package, version)?;
    let recorded = recorded(&mut wheel.reader, &members);
    let recorded = recorded.map_err(|error| named(&wheel.filename, error))?;
    let look = |mut reader: R, members: &[Member]| {
        let mut looking = Looking::new(&wheel, scratch);
        check_members(&mut reader, members, &recorded, |passing| {
            looking.see(passing)
        })?;
        Ok(looking)
    };
    let (first, second) = members.split_at(middle(&members));
    let [one, other] = readers;
    let looked = std::thread::scope(|scope| {
        let other = scope.spawn(|| look(other, second));
        let one = look(one, first);
        // A panic over there is one here.
        let other = other.join().unwrap_or_else(|panic| resume_unwind(panic));
        one.and_then(|one| one.and(other?))
    });
    let examined = looked
        .map_err(|error| named(&wheel.filename, error))?
        .finish();
    wheel.used = examined.used.clone();
    Ok((wheel, examined))
}

/// Where members are parted so that unpacking either part takes about as long.
fn middle(members: &[Member]) -> usize {
    let total: u64 = members.iter().map(|member| member.size).sum();
    let mut before = 0;
    let is_first = |member: &&Member| {
        before += member.size;
        before <= total / 2
    };
    members.iter().take_while(is_first).count()
}

/// What is done with the file that comes by.
enum Current {
    /// It is let go by.
    Ignored,
    /// Whether it is an ELF file is seen from its first bytes.
    Unknown,
    /// It is one.
    Elf,
    /// It is a source, and kept until it is whole.
    Source(Vec<u8>),
}

/// Looks at files as they come by.
struct Looking<'a> {
    /// The files' places in the layer, by where their bytes begin in the wheel.
    paths: BTreeMap<u64, String>,
    inspection: Inspection<'a>,
    search: Search,
    current: Current,
    /// The size of the file that comes by.
    size: u64,
    head: Vec<u8>,
}

impl<'a> Looking<'a> {
    fn new<R>(wheel: &Wheel<R>, scratch: &'a Path) -> Self {
        let paths = wheel.files.iter().filter_map(|file| match &file.content {
            Content::Copied(member) => Some((member.start, file.path.clone())),
            Content::Made(_) => None,
        });
        Self {
            paths: paths.collect(),
            inspection: Inspection::new(wheel, scratch),
            search: Search::new(&wheel.files),
            current: Current::Ignored,
            size: 0,
            head: Vec::new(),
        }
    }

    fn see(&mut self, passing: Passing<'_>) -> Result<(), ReadError> {
        match passing {
            Passing::Begin(member) => {
                self.begin(member);
                Ok(())
            }
            Passing::Piece(piece) => self.take(piece),
            Passing::End(member) => self.end(member),
        }
    }

    fn begin(&mut self, member: &Member) {
        self.size = member.size;
        self.head.clear();
        self.current = match self.paths.get(&member.start) {
            None => Current::Ignored,
            Some(path) if !slim::is_searched(path) => Current::Unknown,
            Some(_) if member.size > slim::SOURCE_LIMIT => {
                self.search.take_as_using_all();
                Current::Unknown
            }
            Some(_) => Current::Source(Vec::with_capacity(member.size as usize)),
        };
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), ReadError> {
        match &mut self.current {
            Current::Ignored => Ok(()),
            Current::Elf => self.inspection.take(piece),
            Current::Source(source) => {
                source.extend_from_slice(piece);
                Ok(())
            }
            Current::Unknown => {
                self.head.extend_from_slice(piece);
                if self.head.len() < HEAD {
                    return Ok(());
                }
                if !Inspection::is_elf(self.size, &self.head) {
                    self.current = Current::Ignored;
                    return Ok(());
                }
                self.current = Current::Elf;
                self.inspection.begin()?;
                self.inspection.take(&self.head)
            }
        }
    }

    fn end(&mut self, member: &Member) -> Result<(), ReadError> {
        let Some(path) = self.paths.get(&member.start) else {
            return Ok(());
        };
        match std::mem::replace(&mut self.current, Current::Ignored) {
            Current::Elf => self.inspection.end(path, member.size),
            Current::Source(source) => {
                self.search.source(path, &source);
                if !Inspection::is_elf(member.size, &source) {
                    return Ok(());
                }
                self.inspection.begin()?;
                self.inspection.take(&source)?;
                self.inspection.end(path, member.size)
            }
            Current::Ignored | Current::Unknown => Ok(()),
        }
    }

    /// What was seen by both.
    fn and(mut self, other: Self) -> Result<Self, ReadError> {
        self.inspection.add(other.inspection)?;
        self.search.add(other.search);
        Ok(self)
    }

    fn finish(self) -> Examined {
        Examined {
            facts: self.inspection.finish(),
            used: self.search.finish(),
        }
    }
}
