//! The programs that are measured and used, each named by its path, and the environment they are given.

use crate::process;
use anyhow::{Context as _, bail};
use layersmith_testbed::tools;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// The Python that every contender works for, and works with.
pub(crate) const PYTHON: &str = "3.11";

/// What of the environment is passed on: how to reach the network and the package index, where the home folder is.
const PASSED_ON: [&str; 20] = [
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INSECURE_HOST",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "NETRC",
];

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) layersmith: PathBuf,
    pub(crate) uv: PathBuf,
    /// The interpreter itself: no shim, which costs most of a second, and no virtual environment.
    pub(crate) python: PathBuf,
    /// The folder of a virtual environment's `python` and of its `pip`, the newest.
    pub(crate) venv: PathBuf,
    /// What each says of its version.
    pub(crate) versions: Vec<(String, String)>,
    environment: Vec<(OsString, OsString)>,
}

impl Programs {
    /// Finds all of them.
    ///
    /// # Errors
    /// Names the first that is missing, and how to get it.
    pub(crate) async fn find(layersmith: &Path) -> anyhow::Result<Self> {
        if !layersmith.is_file() {
            bail!(
                "there is no {}: `cargo build --release` makes it",
                layersmith.display()
            );
        }
        let uv = tools::uv().map_err(anyhow::Error::msg)?;
        let uv = std::path::absolute(uv)?;
        let venv = std::path::absolute(tools::tools_directory().join("bench-venv/bin"))?;
        let mut ask = Command::new(venv.join("python"));
        ask.args([
            "-c",
            "import os, sys; print(os.path.realpath(sys._base_executable))",
        ]);
        let help = format!(
            "Python {PYTHON} with pip is missing: `.ci/tools target/tools bench` installs it"
        );
        let python = process::run(&mut ask).await.context(help)?;
        let python = PathBuf::from(python.succeeded("asking Python where it is")?.stdout.trim());
        let mut programs = Self {
            layersmith: layersmith.to_owned(),
            environment: environment(&venv, &python),
            uv,
            python,
            venv,
            versions: Vec::new(),
        };
        programs.versions = programs.ask_versions().await?;
        Ok(programs)
    }

    /// A command that starts a program in the environment that every contender has.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    async fn ask_versions(&self) -> anyhow::Result<Vec<(String, String)>> {
        let (pip, layersmith) = (self.venv.join("pip"), &self.layersmith);
        let asked: [(&str, &Path, &[&str]); 7] = [
            ("layersmith", layersmith, &["--version"]),
            ("python", &self.python, &["--version"]),
            ("pip", &pip, &["--version"]),
            ("uv", &self.uv, &["--version"]),
            ("zip", Path::new("zip"), &["-v"]),
            ("unzip", Path::new("unzip"), &["-v"]),
            ("bwrap", Path::new("bwrap"), &["--version"]),
        ];
        let mut versions = Vec::new();
        for (name, program, arguments) in asked {
            let finished = process::run(self.command(program).args(arguments))
                .await
                .with_context(|| format!("{name}: `.ci/tools target/tools bench` installs it"))?
                .succeeded(name)?;
            versions.push((name.to_owned(), version_in(name, &finished.stdout)));
        }
        Ok(versions)
    }
}

/// The first word of a text that begins with a digit, as in `pip 23.2.1 from …`; Info-ZIP says it a line later.
fn version_in(name: &str, text: &str) -> String {
    let words = text.lines().flat_map(|line| {
        let is_copyright = line.starts_with("Copyright");
        line.split_whitespace().filter(move |_| !is_copyright)
    });
    words
        .map(|word| word.trim_end_matches(','))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(name)
        .to_owned()
}

fn environment(venv: &Path, python: &Path) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = PASSED_ON
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
        .collect();
    // Real interpreters come before shims, for everybody.
    let mut folders = vec![venv.to_owned()];
    folders.extend(python.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    if let Ok(path) = std::env::join_paths(folders) {
        environment.push(("PATH".into(), path));
    }
    environment.push(("LANG".into(), "C.UTF-8".into()));
    environment.push(("PIP_DISABLE_PIP_VERSION_CHECK".into(), "1".into()));
    environment.push(("UV_PYTHON_DOWNLOADS".into(), "never".into()));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let zip = "Copyright (c) 1990-2008 Info-ZIP\nThis is Zip 3.0 (July 5th 2008), by Info-ZIP.";
        assert_eq!(version_in("zip", zip), "3.0");
        assert_eq!(
            version_in("uv", "uv 0.13.9 (x86_64-unknown-linux-gnu)"),
            "0.13.9"
        );
        assert_eq!(version_in("odd", "no number"), "odd");
    }
}
