//! What must hold of a wheel that may hold anything; for the fuzz target and for the test that replays its corpus.

use layersmith::build::{Assembled, Exclude, Selection, WheelSource, assemble, verify};
use layersmith::model::SlimKind;
use std::io::{Cursor, Read};
use zip::ZipArchive;

const FILENAME: &str = "a-1-py3-none-any.whl";

/// Panics when the reader or the assembler break a promise: the same answer each time, and a layer made of a verified
/// wheel is sound for other readers and holds what they find in the wheel.
pub(crate) fn hold(wheel: &[u8]) {
    let is_verified = verify(&mut Cursor::new(wheel), FILENAME).is_ok();
    let patterns = ["**/tests/**".to_owned(), "*.txt".to_owned()];
    for (patterns, slim) in [
        (&patterns[..0], &[][..]),
        (&patterns[..], &SlimKind::ALL[..]),
    ] {
        let exclude = match Exclude::new(patterns) {
            Ok(exclude) => exclude,
            Err(error) => panic!("{error}"),
        };
        let selection = Selection {
            slim,
            ..Selection::all_but(&exclude)
        };
        let (result, layer) = assembled(wheel, &selection);
        let again = assembled(wheel, &selection);
        assert!((&result, &layer) == (&again.0, &again.1), "another answer");
        if let (Ok(assembled), true) = (result, is_verified) {
            check(wheel, &assembled, &layer);
        }
    }
}

fn assembled(wheel: &[u8], selection: &Selection<'_>) -> (Result<Assembled, String>, Vec<u8>) {
    let source = WheelSource {
        package: "a".to_owned(),
        version: "1".to_owned(),
        filename: FILENAME.to_owned(),
        reader: Cursor::new(wheel),
    };
    let mut layer = Vec::new();
    let result = assemble(vec![source], selection, &mut layer).map_err(|error| {
        let error = error.to_string();
        assert!(error.contains(FILENAME), "the wheel is not named: {error}");
        error
    });
    (result, layer)
}

fn check(wheel: &[u8], assembled: &Assembled, layer: &[u8]) {
    if let Err(error) = verify(&mut Cursor::new(layer), "layer") {
        panic!("our own reader refuses the layer: {error}");
    }
    let mut wheel = archive(wheel);
    let mut layer = archive(layer);
    assert_eq!(layer.len(), assembled.files.len());
    let mut size = 0;
    for index in 0..layer.len() {
        let (name, contents) = read(&mut layer, index);
        size += contents.len() as u64;
        let Some(path) = name.strip_prefix("python/") else {
            panic!("outside of python/: {name}")
        };
        if path.starts_with("bin/") || path.ends_with("/RECORD") || path.ends_with("/INSTALLER") {
            continue;
        }
        if let Some(index) = wheel.index_for_name(path) {
            assert!(
                contents == read(&mut wheel, index).1,
                "{name} has other bytes in the wheel"
            );
        }
    }
    assert_eq!(size, assembled.unzipped_size);
}

fn archive(bytes: &[u8]) -> ZipArchive<Cursor<&[u8]>> {
    match ZipArchive::new(Cursor::new(bytes)) {
        Ok(archive) => archive,
        Err(error) => panic!("another reader refuses it: {error}"),
    }
}

fn read(archive: &mut ZipArchive<Cursor<&[u8]>>, index: usize) -> (String, Vec<u8>) {
    let read = || -> zip::result::ZipResult<(String, Vec<u8>)> {
        let mut file = archive.by_index(index)?;
        let mut contents = Vec::new();
        file.read_to_end(&mut contents)?;
        Ok((file.name()?.into_owned(), contents))
    };
    match { read }() {
        Ok(read) => read,
        Err(error) => panic!("another reader cannot read entry {index}: {error}"),
    }
}
