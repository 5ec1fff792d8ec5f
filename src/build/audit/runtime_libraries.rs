//! The shared libraries that AWS Lambda's Python runtimes have, and those that are known to be missing.
//!
//! Managed runtimes are smaller than the container images of the same name: `libexpat.so.1`, for one, is in the image of
//! Python 3.12 and not where functions run. Listed as present is only what Python itself and the system's C and C++
//! libraries need; what the `manylinux` profiles (PEP 600) allow wheels to expect beyond that is known to be missing.

use crate::model::{Architecture, Target};

/// Of the C library, in every release of it since 2.26; empty stubs since 2.34, but there.
const C_LIBRARY: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libanl.so.1",
    "libBrokenLocale.so.1",
    "libthread_db.so.1",
];
/// Of the compiler, and what Python's own modules need (`zlib`).
const COMPILER_AND_PYTHON: &[&str] = &["libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"];

/// Of the C library up to 2.27: newer ones leave them to others (glibc 2.28 release notes, `--enable-obsolete-nsl` and
/// `--enable-crypt`), and Amazon Linux 2023, with 2.34, does not have them.
const UNTIL_AMAZON_LINUX_2: &[&str] = &["libcrypt.so.1", "libnsl.so.1"];

/// Whether a runtime has a library, by the name that others ask for it by.
pub(super) fn has(target: Target, library: &str) -> bool {
    let loader = match target.architecture {
        Architecture::X86_64 => "ld-linux-x86-64.so.2",
        Architecture::Arm64 => "ld-linux-aarch64.so.1",
    };
    // Python is built with its own library beside it, in `/var/lang/lib`.
    let python = format!("libpython{}.so.1.0", target.python);
    library == loader
        || library == python
        || library == "libpython3.so"
        || library == "linux-vdso.so.1"
        || C_LIBRARY.contains(&library)
        || COMPILER_AND_PYTHON.contains(&library)
        || (target.python.glibc() < (2, 28) && UNTIL_AMAZON_LINUX_2.contains(&library))
}

/// What a library that is known to be missing is for, as the end of a sentence.
pub(super) fn known_missing(library: &str) -> Option<&'static str> {
    let stem = library.split(".so").next().unwrap_or_default();
    Some(match stem {
        "libGL" | "libEGL" | "libGLX" | "libOpenGL" | "libGLU" | "libgbm" | "libdrm" => {
            "OpenGL, which AWS Lambda does not have"
        }
        "libX11" | "libXext" | "libXrender" | "libXfixes" | "libXi" | "libxcb" | "libICE"
        | "libSM" | "libxkbcommon" | "libwayland-client" => {
            "graphical displays, which AWS Lambda does not have"
        }
        "libglib-2.0" | "libgthread-2.0" | "libgobject-2.0" | "libgio-2.0" => {
            "GLib, which AWS Lambda does not have"
        }
        "libcuda" | "libnvidia-ml" | "libnvcuvid" | "libnvidia-encode" => {
            "graphics cards, which AWS Lambda does not have"
        }
        "libexpat" => "XML (Expat), which AWS Lambda does not have",
        "libcrypt" => "hashing passwords (`crypt`), which this runtime does not have",
        "libpq" => "PostgreSQL, which AWS Lambda does not have",
        "libmysqlclient" | "libmariadb" => "MySQL, which AWS Lambda does not have",
        "libodbc" => "ODBC, which AWS Lambda does not have",
        "libasound" | "libportaudio" | "libpulse" => "sound, which AWS Lambda does not have",
        "libnsl" => "NIS, which this runtime does not have",
        name if name.starts_with("libc.musl") || name.starts_with("ld-musl") => {
            "musl Linux, and AWS Lambda runs on glibc"
        }
        _ => return None,
    })
}

/// The package that does the same without libraries of the system, where there is one.
pub(super) fn alternative(package: &str) -> Option<&'static str> {
    Some(match package {
        "opencv-python" => "opencv-python-headless",
        "opencv-contrib-python" => "opencv-contrib-python-headless",
        "psycopg2" => "psycopg2-binary",
        "psycopg-c" => "psycopg-binary",
        "mysqlclient" => "pymysql",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_has_its_own_python_and_loader() {
        let has = |target: &str, library: &str| has(target.parse().unwrap(), library);
        assert!(has("p3.13", "libpython3.13.so.1.0"));
        assert!(!has("p3.13", "libpython3.12.so.1.0"));
        assert!(has("p3.13-arm64", "ld-linux-aarch64.so.1"));
        assert!(!has("p3.13", "ld-linux-aarch64.so.1"));
        assert!(!has("p3.13", "libGL.so.1"));
        // Amazon Linux 2 until Python 3.11.
        for library in UNTIL_AMAZON_LINUX_2 {
            assert!(
                has("p3.10", library) && has("p3.11-arm64", library),
                "{library}"
            );
            assert!(
                !has("p3.12", library) && !has("p3.13-arm64", library),
                "{library}"
            );
        }
    }

    #[test]
    fn what_is_known_to_be_missing_is_not_listed_as_there() {
        for target in Target::all() {
            for library in C_LIBRARY.iter().chain(COMPILER_AND_PYTHON) {
                assert!(
                    has(target, library) && known_missing(library).is_none(),
                    "{library}"
                );
            }
        }
    }
}
