//! Bytecode of whole wheels, by a real interpreter.

use super::wheel_maker::{TestEntry, TestWheel};
use crate::build::bytecode::{
    BytecodeMaker, BytecodeSummary, Interpreter, InterpreterSettings, WheelBytecode, compile_wheel,
    here,
};
use crate::build::derived::DerivedCache;
use crate::build::overlay::{Overlay, OverlayKind};
use crate::build::wheel::Wheel;
use crate::build::window::WindowedFile;
use crate::build::{BuildError, zip_reader};
use crate::model::{Digest, PythonVersion};
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn cache(folder: &Path) -> DerivedCache {
    DerivedCache::new(folder.to_owned())
}

fn maker(folder: &Path) -> BytecodeMaker {
    BytecodeMaker::new(here(), cache(folder), 2)
}

/// Some interpreter that there is.
async fn some() -> Interpreter {
    let folder = tempfile::tempdir().unwrap();
    let maker = maker(folder.path());
    for python in PythonVersion::ALL {
        if let Some(interpreter) = maker.interpreter(python).await {
            return interpreter;
        }
    }
    panic!("the tests need a CPython of 3.10 to 3.14");
}

fn wheel(modules: usize) -> TestWheel {
    let mut wheel = TestWheel::new("shapes", "1.0", &[]);
    for number in 0..modules {
        let source =
            format!("X{number} = {{'a', 'b', None}}\ndef f(x):\n    return x in {{None, 'b'}}\n");
        wheel = wheel.with(TestEntry::new(
            &format!("shapes/m{number}.py"),
            source.as_bytes(),
        ));
    }
    for (path, text) in [
        ("shapes/__init__.py", "from .m0 import f\n"),
        ("shapes/template.py", "x = {{ name }\n"),
        ("shapes/tests/test_it.py", "x = 1\n"),
        ("shapes/data.txt", "x = 1\n"),
        ("shapes-1.0.data/scripts/tool.py", "x = 1\n"),
    ] {
        wheel = wheel.with(TestEntry::new(path, text.as_bytes()));
    }
    wheel
}

fn open(wheel: &TestWheel) -> Wheel<Cursor<Vec<u8>>> {
    Wheel::open(
        Cursor::new(wheel.bytes()),
        wheel.filename(),
        "shapes",
        "1.0",
    )
    .unwrap()
}

async fn compiled(
    wheel: &TestWheel,
    interpreter: &Interpreter,
    processes: usize,
) -> Option<(Vec<u8>, BytecodeSummary)> {
    compile_wheel(&mut open(wheel), interpreter, processes, Vec::new())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_wheel_gets_the_same_bytecode_however_many_processes_compile_it() {
    let interpreter = some().await;
    let wheel = wheel(40);
    let (one, summary) = compiled(&wheel, &interpreter, 1).await.unwrap();
    let (other, _) = compiled(&wheel, &interpreter, 3).await.unwrap();
    assert!(one == other);
    assert_eq!(summary.files, 41);
    assert_eq!((summary.failed, summary.too_large, summary.died), (1, 0, 0));
    let failure = ("shapes/template.py".to_owned(), "SyntaxError".to_owned());
    assert_eq!(summary.failures, [failure]);
    let overlay = Overlay::open(OverlayKind::Bytecode, Cursor::new(one), "x.whl").unwrap();
    let minor = interpreter.python.minor();
    let names: Vec<&str> = overlay
        .files
        .iter()
        .map(|file| &*file.member.name)
        .collect();
    assert_eq!(names.len(), 41);
    assert_eq!(
        names[..2],
        [
            format!("shapes/__pycache__/__init__.cpython-3{minor}.pyc"),
            format!("shapes/__pycache__/m0.cpython-3{minor}.pyc"),
        ]
    );
}

#[tokio::test]
async fn an_import_takes_the_bytecode_and_no_source() {
    let interpreter = some().await;
    let wheel = wheel(1);
    let (bytes, _) = compiled(&wheel, &interpreter, 1).await.unwrap();
    let mut overlay = Overlay::open(OverlayKind::Bytecode, Cursor::new(bytes), "x.whl").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("shapes/__pycache__")).unwrap();
    for file in &overlay.files {
        let bytes = zip_reader::read_member(&mut overlay.reader, &file.member, 1 << 20).unwrap();
        std::fs::write(folder.path().join(&file.member.name), bytes).unwrap();
    }
    // Other sources than those that were compiled: with an unchecked hash nobody looks.
    for name in ["__init__", "m0"] {
        std::fs::write(folder.path().join(format!("shapes/{name}.py")), "1/0\n").unwrap();
    }
    let script = format!(
        "import sys; sys.path.insert(0, {:?}); import shapes; print(shapes.f('b'), shapes.f.__code__.co_filename)",
        folder.path()
    );
    let output = Command::new(&interpreter.path)
        .args(["-I", "-S", "-B", "-c", &script])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // Importing sets the place to where the module was found.
    let place = folder.path().join("shapes/m0.py");
    assert_eq!(text.trim(), format!("True {}", place.display()));
}

