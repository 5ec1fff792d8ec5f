//! What hostile wheels may cost.

use std::process::Command;
use std::time::{Duration, Instant};

/// What the tests' own wheels take, 65,537 entries in memory among them, and far less than what some of those would unpack to.
const KIBIBYTES: u32 = 96 * 1024;
/// Far more than is needed on a busy machine, and far less than going on would take.
const LONGEST: Duration = Duration::from_secs(120);

/// The tests of hostile wheels once more, with little memory to be had: reading too much at once ends them.
#[test]
fn hostile_wheels_take_little_memory_and_time() {
    let started = Instant::now();
    let limited = format!("ulimit -d {KIBIBYTES} && exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--test-threads=1",
            "build::tests::hostile::",
            "build::tests::archives::",
            "build::tests::many_entries::two_hundred_thousand_entries_are_refused",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && !said.contains(" 0 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}
