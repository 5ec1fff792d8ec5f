//! The three tables of an ELF file: its header, its program headers, its section headers, whatever its class and byte order.

use super::ElfError;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, ReadCache, ReadRef};
use std::io::{self, Read, Seek, SeekFrom};

/// Program headers read; real files have about ten.
const SEGMENTS_LIMIT: u16 = 256;
/// Section headers read; real shared objects have about forty, object files with a section for each function more.
const SECTIONS_LIMIT: u32 = 16_384;
/// Entries of the dynamic section read; real files have about forty, and one for each library.
const DYNAMIC_LIMIT: u64 = 4096;
/// Bytes of a section's name looked at.
const SECTION_NAME_LIMIT: u64 = 64;

/// A program header: a piece of the file that the loader uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) kind: elf::ProgramType,
    pub(super) flags: elf::ProgramFlags,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_size: u64,
    pub(super) memory_size: u64,
    pub(super) align: u64,
}

/// A section header; the first of a file, which stands for "none", is among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// At most the first bytes of it.
    pub(super) name: Vec<u8>,
    pub(super) kind: elf::SectionType,
    pub(super) flags: elf::SectionFlags,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) link: u32,
    pub(super) info: u32,
    pub(super) align: u64,
}

impl Section {
    /// Whether the loader puts it into memory.
    pub(super) fn is_allocated(&self) -> bool {
        self.flags.0 & elf::SHF_ALLOC.0 != 0
    }

    /// Its bytes in the file: start and end. Nothing for sections without bytes.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        if self.kind == elf::SHT_NOBITS || self.kind == elf::SHT_NULL || self.size == 0 {
            return None;
        }
        Some((self.offset, self.offset.checked_add(self.size)?))
    }
}

/// What the tables of an ELF file say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// 32 or 64.
    pub(super) bits: u8,
    pub(super) is_little_endian: bool,
    pub(super) machine: elf::Machine,
    pub(super) kind: elf::FileType,
    /// Bytes of the file's header.
    pub(super) header_size: u64,
    /// Where the program headers are: start and end.
    pub(super) segments_range: (u64, u64),
    pub(super) segments: Vec<Segment>,
    /// Where the section headers are: start and end.
    pub(super) sections_range: (u64, u64),
    /// Empty when the file has none, which loaders do not mind.
    pub(super) sections: Vec<Section>,
    /// Which section holds the names of sections.
    pub(super) names_index: u32,
    /// The dynamic section up to its end mark: tags and values.
    pub(super) dynamic: Vec<(i64, u64)>,
}

/// A file that the `object` crate reads by offsets. It tells failures of the machine from those of the file, which the
/// crate itself does not.
pub(super) struct Watched<R> {
    reader: R,
    failure: Option<io::Error>,
}

impl<R> Watched<R> {
    fn watch<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::UnexpectedEof && kind != io::ErrorKind::InvalidInput {
                self.failure = Some(error);
            }
            io::Error::from(kind)
        })
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.reader.read(buffer);
        self.watch(result)
    }
}

impl<R: Seek> Seek for Watched<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let result = self.reader.seek(position);
        self.watch(result)
    }
}

/// Reads the tables of the ELF file in `reader`, then hands them with the file to `more`.
///
/// # Errors
/// [`ElfError`]; what `more` returns when it fails.
pub(super) fn read<R: Read + Seek, T>(
    reader: R,
    more: impl FnOnce(Layout, &ReadCache<Watched<R>>) -> Result<T, ElfError>,
) -> Result<T, ElfError> {
    let cache = ReadCache::new(Watched {
        reader,
        failure: None,
    });
    let result = read_layout(&cache).and_then(|layout| more(layout, &cache));
    match cache.into_inner().failure {
        Some(failure) => Err(ElfError::Io(failure)),
        None => result,
    }
}

fn read_layout<'d>(data: impl ReadRef<'d>) -> Result<Layout, ElfError> {
    let ident = data
        .read_bytes_at(0, size_of::<elf::Ident>() as u64)
        .map_err(|()| ElfError::Malformed("its header is cut off"))?;
    // The byte behind the four of the magic number is the class (System V ABI, "ELF Identification").
    match ident[4] {
        class if class == elf::ELFCLASS32.0 => read_class::<FileHeader32<Endianness>, _>(data),
        class if class == elf::ELFCLASS64.0 => read_class::<FileHeader64<Endianness>, _>(data),
        _ => Err(ElfError::Malformed("it is neither 32 nor 64 bits wide")),
    }
}

