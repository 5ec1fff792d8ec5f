//! `….requirements.txt`: the packages with the digests of their wheels, for `pip install --require-hashes
//! --no-deps` (pip documentation, "Secure installs").

use super::Input;
use std::io::{self, Write};

/// Names, versions and digests have forms in which nothing can end a line or begin a comment (PEP 503, PEP 440).
pub(super) fn write<W: Write>(input: &Input<'_>, mut out: W) -> io::Result<()> {
    for package in &input.packages {
        let remark = match package.wheel.built_from() {
            Some(_) => "  # built from source: the index has no such wheel",
            None => "",
        };
        writeln!(
            out,
            "{}=={} --hash=sha256:{}{remark}",
            package.name, package.version, package.wheel.sha256
        )?;
    }
    Ok(())
}
