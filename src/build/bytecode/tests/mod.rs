//! Real interpreters compile their own standard libraries: each is one that this machine has, of every minor there is.

mod marshalled;

use super::compiler::{Answer, Compiler};
use super::{Interpreter, InterpreterSettings, Interpreters, marshal};
use crate::build::derived::DerivedCache;
use crate::model::PythonVersion;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Files of the standard library that are compiled.
const FILES: usize = 60;
/// What is known to come out in more than one way.
const SPECIAL: &[&str] = &[
    // Sets have no order, and `None` has none from one process to the next.
    "def f(x):\n    return x in {None, 'b c', 'a', 1.5, (1, 'b c'), b'x', ...} or x in {'é', '(', 'a'}\n",
    // Names of attributes are gathered in a set in 3.13.0.
    "class C:\n    def __init__(self):\n        self.a = self.b = self.c = self.d = self.e = 1\n        self.long_name = 'C.D'\n    class D: pass\n",
    "é = 'é'\nxé = 'xé'\ndef long_name(é, /, *, xé=(1, 2)): return f'{é!r:>{xé}}', 'a b', 10**40, -0.0, 1j\n",
    "x = 'é', 'µ', '(', 'C.D', 'xé', 'long_name', 'a b', -0.0, 0.0, True, 1, 10**40\n",
    "'''Text.'''\nasync def g():\n    async with a as b, c:\n        return [i async for i in b if (lambda: i)() in (1, 2)][1:2]\n",
    "",
];
/// Loads pairs of `.pyc` files and compares them part by part.
const COMPARE: &str = r#"
import marshal, sys, types
def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, types.CodeType):
        names = [n for n in dir(a) if n.startswith("co_") and not callable(getattr(a, n))]
        return a == b and all(same(getattr(a, n), getattr(b, n)) for n in names)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, frozenset):
        return a == b and {(type(x), repr(x)) for x in a if not isinstance(x, frozenset)} == {(type(x), repr(x)) for x in b if not isinstance(x, frozenset)}
    return a == b and repr(a) == repr(b)
def read():
    n = int.from_bytes(sys.stdin.buffer.read(4), "little")
    return sys.stdin.buffer.read(n)
count = 0
while one := read():
    other = read()
    assert one[:16] == other[:16] and one[4:8] == b"\1\0\0\0"
    assert same(marshal.loads(one[16:]), marshal.loads(other[16:])), count
    count += 1
print(count)
"#;

pub(in crate::build) fn here() -> InterpreterSettings {
    InterpreterSettings {
        named: Vec::new(),
        search_path: std::env::var_os("PATH"),
        home: std::env::var_os("HOME").map(PathBuf::from),
        only: None,
    }
}

async fn all() -> Vec<Interpreter> {
    let folder = tempfile::tempdir().unwrap();
    let interpreters = Interpreters::new(here(), DerivedCache::new(folder.path().into()));
    let mut all = Vec::new();
    for python in PythonVersion::ALL {
        all.extend(interpreters.find(python).await);
    }
    assert!(!all.is_empty(), "the tests need a CPython of 3.10 to 3.14");
    all
}

/// Paths and sources: some of the standard library, spread over all of it, and the special ones.
fn sources(interpreter: &Interpreter) -> Vec<(String, Vec<u8>)> {
    let library = interpreter
        .prefix
        .join("lib")
        .join(interpreter.python.runtime());
    let mut files = Vec::new();
    list(&library, &mut files);
    files.sort();
    assert!(files.len() > 400, "{} has no library", library.display());
    let step = (files.len() / FILES).max(1);
    let library = files.iter().step_by(step).map(|path| {
        let source = std::fs::read(path).unwrap();
        (path.to_string_lossy().into_owned(), source)
    });
    let special = SPECIAL.iter().enumerate();
    let special =
        special.map(|(number, source)| (format!("{number}.py"), source.as_bytes().into()));
    library.chain(special).collect()
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(&*name, "site-packages" | "dist-packages" | "test" | "tests")
        {
            list(&path, files);
        } else if name.ends_with(".py") && path.is_file() {
            files.push(path);
        }
    }
}