#[tokio::test]
async fn a_crash_or_a_strange_answer_costs_one_file_and_too_many_cost_the_bytecode() {
    let real = some().await;
    let folder = tempfile::tempdir().unwrap();
    // The real compiler, but for sources that say otherwise. Another process writes it, so that nothing here still
    // holds it open for writing when it is run.
    let path = folder.path().join("python");
    let script = format!(
        "#!{}\nimport os, sys\ndriver = sys.argv[-1].replace('    try:\\n        code', '    if b\"CRASH\" in source: os._exit(3)\\n    if b\"HOG\" in source: limit(resource.RLIMIT_AS, 400 << 20); globals()[\"compile\"] = lambda *_, **__: [bytearray(b\"x\") * (50 << 20) for _ in range(9)]\\n    if b\"SHORT\" in source: os.write(1, b\"\\\\0\\\\xff\\\\0\\\\0\\\\0x\"); os._exit(0)\\n    try:\\n        code')\nexec(driver)\n",
        real.path.display()
    );
    let mut writer = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = writer.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    assert!(writer.wait().unwrap().success());
    let fragile = Interpreter {
        path,
        ..real.clone()
    };
    let with = |count: usize, word: &str| {
        (0..count).fold(wheel(20), |wheel, number| {
            let source = format!("x = '{word}'\n");
            wheel.with(TestEntry::new(
                &format!("shapes/n{number}.py"),
                source.as_bytes(),
            ))
        })
    };
    for word in ["CRASH", "SHORT", "HOG"] {
        let (bytes, summary) = compiled(&with(2, word), &fragile, 2).await.unwrap();
        assert_eq!((summary.files, summary.died), (21, 2), "{word}");
        let (plain, _) = compiled(&wheel(20), &real, 1).await.unwrap();
        assert!(bytes == plain, "the others are as if it were not there");
    }
    assert_eq!(compiled(&with(20, "CRASH"), &fragile, 2).await, None);
    // What the parser cannot take is no shortage, and would come to the same the next time.
    let nested = format!("x = {}1\n", "not ".repeat(20_000));
    let nested = wheel(20).with(TestEntry::new("shapes/nested.py", nested.as_bytes()));
    let (_, summary) = compiled(&nested, &real, 1).await.unwrap();
    assert_eq!((summary.files, summary.died), (21, 0));
    let failure = ("shapes/nested.py".to_owned(), "MemoryError".to_owned());
    assert!(summary.failures.contains(&failure), "{summary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compiled_is_kept_by_wheel_and_interpreter() {
    let interpreter = some().await;
    let folder = tempfile::tempdir().unwrap();
    let maker = maker(folder.path());
    let opened = Arc::new(AtomicUsize::new(0));
    let get = async |wheel: TestWheel| -> (Digest, u64) {
        let opened = Arc::clone(&opened);
        let digest = Digest::of(&wheel.bytes());
        let open = move || -> Result<Wheel<WindowedFile>, BuildError> {
            opened.fetch_add(1, Ordering::Relaxed);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&wheel.bytes()).unwrap();
            let file = WindowedFile::new(file);
            Wheel::open(file, wheel.filename(), "shapes", "1.0")
        };
        match maker.bytecode(&digest, interpreter.python, open).await {
            Ok(WheelBytecode::Ready {
                mut overlay, kept, ..
            }) => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut overlay, &mut bytes).unwrap();
                (Digest::of(&bytes), kept)
            }
            other => panic!("{other:?}"),
        }
    };
    let ((one, kept), (same, kept_too)) = tokio::join!(get(wheel(3)), get(wheel(3)));
    assert_eq!(one, same);
    assert!((kept > 0) != (kept_too > 0), "one of them makes it");
    assert_eq!(get(wheel(3)).await, (one, 0));
    assert_eq!(opened.load(Ordering::Relaxed), 1);
    assert_ne!(get(wheel(4)).await.0, one);
    assert_eq!(opened.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn without_an_interpreter_there_is_no_bytecode() {
    let folder = tempfile::tempdir().unwrap();
    let maker = BytecodeMaker::new(InterpreterSettings::default(), cache(folder.path()), 1);
    let mut absent = Vec::new();
    for python in PythonVersion::ALL {
        if maker.interpreter(python).await.is_none() {
            absent.push(python);
        }
    }
    // Fixed folders are looked into in any case; no machine has them all there.
    let python = *absent.first().expect("every minor is in /usr/bin");
    let open = || panic!("nothing is opened");
    let made = maker.bytecode(&Digest::of(b"x"), python, open).await;
    assert!(matches!(made, Ok(WheelBytecode::NoInterpreter)));
}
