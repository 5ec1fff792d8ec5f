//! Who is measured.

use serde::Serialize;

/// A way of making a layer, with the caches it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    /// `layersmith build`, no caches, no bytecode.
    Ours,
    /// The same with bytecode.
    OursCompiled,
    /// With bytecode, and with what was derived from the wheels as its only cache: bytecode, stripped shared objects.
    OursCompiledBefore,
    /// With bytecode, and with the packages imported once the layer is made; no caches.
    OursTested,
    /// `layersmith build`, wheels cached and lock fresh, no bytecode.
    OursWarm,
    /// The same with bytecode.
    OursWarmCompiled,
    /// Klayers' recipe as it is: pip compiles.
    Klayers,
    /// The same without compiling.
    KlayersPlain,
    /// `uv pip install --target` and `zip`, with an empty cache.
    Uv,
    /// The same, compiling.
    UvCompiled,
    /// `uv pip install --target` and `zip`, with everything in uv's cache.
    UvWarm,
    /// The same, compiling.
    UvWarmCompiled,
    /// Starting our executable and nothing more.
    Start,
    /// The wheels' bytes read once, hashed once, written once, by one thread.
    Limit,
}

impl Contender {
    /// As it is written in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ours => "ours, cold",
            Self::OursCompiled => "ours, cold, bytecode",
            Self::OursCompiledBefore => "ours, cold, bytecode cached",
            Self::OursTested => "ours, cold, bytecode, imported",
            Self::OursWarm => "ours, warm",
            Self::OursWarmCompiled => "ours, warm, bytecode",
            Self::Klayers => "Klayers' recipe",
            Self::KlayersPlain => "Klayers' recipe, --no-compile",
            Self::Uv => "uv + zip, cold",
            Self::UvCompiled => "uv + zip, cold, bytecode",
            Self::UvWarm => "uv + zip, warm",
            Self::UvWarmCompiled => "uv + zip, warm, bytecode",
            Self::Start => "start",
            Self::Limit => "limit",
        }
    }

    /// Whether it is our executable building a layer.
    pub(crate) fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Ours
                | Self::OursCompiled
                | Self::OursCompiledBefore
                | Self::OursTested
                | Self::OursWarm
                | Self::OursWarmCompiled
        )
    }

    /// Whether what it makes has bytecode.
    pub(crate) fn compiles(self) -> bool {
        matches!(
            self,
            Self::OursCompiled
                | Self::OursCompiledBefore
                | Self::OursTested
                | Self::OursWarmCompiled
                | Self::Klayers
                | Self::UvCompiled
                | Self::UvWarmCompiled
        )
    }
}
