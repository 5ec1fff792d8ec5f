//! The Python of AWS Lambda's managed runtimes, which is not installed as others are.

use std::path::Path;

/// Where it is installed.
const PREFIX: &str = "/var/lang";
/// Where its own library is, which the system does not know of.
const LIBRARIES: &str = "/var/lang/lib";

/// What `LD_LIBRARY_PATH` has to be for an interpreter to start, where it is AWS Lambda's; the runtime sets it, and an
/// environment of our own making does not have it.
///
/// Source: AWS Lambda developer guide, "Defined runtime environment variables".
#[must_use]
pub fn libraries_of(interpreter: &Path) -> Option<&'static str> {
    interpreter.starts_with(PREFIX).then_some(LIBRARIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lambdas_python_has_a_place_of_its_own() {
        let path = Path::new("/var/lang/bin/python3.13");
        assert_eq!(libraries_of(path), Some("/var/lang/lib"));
        assert_eq!(libraries_of(Path::new("/var/language/bin/python3")), None);
        assert_eq!(libraries_of(Path::new("/usr/bin/python3")), None);
    }
}