async fn compile(interpreter: &Interpreter, sources: &[&(String, Vec<u8>)]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let mut compiler = Compiler::start(interpreter, folder.path()).unwrap();
    let mut compiled = Vec::new();
    for (path, source) in sources {
        match compiler.compile(path, source).await {
            Answer::Compiled(pyc) => compiled.push(pyc),
            other => panic!("{path} by {}: {other:?}", interpreter.version),
        }
    }
    compiled
}

fn normalize(interpreter: &Interpreter, pyc: &[u8]) -> Vec<u8> {
    let code = marshal::normalize(&pyc[16..], interpreter.python).unwrap();
    [&pyc[..16], &code].concat()
}

/// How many pairs the interpreter found to be equal.
fn compare(interpreter: &Interpreter, pairs: &[[&[u8]; 2]]) -> usize {
    let mut child = Command::new(&interpreter.path)
        .args(["-I", "-S", "-B", "-Wignore", "-c", COMPARE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for pyc in pairs.iter().flatten() {
        stdin.write_all(&(pyc.len() as u32).to_le_bytes()).unwrap();
        stdin.write_all(pyc).unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim()
        .parse()
        .expect("the interpreter found a difference")
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_do_not_depend_on_what_else_a_process_compiled() {
    let mut as_written_differ = 0;
    for interpreter in all().await {
        let sources = sources(&interpreter);
        let forwards: Vec<_> = sources.iter().collect();
        let backwards: Vec<_> = sources.iter().rev().collect();
        let (one, mut other) = tokio::join!(
            compile(&interpreter, &forwards),
            compile(&interpreter, &backwards)
        );
        other.reverse();
        let mut pairs = Vec::new();
        let normalized: Vec<_> = one.iter().map(|pyc| normalize(&interpreter, pyc)).collect();
        for (number, (path, source)) in sources.iter().enumerate() {
            as_written_differ += usize::from(one[number] != other[number]);
            let from_other = normalize(&interpreter, &other[number]);
            let version = &interpreter.version;
            assert!(normalized[number] == from_other, "{path} by {version}");
            pairs.push([&*one[number], &*normalized[number]]);
            if number % 10 == 0 {
                let alone = compile(&interpreter, &[&(path.clone(), source.clone())]).await;
                let alone = normalize(&interpreter, &alone[0]);
                assert!(normalized[number] == alone, "{path} alone by {version}");
            }
        }
        assert_eq!(compare(&interpreter, &pairs), sources.len());
    }
    assert!(as_written_differ > 0, "there was nothing to normalise");
}

#[tokio::test]
async fn compiled_modules_name_their_place_and_are_never_checked_against_a_source() {
    for interpreter in all().await {
        let source = ("/opt/python/a.py".to_owned(), b"x = 1\n".to_vec());
        let pyc = compile(&interpreter, &[&source]).await.remove(0);
        // PEP 552: bit 0 for a hash, bit 1 for a check.
        assert_eq!(pyc[4..8], [1, 0, 0, 0]);
        let place = b"/opt/python/a.py";
        assert!(pyc.windows(place.len()).any(|window| window == place));
    }
}

#[tokio::test]
async fn what_does_not_compile_leaves_the_process_usable() {
    for interpreter in all().await {
        let folder = tempfile::tempdir().unwrap();
        let mut compiler = Compiler::start(&interpreter, folder.path()).unwrap();
        let deep = format!("x = {}1", "-".repeat(200_000));
        let long = format!("x = {}", "a.".repeat(100_000) + "b");
        for source in [
            "print 'x'",
            "x = (",
            "x = {{ name }",
            "x = '\0'",
            "# -*- coding: no-such-codec -*-\n",
            "return 1\n",
            &deep,
            &long,
        ] {
            let answer = compiler.compile("x.py", source.as_bytes()).await;
            let is_failed = matches!(&answer, Answer::Failed(reason) if !reason.is_empty());
            let version = &interpreter.version;
            assert!(is_failed, "{:.20} by {version}: {answer:?}", source);
        }
        let answer = compiler.compile("x.py", b"raise SystemExit(1)\n").await;
        assert!(matches!(answer, Answer::Compiled(_)), "it is not run");
        let latin = compiler
            .compile("x.py", b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
            .await;
        assert!(matches!(latin, Answer::Compiled(_)));
    }
}

#[tokio::test]
async fn an_interpreter_is_believed_only_when_it_answers_rightly() {
    let folder = tempfile::tempdir().unwrap();
    let some = all().await.remove(0);
    let name = some.python.runtime();
    // A shim that says it can do nothing, a link to another minor, and then the real one.
    let [shims, wrong, right] = ["a/shims", "b", "c"].map(|name| folder.path().join(name));
    for folder in [&shims, &wrong, &right] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let is_false = PathBuf::from("/bin/false");
    std::os::unix::fs::symlink(is_false, shims.join(&name)).unwrap();
    std::os::unix::fs::symlink("/bin/true", wrong.join(&name)).unwrap();
    std::os::unix::fs::symlink(&some.path, right.join(&name)).unwrap();
    let settings = InterpreterSettings {
        named: vec!["/no/such/python".into(), wrong.join(&name)],
        search_path: Some(std::env::join_paths([&shims, &wrong, &right]).unwrap()),
        home: None,
        only: None,
    };
    let cache = DerivedCache::new(folder.path().join("cache"));
    let find = || async {
        let interpreters = Interpreters::new(settings.clone(), cache.clone());
        interpreters.find(some.python).await
    };
    assert_eq!(find().await.as_ref(), Some(&some));
    assert!(folder.path().join("cache/references").is_dir());
    assert_eq!(find().await.as_ref(), Some(&some), "its answer was kept");
    std::fs::remove_file(right.join(&name)).unwrap();
    std::os::unix::fs::symlink("/bin/false", right.join(&name)).unwrap();
    let settings = InterpreterSettings {
        only: Some(right.into()),
        ..settings
    };
    let found = Interpreters::new(settings, cache).find(some.python).await;
    assert_eq!(found, None, "another file is asked");
    let installed = some.prefix.join("lib").join(name);
    assert!(installed.is_dir(), "{}", installed.display());
}

#[tokio::test]
async fn an_interpreter_that_comes_or_goes_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let some = all().await.remove(0);
    // A script that answers as an interpreter does which can be removed.
    let (home, script) = (folder.path().join("home"), some.python.runtime());
    std::fs::create_dir_all(&home).unwrap();
    let (path, installed) = (home.join(&script), home.join("installed"));
    let settings = InterpreterSettings {
        only: Some(home.clone().into()),
        ..InterpreterSettings::default()
    };
    let cache = DerivedCache::new(folder.path().join("cache"));
    let interpreters = Interpreters::new(settings, cache);
    let start = Instant::now();
    let after = |minutes: u64| start + Duration::from_secs(minutes * 60);
    assert_eq!(interpreters.find_at(some.python, start).await, None);

    let answer = format!(
        "cpython\\n{}\\nfinal\\n{}\\n-\\n{}\\n/usr",
        some.cache_tag(),
        some.version,
        installed.display()
    );
    std::fs::write(&installed, "").unwrap();
    std::fs::write(&path, format!("#!/bin/sh\nprintf '{answer}'\n")).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, executable).unwrap();
    let soon = interpreters.find_at(some.python, after(9)).await;
    assert_eq!(soon, None, "it is not looked for all the time");
    let found = interpreters.find_at(some.python, after(10)).await;
    assert_eq!(found.map(|found| found.path), Some(installed.clone()));

    std::fs::remove_file(&path).unwrap();
    let kept = interpreters.find_at(some.python, after(10)).await;
    assert!(kept.is_some(), "the interpreter itself is still there");
    std::fs::remove_file(&installed).unwrap();
    assert_eq!(interpreters.find_at(some.python, after(10)).await, None);
}
