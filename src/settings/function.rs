//! The settings of a function on AWS Lambda: the environment alone, since nobody gives it arguments of ours.

use super::{FunctionSetting, Settings};
use crate::model::InvalidValue;
use clap::error::ContextKind;
use clap::{CommandFactory as _, Parser};

#[derive(Debug, Parser)]
#[command(name = "layersmith")]
struct FromEnvironment {
    #[command(flatten)]
    settings: Settings,
}

/// The variable of an option, which clap names as `--store <STORE>`.
fn variable_of(argument: &str) -> Option<String> {
    let name = argument.split_whitespace().next()?.strip_prefix("--")?;
    let command = FromEnvironment::command();
    let mut known = command.get_arguments();
    let option = known.find(|known| known.get_long() == Some(name))?;
    Some(option.get_env()?.to_str()?.to_owned())
}

impl Settings {
    /// Which function this process is, with its settings; `None` when it is none and has a command line.
    ///
    /// # Errors
    /// The variable whose value cannot be read, in words that do not repeat it.
    #[must_use]
    pub fn of_function() -> Option<Result<(FunctionSetting, Self), InvalidValue>> {
        std::env::var_os("LAYERSMITH_FUNCTION")?;
        let settings = match FromEnvironment::try_parse_from(["layersmith"]) {
            Ok(parsed) => parsed.settings,
            Err(error) => {
                let argument = error.get(ContextKind::InvalidArg);
                let argument = argument.map(ToString::to_string).unwrap_or_default();
                let variable = variable_of(&argument).unwrap_or(argument);
                let message = format!("the value of {variable} cannot be read");
                return Some(Err(InvalidValue(message)));
            }
        };
        let function = settings.function?;
        Some(Ok((function, settings)))
    }
}
