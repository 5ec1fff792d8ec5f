//! Reading a marshalled stream byte by byte, never past its end.

/// What is wrong with a stream, in a few words.
pub(super) type Malformed = &'static str;

/// A stream and the place in it that is read next.
pub(super) struct Reader<'a> {
    pub(super) stream: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    /// The next bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length);
        let bytes = end
            .and_then(|end| self.stream.get(self.at..end))
            .ok_or("it ends too early")?;
        self.at += length;
        Ok(bytes)
    }

    pub(super) fn skip(&mut self, length: u64) -> Result<(), Malformed> {
        let length = usize::try_from(length).map_err(|_| "it ends too early")?;
        self.take(length).map(drop)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| "it ends too early")
    }

    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }
}
