//! What the demo is told: a few arguments and variables.

use std::path::PathBuf;

use crate::tools::target_directory;

/// The port of the bot's server, unless it is taken.
const PORT: u16 = 8080;

/// What `--help` prints.
pub const HELP: &str = "\
Shows Layersmith's whole loop on this machine, and checks every claim it makes.

Usage: layersmith-demo [--aws] [--exit] [--layersmith PATH]

  --aws               Publish to moto, which stands in for AWS: 34 regions, secrets in SSM and Secrets Manager
  --exit              Stop when the story is told instead of leaving the server up (DEMO_EXIT=1 does the same)
  --layersmith PATH   The executable to show [default: target/debug/layersmith]
  -h, --help          Print this

Variables:
  DEMO_EXIT=1         As --exit
  DEMO_PORT=8081      Where the server listens on 127.0.0.1 [default: 8080; a free port when it is taken]
  NO_COLOR=1          No bold or dim text

Exit codes: 0 everything was as told, 1 something fell short, 2 bad usage, 130 stopped before the end.";

/// How the demo is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The executable that is shown.
    pub layersmith: PathBuf,
    /// Whether moto takes the registry directory's place.
    pub aws: bool,
    /// Whether it stops by itself.
    pub exit: bool,
    /// Where the bot's server should listen.
    pub port: u16,
}

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Demo(Options),
    Help,
}

impl Options {
    /// Reads arguments (without the program's name) and variables.
    ///
    /// # Errors
    /// When one of them is not understood; the text says which.
    pub fn parse(
        arguments: impl IntoIterator<Item = String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Asked, String> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut options = Self {
            layersmith: target_directory().join("debug/layersmith"),
            aws: false,
            exit: set("DEMO_EXIT").is_some_and(|value| value != "0"),
            port: PORT,
        };
        if let Some(text) = set("DEMO_PORT") {
            options.port = text.parse().map_err(|_| {
                format!("DEMO_PORT is `{text}`: a port from 0 to 65535 is expected")
            })?;
        }
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--aws" => options.aws = true,
                "--exit" => options.exit = true,
                "--layersmith" => {
                    options.layersmith = arguments
                        .next()
                        .ok_or("--layersmith needs the path of the executable")?
                        .into();
                }
                "-h" | "--help" => return Ok(Asked::Help),
                other => return Err(format!("`{other}` is not an argument of the demo")),
            }
        }
        Ok(Asked::Demo(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Asked, String> {
        Options::parse(arguments.iter().map(|text| (*text).to_owned()), |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn options(arguments: &[&str], variables: &[(&str, &str)]) -> Options {
        match parse(arguments, variables) {
            Ok(Asked::Demo(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_said_is_the_embedded_demo_on_the_usual_port_that_stays_up() {
        let found = options(&[], &[]);
        assert_eq!((found.aws, found.exit, found.port), (false, false, 8080));
        assert!(found.layersmith.ends_with("debug/layersmith"));
    }

    #[test]
    fn arguments_and_variables_are_read() {
        let found = options(
            &["--aws", "--layersmith", "bot"],
            &[("DEMO_EXIT", "1"), ("DEMO_PORT", "9000")],
        );
        assert_eq!((found.aws, found.exit, found.port), (true, true, 9000));
        assert_eq!(found.layersmith, PathBuf::from("bot"));
        assert!(!options(&[], &[("DEMO_EXIT", "0")]).exit);
        assert!(!options(&[], &[("DEMO_EXIT", "")]).exit);
        assert_eq!(parse(&["--aws", "-h"], &[]), Ok(Asked::Help));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(
            parse(&["--asw"], &[]),
            Err("`--asw` is not an argument of the demo".to_owned())
        );
        assert!(parse(&["--layersmith"], &[]).is_err());
        assert!(
            parse(&[], &[("DEMO_PORT", "80800")])
                .unwrap_err()
                .contains("80800")
        );
    }
}
