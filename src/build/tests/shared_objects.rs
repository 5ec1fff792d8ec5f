//! What real shared objects say of themselves, as the machine's C compiler makes them, and what broken ones do not.

use super::wheel_maker::{TestEntry, TestWheel};
use crate::build::elf::{AbiTag, ElfFacts, ElfKind, WheelFacts, read};
use crate::build::error::BuildError;
use crate::build::examine::open_wheel;
use crate::build::wheel::Wheel;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

/// Compiles a shared object `name` in a folder.
pub(super) fn compile(folder: &Path, name: &str, code: &str, arguments: &[&str]) -> Vec<u8> {
    let source = folder.join("source.c");
    std::fs::write(&source, code).unwrap();
    let output = Command::new("cc")
        .current_dir(folder)
        .args(["-shared", "-fPIC", "-o", name, "source.c"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::read(folder.join(name)).unwrap()
}

/// Opens a wheel as the builder does.
pub(super) fn open(wheel: &TestWheel) -> Wheel<Cursor<Vec<u8>>> {
    let reader = Cursor::new(wheel.bytes());
    Wheel::open(reader, wheel.filename(), &wheel.name, &wheel.version)
        .unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn facts_of(wheel: &TestWheel) -> WheelFacts {
    let scratch = tempfile::tempdir().unwrap();
    examined(wheel, scratch.path()).unwrap()
}

/// What is found out about a wheel as the builder does it.
fn examined(wheel: &TestWheel, scratch: &Path) -> Result<WheelFacts, BuildError> {
    examined_bytes(wheel, wheel.bytes(), scratch)
}

fn examined_bytes(
    wheel: &TestWheel,
    bytes: Vec<u8>,
    scratch: &Path,
) -> Result<WheelFacts, BuildError> {
    let (name, version) = (wheel.name.as_str(), wheel.version.as_str());
    let reader = Cursor::new(bytes);
    open_wheel(reader, wheel.filename(), name, version, scratch).map(|(_, examined)| examined.facts)
}

/// `e_machine` of this machine.
const MACHINE: u16 = if cfg!(target_arch = "aarch64") {
    183
} else {
    62
};
const CODE: &str = "#include <math.h>\n#include <stdio.h>\n\
    double answer(double x) { printf(\"%g\\n\", x); return pow(x, x); }\n";

#[test]
fn a_shared_object_says_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    compile(
        folder.path(),
        "libinner.so.2",
        "int inner(void) { return 1; }",
        &["-Wl,-soname,libinner.so.2"],
    );
    let bytes = compile(
        folder.path(),
        "libouter.so",
        &format!("{CODE} int inner(void); int outer(void) {{ return inner(); }}"),
        &[
            "-g",
            "-Wl,--no-as-needed",
            "libinner.so.2",
            "-lm",
            "-Wl,-soname,libouter.so.1",
            "-Wl,-rpath,$ORIGIN:$ORIGIN/../x.libs",
            "-Wl,-z,execstack",
        ],
    );
    let facts = read(Cursor::new(&bytes), "a/libouter.so").unwrap();
    assert_eq!(facts.path, "a/libouter.so");
    assert_eq!(facts.size, bytes.len() as u64);
    assert_eq!((facts.kind, facts.bits), (ElfKind::Shared, 64));
    assert_eq!(facts.machine, MACHINE);
    assert!(facts.is_little_endian && facts.has_executable_stack);
    assert_eq!(facts.soname.as_deref(), Some("libouter.so.1"));
    assert_eq!(facts.needed, ["libinner.so.2", "libm.so.6", "libc.so.6"]);
    assert_eq!(facts.run_path, ["$ORIGIN", "$ORIGIN/../x.libs"]);
    assert!(facts.removable > 1000, "{}", facts.removable);
    // `pow` got a new version in glibc 2.29.
    assert!(
        facts.versions["libm.so.6"].contains("GLIBC_2.29"),
        "{:?}",
        facts.versions
    );
    assert!(
        facts.versions["libc.so.6"]
            .iter()
            .all(|version| version.starts_with("GLIBC_2.")),
        "{:?}",
        facts.versions
    );

    let plain = compile(folder.path(), "plain.so", "int x = 1;", &["-s"]);
    let facts = read(Cursor::new(&plain), "plain.so").unwrap();
    assert!(!facts.has_executable_stack);
    assert_eq!(
        (facts.removable, facts.soname, facts.run_path.len()),
        (0, None, 0)
    );
}

#[test]
fn a_wheel_is_looked_into_by_first_bytes_and_told_compactly() {
    let folder = tempfile::tempdir().unwrap();
    let shared = compile(folder.path(), "x.so", CODE, &["-g", "-lm"]);
    let object = compile(folder.path(), "x.o", "int x;", &["-c"]);
    let mut stored = TestEntry::new("pack.libs/libx-1.so.2", &shared);
    stored.deflated = false;
    let wheel = TestWheel::new(
        "pack",
        "1",
        &[("pack/__init__.py", "x"), ("pack/fake.so", "text")],
    )
    .with(TestEntry::new(
        "pack/core.cpython-313-x86_64-linux-gnu.so",
        &shared,
    ))
    .with(TestEntry::new("pack/a.abi3.so", &shared))
    .with(TestEntry::new("pack/without_ending", &object))
    .with(TestEntry::new("pack-1.data/platlib/top.abi3.so", &shared))
    .with(TestEntry::new("pack/damaged.bin", &shared[..100]))
    .with(stored);
    let facts = facts_of(&wheel);
    let elf: Vec<(&str, ElfKind)> = facts.elf.iter().map(|elf| (&*elf.path, elf.kind)).collect();
    assert_eq!(
        elf,
        [
            ("pack.libs/libx-1.so.2", ElfKind::Shared),
            ("pack/a.abi3.so", ElfKind::Shared),
            ("pack/core.cpython-313-x86_64-linux-gnu.so", ElfKind::Shared),
            ("pack/without_ending", ElfKind::Relocatable),
            ("top.abi3.so", ElfKind::Shared),
        ]
    );
    assert_eq!(facts.unreadable.len(), 1);
    assert_eq!(facts.unreadable[0].path, "pack/damaged.bin");
    assert_eq!(facts.modules, ["pack", "top"]);
    let tags: Vec<(&str, &AbiTag)> = facts
        .extension_modules
        .iter()
        .map(|module| (&*module.path, &module.abi))
        .collect();
    assert_eq!(tags[0], ("pack/a.abi3.so", &AbiTag::Stable));
    assert_eq!(tags.len(), 3, "{tags:?}");
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<WheelFacts>(&text).unwrap(), facts);
    assert_eq!(serde_json::to_string(&facts_of(&wheel)).unwrap(), text);
}

#[test]
fn a_wheel_says_for_which_pythons_it_is() {
    let metadata = "Metadata-Version: 2.4\nName: pack\nVersion: 1\nRequires-Python: >=3.10,<4\n";
    let text = crate::build::metadata::read(metadata);
    assert_eq!(text.requires_python.as_deref(), Some(">=3.10,<4"));
    assert_eq!(
        facts_of(&TestWheel::new("pack", "1", &[])).requires_python,
        None
    );
}

#[test]
fn damaged_compressed_data_is_the_wheels_fault() {
    let folder = tempfile::tempdir().unwrap();
    let shared = compile(folder.path(), "x.so", CODE, &["-g", "-lm"]);
    let wheel = TestWheel::new("pack", "1", &[]).with(TestEntry::new("pack/x.so", &shared));
    let mut bytes = wheel.bytes();
    bytes[1500] ^= 0xff;
    let error = examined_bytes(&wheel, bytes, folder.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("pack-1-py3-none-any.whl cannot be used"),
        "{error}"
    );
}

/// Cut at every length and altered at places spread over the tables that are read, a shared object gives facts or an
/// error; strings and lists stay within their limits.
#[test]
fn no_bytes_make_the_reader_fail_badly() {
    let folder = tempfile::tempdir().unwrap();
    let whole = compile(
        folder.path(),
        "x.so",
        CODE,
        &["-g", "-lm", "-Wl,-rpath,$ORIGIN"],
    );
    let check = |bytes: &[u8]| {
        if let Ok(ElfFacts {
            needed,
            versions,
            run_path,
            ..
        }) = read(Cursor::new(bytes), "x")
        {
            let count: usize = versions.values().map(std::collections::BTreeSet::len).sum();
            assert!(needed.len() <= 512 && count <= 2048);
            let names = needed
                .iter()
                .chain(versions.values().flatten())
                .chain(versions.keys());
            assert!(names.chain(&run_path).all(|name| name.len() <= 3 * 4096));
        }
    };
    for length in (0..whole.len()).step_by(97).chain(0..200) {
        check(&whole[..length]);
    }
    // The file and program headers, then the section headers at the end, byte by byte; in between, some.
    let tables = (0..1024).chain(whole.len() - 2400..whole.len());
    for place in tables.chain((1024..whole.len()).step_by(41)) {
        for change in [0xff, 0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[place] ^= change;
            check(&bytes);
        }
    }
}
