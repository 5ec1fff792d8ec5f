//! Finds the programs and data the bench needs, and says how to get what is missing.
//!
//! Each is looked for in three places: a `LAYERSMITH_TEST_*` variable, `target/tools/` in the
//! workspace, and (for programs) `PATH`.

use std::env;
use std::path::{Path, PathBuf};

const NODE_PACKAGES: &str = "@octokit/openapi@23 @octokit/webhooks-examples@7";

/// Where cargo builds: `target` in the workspace, or what `CARGO_TARGET_DIR` says.
pub fn target_directory() -> PathBuf {
    let given =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    workspace_root().join(given)
}

/// The folder of the workspace, where `Cargo.lock` lies.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("tests/testbed lies two folders below the workspace")
        .to_path_buf()
}

/// `target/tools`, or what `LAYERSMITH_TEST_TOOLS` says.
pub fn tools_directory() -> PathBuf {
    env::var_os("LAYERSMITH_TEST_TOOLS")
        .map_or_else(|| target_directory().join("tools"), PathBuf::from)
}

/// The `uv` program: `LAYERSMITH_TEST_UV`, `target/tools/bin/uv`, `PATH`.
pub fn uv() -> Result<PathBuf, String> {
    program("LAYERSMITH_TEST_UV", "uv").ok_or_else(|| {
        "uv is missing (resolves requirements): python3 -m venv target/tools/venv && target/tools/venv/bin/pip install uv \
         && mkdir -p target/tools/bin && ln -sf ../venv/bin/uv target/tools/bin/uv"
            .to_owned()
    })
}

/// The `moto_server` program: `LAYERSMITH_TEST_MOTO`, `target/tools/bin/moto_server`, `PATH`.
pub fn moto_server() -> Result<PathBuf, String> {
    program("LAYERSMITH_TEST_MOTO", "moto_server").ok_or_else(|| {
        "moto_server is missing (stands in for AWS): python3 -m venv target/tools/venv && target/tools/venv/bin/pip install \
         'moto[server]==5.2.5' && mkdir -p target/tools/bin && ln -sf ../venv/bin/moto_server target/tools/bin/moto_server"
            .to_owned()
    })
}

/// The `cargo-lambda` program: `LAYERSMITH_TEST_CARGO_LAMBDA`, `target/tools/cloud-venv/bin`, `PATH`.
pub fn cargo_lambda() -> Result<PathBuf, String> {
    let ours = tools_directory().join("cloud-venv/bin/cargo-lambda");
    existing([ours])
        .or_else(|| program("LAYERSMITH_TEST_CARGO_LAMBDA", "cargo-lambda"))
        .ok_or_else(|| {
            "cargo-lambda is missing (stands in for Lambda): python3 -m venv target/tools/cloud-venv \
             && target/tools/cloud-venv/bin/pip install 'cargo-lambda>=1.9,<2'"
                .to_owned()
        })
}

/// A Python that has AWS' translator of SAM templates: `target/tools/venv/bin/python`.
pub fn sam_python() -> Result<PathBuf, String> {
    let python = tools_directory().join("venv/bin/python");
    existing([python.clone()]).ok_or_else(|| {
        format!(
            "{} is missing (translates the SAM template): python3 -m venv target/tools/venv && \
             target/tools/venv/bin/pip install 'aws-sam-translator>=1.115,<2'",
            python.display()
        )
    })
}

/// The OpenSSH server: `LAYERSMITH_TEST_SSHD`, `PATH`, `/usr/sbin/sshd`. The path is absolute, as sshd demands.
pub fn sshd() -> Result<PathBuf, String> {
    program("LAYERSMITH_TEST_SSHD", "sshd")
        .or_else(|| existing(["/usr/sbin/sshd", "/usr/local/sbin/sshd"].map(PathBuf::from)))
        .ok_or_else(|| {
            "sshd is missing (serves the catalog repository): apt-get install openssh-server"
                .to_owned()
        })
}

/// The `git` program on `PATH`.
pub fn git() -> Result<PathBuf, String> {
    program("LAYERSMITH_TEST_GIT", "git")
        .ok_or_else(|| "git is missing: apt-get install git".to_owned())
}

/// GitHub's own `OpenAPI` description.
pub fn github_description() -> Result<PathBuf, String> {
    node_file(
        "@octokit/openapi/generated/api.github.com.json",
        "GitHub's OpenAPI description",
    )
}

/// GitHub's own examples of web hook payloads.
pub fn webhook_examples() -> Result<PathBuf, String> {
    node_file(
        "@octokit/webhooks-examples/api.github.com/index.json",
        "GitHub's web hook examples",
    )
}

/// One line for each thing that is missing, with how to install it; empty when the bench is complete.
pub fn missing() -> Vec<String> {
    [
        git(),
        uv(),
        moto_server(),
        sam_python(),
        sshd(),
        github_description(),
        webhook_examples(),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect()
}

fn node_file(inside: &str, what: &str) -> Result<PathBuf, String> {
    let tools = tools_directory();
    existing([tools.join("node_modules").join(inside), tools.join(inside)]).ok_or_else(|| {
        format!(
            "{what} is missing ({inside} below {}): npm install --prefix target/tools --ignore-scripts {NODE_PACKAGES}",
            tools.join("node_modules").display()
        )
    })
}

fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let given = env::var_os(variable).map(PathBuf::from);
    let ours = tools_directory().join("bin").join(name);
    let path = env::var_os("PATH").unwrap_or_default();
    existing(
        given
            .into_iter()
            .chain([ours])
            .chain(env::split_paths(&path).map(|folder| folder.join(name))),
    )
}

fn existing(candidates: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    candidates.into_iter().find(|path| path.is_file())
}
