//! Reading a file here and there with few calls to the system.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;

/// Bytes read ahead while the reading goes on where it stopped.
const LARGE: usize = 128 * 1024;
/// Bytes read ahead after a jump: most often a header, and what it is a header of.
const SMALL: usize = 4 * 1024;

/// A file that is read through a window. Going to another place costs nothing, reading there one call, and going on from
/// there one call for many reads. The file's own position is neither used nor changed.
#[derive(Debug)]
pub(crate) struct WindowedFile {
    file: File,
    position: u64,
    window: Vec<u8>,
    /// Where the window lies in the file.
    window_start: u64,
}

impl WindowedFile {
    /// The file, at its start.
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            position: 0,
            window: Vec::new(),
            window_start: 0,
        }
    }

    /// The same file once more, at its start.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn another(&self) -> io::Result<Self> {
        self.file.try_clone().map(Self::new)
    }

    /// What the window has from the position on.
    fn at_hand(&self) -> &[u8] {
        self.position
            .checked_sub(self.window_start)
            .and_then(|offset| usize::try_from(offset).ok())
            .and_then(|offset| self.window.get(offset..))
            .unwrap_or_default()
    }

    /// Reads the window that begins at the position.
    fn fill(&mut self) -> io::Result<()> {
        let end = self.window_start + self.window.len() as u64;
        let goes_on = !self.window.is_empty() && (end..end + SMALL as u64).contains(&self.position);
        self.window.resize(if goes_on { LARGE } else { SMALL }, 0);
        self.window_start = self.position;
        let read = read_at(&self.file, &mut self.window, self.position);
        self.window.truncate(*read.as_ref().unwrap_or(&0));
        read.map(drop)
    }
}

impl Read for WindowedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at_hand().is_empty() {
            if buffer.len() >= LARGE {
                let read = read_at(&self.file, buffer, self.position)?;
                self.position += read as u64;
                return Ok(read);
            }
            self.fill()?;
        }
        let at_hand = self.at_hand();
        let length = at_hand.len().min(buffer.len());
        buffer[..length].copy_from_slice(&at_hand[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for WindowedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.file.metadata()?.len().checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// As `pread`, tried again when a signal came between.
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, position) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn reads_are_those_of_a_plain_file() {
        let bytes: Vec<u8> = (0..700_000_u64).map(|n| (n * n / 7 % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let mut windowed = WindowedFile::new(file);
        let mut place: u64 = 0;
        for step in 0..3_000_u64 {
            // Places before, in and after the window, and past the end.
            place = (place * 31 + step * 7919) % 710_000;
            let length = [1, 46, 4_096, 5_000, 200_000][step as usize % 5];
            let mut buffer = vec![0; length];
            if step % 3 > 0 {
                windowed.seek(SeekFrom::Start(place)).unwrap();
            } else {
                place = windowed.stream_position().unwrap();
            }
            let mut read = 0;
            while read < length {
                match windowed.read(&mut buffer[read..]).unwrap() {
                    0 => break,
                    more => read += more,
                }
            }
            let start = usize::try_from(place).unwrap().min(bytes.len());
            let end = (start + length).min(bytes.len());
            assert!(buffer[..read] == bytes[start..end], "{step}");
        }
        assert_eq!(windowed.seek(SeekFrom::End(-1)).unwrap(), 699_999);
        assert!(windowed.seek(SeekFrom::Current(-700_000)).is_err());
    }
}
