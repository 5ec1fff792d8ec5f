//! The contenders take turns: one round after the other, so that a change of the machine's mood meets all of them.

use super::bench::{Bench, Sample};
use super::contender::Contender;
use super::imports::Import;
use super::memory::Peak;
use crate::archive::Contents;
use crate::say;
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything measured of one layer.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    /// Its name in a catalog.
    pub(crate) layer: &'static str,
    /// What was asked for.
    pub(crate) packages: String,
    /// Each contender's samples, one a round.
    pub(crate) samples: BTreeMap<Contender, Vec<Sample>>,
    /// What each contender's zip holds.
    pub(crate) contents: BTreeMap<Contender, Contents>,
    pub(crate) memory: Option<Peak>,
    pub(crate) imports: Vec<Import>,
}

impl Measured {
    /// A contender's seconds, one a round; empty when it was not measured.
    pub(crate) fn seconds(&self, contender: Contender) -> Vec<f64> {
        let samples = self.samples.get(&contender).into_iter().flatten();
        samples.map(|sample| sample.seconds).collect()
    }

    /// The seconds that our warm build took to verify the wheels and to write the zip: all of it but what starting the
    /// executable takes.
    pub(crate) fn assembling(&self, contender: Contender) -> Vec<f64> {
        let starts = self.seconds(Contender::Start);
        let samples = self.samples.get(&contender).into_iter().flatten();
        samples
            .zip(starts)
            .map(|(sample, start)| sample.seconds - start)
            .collect()
    }

    /// Bytes of our zip without bytecode.
    pub(crate) fn zip_size(&self) -> u64 {
        let contents = self.contents.get(&Contender::OursWarm);
        contents.map_or(0, |contents| contents.size)
    }
}

/// Who takes part when these rows are measured, in the order of their turns.
pub(crate) fn contenders(cold: bool, warm: bool, assembly: bool) -> Vec<Contender> {
    use Contender::{
        Klayers, KlayersPlain, Limit, Ours, OursCompiled, OursCompiledBefore, OursTested, OursWarm,
        OursWarmCompiled, Start, Uv, UvCompiled, UvWarm, UvWarmCompiled,
    };
    let mut kinds = Vec::new();
    if cold {
        kinds.extend([Ours, Klayers, OursCompiled, Uv, OursCompiledBefore]);
        kinds.extend([KlayersPlain, OursTested, UvCompiled]);
    }
    if warm || assembly {
        kinds.extend([OursWarm, OursWarmCompiled]);
    }
    if warm {
        kinds.extend([UvWarm, UvWarmCompiled]);
    }
    if assembly {
        kinds.extend([Start, Limit]);
    }
    kinds
}

/// Measures every contender once a round.
pub(crate) async fn measure(
    bench: &mut Bench<'_>,
    kinds: &[Contender],
    runs: usize,
) -> anyhow::Result<Measured> {
    let mut samples: BTreeMap<Contender, Vec<Sample>> = BTreeMap::new();
    for round in 1..=runs {
        let mut line = format!("{} {round}/{runs}:", bench.layer.name);
        // Every other round backwards, so that nobody always comes after the same one.
        let mut turns = kinds.to_vec();
        if round % 2 == 0 {
            turns.reverse();
        }
        for kind in turns {
            if let Some(sample) = bench.measure(kind).await? {
                line.push_str(&format!(" {} {:.3} s,", kind.title(), sample.seconds));
                samples.entry(kind).or_default().push(sample);
            }
        }
        say(line.trim_end_matches(','));
    }
    Ok(Measured {
        layer: bench.layer.name,
        packages: bench.layer.title(),
        samples,
        contents: bench.contents.clone(),
        memory: None,
        imports: Vec::new(),
    })
}
