//! Where the files of a wheel go in a layer.

use crate::model::normalize_package_name;

/// A place under the layer's `python/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Relative to `python/`.
    pub(crate) path: String,
    /// Whether it is a script, to be made executable and its first line adapted.
    pub(crate) is_script: bool,
}

/// Where an installer with `--target` would put a wheel's file, all of the schemes being folders of the target: modules
/// at its top, scripts in `bin/`, data at its top, headers in `include/NAME/` (PEP 427, "Installing a wheel").
///
/// # Errors
/// What is wrong, as a sentence without its subject.
pub(crate) fn place(name: &str, package: &str) -> Result<Place, String> {
    let plain = |path: &str| Place {
        path: path.to_owned(),
        is_script: false,
    };
    let Some((top, rest)) = name.split_once('/') else {
        return Ok(plain(name));
    };
    if !top.ends_with(".data") {
        return Ok(plain(name));
    }
    let (scheme, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.is_empty() {
        return Err(format!(
            "its `{name}` is not in one of the folders of PEP 427"
        ));
    }
    match scheme {
        "purelib" | "platlib" | "data" => Ok(plain(path)),
        "scripts" => Ok(Place {
            path: format!("bin/{path}"),
            is_script: true,
        }),
        "headers" => Ok(plain(&format!("include/{package}/{path}"))),
        _ => Err(format!(
            "its `{name}` is not in one of the folders of PEP 427"
        )),
    }
}

/// The `.dist-info` folder of a package among the names in its wheel.
///
/// # Errors
/// What is wrong, as a sentence without its subject: there must be exactly one, and it must be the package's.
pub(crate) fn dist_info<'a>(
    names: impl Iterator<Item = &'a str>,
    package: &str,
) -> Result<&'a str, String> {
    let mut folders: Vec<&str> = names
        .filter_map(|name| name.split_once('/'))
        .map(|(top, _)| top)
        .filter(|top| top.ends_with(".dist-info"))
        .collect();
    folders.sort_unstable();
    folders.dedup();
    let [folder] = folders[..] else {
        return Err(format!(
            "it has {} `.dist-info` folders, and one is expected",
            folders.len()
        ));
    };
    // A version has no dash in it here (PEP 427), a name written carelessly may.
    let stem = folder.trim_end_matches(".dist-info");
    let name = stem.rsplit_once('-').map_or(stem, |(name, _)| name);
    if normalize_package_name(name) == package {
        Ok(folder)
    } else {
        Err(format!("its `{folder}` is not that of {package}"))
    }
}

/// Whether a file of `.dist-info` says how a package was installed: the layer has its own, or none.
pub(crate) fn is_written_by_installers(file: &str) -> bool {
    matches!(
        file,
        "RECORD" | "RECORD.jws" | "RECORD.p7s" | "INSTALLER" | "REQUESTED" | "direct_url.json"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_where_an_installer_puts_it() {
        let path = |name: &str| place(name, "a-b").map(|place| place.path);
        assert_eq!(path("a_b/__init__.py").as_deref(), Ok("a_b/__init__.py"));
        assert_eq!(path("a_b-1.data/purelib/a.py").as_deref(), Ok("a.py"));
        assert_eq!(path("a_b-1.data/platlib/a/b.so").as_deref(), Ok("a/b.so"));
        assert_eq!(path("a_b-1.data/data/share/x").as_deref(), Ok("share/x"));
        assert_eq!(
            path("a_b-1.data/headers/x.h").as_deref(),
            Ok("include/a-b/x.h")
        );
        let script = place("a_b-1.data/scripts/tool", "a-b").unwrap();
        assert_eq!((script.path.as_str(), script.is_script), ("bin/tool", true));
        assert!(path("a_b-1.data/other/x").is_err());
        assert!(path("a_b-1.data/scripts").is_err());
    }

    #[test]
    fn there_is_one_dist_info_and_it_is_the_packages() {
        let find = |names: &[&'static str]| dist_info(names.iter().copied(), "a-b");
        assert_eq!(
            find(&[
                "a_b/x.py",
                "A.B-1.dist-info/METADATA",
                "A.B-1.dist-info/WHEEL"
            ]),
            Ok("A.B-1.dist-info")
        );
        assert!(find(&["a_b/x.py"]).is_err());
        assert!(find(&["a_b-1.dist-info/X", "c-1.dist-info/X"]).is_err());
        assert!(find(&["c-1.dist-info/X"]).is_err());
    }
}
