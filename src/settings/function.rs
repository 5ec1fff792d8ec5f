//! The settings of a function on AWS Lambda: the environment alone, since nobody gives it arguments of ours.

use super::{FunctionSetting, Settings};
use crate::model::InvalidValue;
use clap::Parser;
use clap::error::ContextKind;

#[derive(Debug, Parser)]
#[command(name = "layersmith")]
struct FromEnvironment {
    #[command(flatten)]
    settings: Settings,
}

impl Settings {
    /// Which function this process is, with its settings; `None` when it is none and has a command line.
    ///
    /// # Errors
    /// A variable whose value is none, in words that do not repeat it.
    #[must_use]
    pub fn of_function() -> Option<Result<(FunctionSetting, Self), InvalidValue>> {
        std::env::var_os("LAYERSMITH_FUNCTION")?;
        let settings = match FromEnvironment::try_parse_from(["layersmith"]) {
            Ok(parsed) => parsed.settings,
            Err(error) => {
                let argument = error.get(ContextKind::InvalidArg);
                let argument = argument.map(ToString::to_string).unwrap_or_default();
                let message = format!("the environment's value for `{argument}` is none");
                return Some(Err(InvalidValue(message)));
            }
        };
        let function = settings.function?;
        Some(Ok((function, settings)))
    }
}