fn read_class<'d, Elf, R>(data: R) -> Result<Layout, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let header = Elf::parse(data).map_err(|_| ElfError::Malformed("its header is not ELF's"))?;
    let endian = header
        .endian()
        .map_err(|_| ElfError::Malformed("its byte order is unknown"))?;
    if header.e_phnum(endian) > SEGMENTS_LIMIT {
        return Err(ElfError::Malformed("it has too many program headers"));
    }
    let raw_segments = header
        .program_headers(endian, data)
        .map_err(|_| ElfError::Malformed("its program headers are not where it says"))?;
    let segments = raw_segments
        .iter()
        .map(|segment| Segment {
            kind: segment.p_type(endian),
            flags: segment.p_flags(endian),
            offset: segment.p_offset(endian).into(),
            address: segment.p_vaddr(endian).into(),
            file_size: segment.p_filesz(endian).into(),
            memory_size: segment.p_memsz(endian).into(),
            align: segment.p_align(endian).into(),
        })
        .collect();
    let sections_start: u64 = header.e_shoff(endian).into();
    let segments_start: u64 = header.e_phoff(endian).into();
    let sections = read_sections(header, endian, data)?;
    Ok(Layout {
        bits: if header.is_class_64() { 64 } else { 32 },
        is_little_endian: header.is_little_endian(),
        machine: header.e_machine(endian),
        kind: header.e_type(endian),
        header_size: size_of::<Elf>() as u64,
        segments_range: table(
            segments_start,
            raw_segments.len(),
            size_of::<Elf::ProgramHeader>(),
        )?,
        segments,
        sections_range: table(
            sections_start,
            sections.len(),
            size_of::<Elf::SectionHeader>(),
        )?,
        names_index: header
            .section_strings_index(endian, data)
            .ok()
            .and_then(|index| u32::try_from(index.0).ok())
            .unwrap_or_default(),
        sections,
        dynamic: read_dynamic::<Elf, _>(raw_segments, endian, data)?,
    })
}

/// Start and end of a table.
fn table(start: u64, entries: usize, entry_size: usize) -> Result<(u64, u64), ElfError> {
    start
        .checked_add((entries * entry_size) as u64)
        .map(|end| (start, end))
        .ok_or(ElfError::Malformed("its tables are not where it says"))
}

fn read_sections<'d, Elf, R>(
    header: &Elf,
    endian: Endianness,
    data: R,
) -> Result<Vec<Section>, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let misplaced = |_| ElfError::Malformed("its section headers are not where it says");
    if header.shnum(endian, data).map_err(misplaced)? > SECTIONS_LIMIT {
        return Err(ElfError::Malformed("it has too many section headers"));
    }
    let raw = header.section_headers(endian, data).map_err(misplaced)?;
    let names = header
        .section_strings_index(endian, data)
        .ok()
        .and_then(|index| raw.get(index.0))
        .map(|names| {
            let start: u64 = names.sh_offset(endian).into();
            (start, start.saturating_add(names.sh_size(endian).into()))
        });
    Ok(raw
        .iter()
        .map(|section| Section {
            name: names
                .and_then(|(start, end)| {
                    let start = start.checked_add(section.sh_name(endian).into())?;
                    bounded_string(data, start, end, SECTION_NAME_LIMIT)
                })
                .unwrap_or_default(),
            kind: section.sh_type(endian),
            flags: section.sh_flags(endian),
            offset: section.sh_offset(endian).into(),
            size: section.sh_size(endian).into(),
            link: section.sh_link(endian),
            info: section.sh_info(endian),
            align: section.sh_addralign(endian).into(),
        })
        .collect())
}

/// The zero-terminated string at `start`, before `end` and not longer than `limit`.
pub(super) fn bounded_string<'d>(
    data: impl ReadRef<'d>,
    start: u64,
    end: u64,
    limit: u64,
) -> Option<Vec<u8>> {
    let end = end.min(start.checked_add(limit)?).min(data.len().ok()?);
    if start >= end {
        return None;
    }
    data.read_bytes_at_until(start..end, 0)
        .ok()
        .map(<[u8]>::to_vec)
}

fn read_dynamic<'d, Elf, R>(
    segments: &[Elf::ProgramHeader],
    endian: Endianness,
    data: R,
) -> Result<Vec<(i64, u64)>, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let Some(segment) = segments
        .iter()
        .find(|segment| segment.p_type(endian) == elf::PT_DYNAMIC)
    else {
        return Ok(Vec::new());
    };
    let size: u64 = segment.p_filesz(endian).into();
    if size / size_of::<Elf::Dyn>() as u64 > DYNAMIC_LIMIT {
        return Err(ElfError::Malformed("its dynamic section is too large"));
    }
    let entries = segment
        .dynamic(endian, data)
        .map_err(|_| ElfError::Malformed("its dynamic section is not where it says"))?
        .unwrap_or_default();
    Ok(entries
        .iter()
        .map(|entry| (entry.d_tag(endian).0, entry.d_val(endian).into()))
        .take_while(|(tag, _)| *tag != elf::DT_NULL.0)
        .collect())
}
