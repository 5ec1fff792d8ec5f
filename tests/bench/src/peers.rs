//! The other ways of making a layer: Klayers' recipe, and `uv` with `zip`.

use crate::process;
use crate::programs::Programs;
use std::path::Path;
use std::time::Instant;

/// What Klayers' builder function does between being called and uploading: pip installs into an empty folder without a
/// cache, the folder's size is taken, `pip freeze` lists what is in it, the list is put into it, and it is zipped.
const KLAYERS: &str = r#"
import os, shutil, subprocess, sys
work, constraints, extra, *packages = sys.argv[1:]
folder = os.path.join(work, "python")
shutil.rmtree(folder, ignore_errors=True)
options = ["-t", folder, "--quiet", "--upgrade", "--no-cache-dir", "-c", constraints] + extra.split()
subprocess.run(["pip", "install", *packages, *options], capture_output=True, check=True)
size = sum(os.stat(os.path.join(at, name)).st_size for at, _, names in os.walk(folder) for name in names)
frozen = subprocess.run(["pip", "freeze", "--path", folder], capture_output=True, check=True).stdout
with open(os.path.join(folder, "requirements.txt"), "wb") as out:
    out.write(frozen.strip())
shutil.make_archive(os.path.join(work, "layer"), "zip", root_dir=work, base_dir="python")
print(size)
"#;

/// What is installed, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) packages: &'a [&'a str],
    /// A file that pins every version.
    pub(crate) constraints: &'a Path,
    /// An empty folder; the zip becomes `layer.zip` in it.
    pub(crate) work: &'a Path,
    /// Whether modules are compiled.
    pub(crate) compile: bool,
}

/// Klayers' recipe, in one process of Python; in seconds.
pub(crate) async fn klayers(programs: &Programs, task: &Task<'_>) -> anyhow::Result<f64> {
    let mut command = programs.command(programs.venv.join("python"));
    command
        .args(["-c", KLAYERS])
        .arg(task.work)
        .arg(task.constraints)
        .arg(if task.compile { "" } else { "--no-compile" })
        .args(task.packages)
        .env("TMPDIR", task.work);
    let finished = process::run(&mut command).await?;
    Ok(finished.succeeded("Klayers' recipe")?.seconds)
}

/// `uv pip install --target`, then `zip -q -r`; in seconds, both together.
pub(crate) async fn uv_and_zip(
    programs: &Programs,
    task: &Task<'_>,
    cache: &Path,
) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut install = programs.command(&programs.uv);
    install
        .args([
            "pip",
            "install",
            "--quiet",
            "--no-config",
            "--target",
            "python",
        ])
        .arg("--python")
        .arg(&programs.python)
        .arg("--constraints")
        .arg(task.constraints)
        .args(task.compile.then_some("--compile-bytecode"))
        .args(task.packages)
        .current_dir(task.work)
        .env("UV_CACHE_DIR", cache);
    process::run(&mut install).await?.succeeded("uv")?;
    let mut zip = programs.command("zip");
    zip.args(["-q", "-r", "layer.zip", "python"])
        .current_dir(task.work);
    process::run(&mut zip).await?.succeeded("zip")?;
    Ok(started.elapsed().as_secs_f64())
}
