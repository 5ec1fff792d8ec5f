//! What is to be reached, and whether it is.

use super::catalog::Known;
use super::contender::Contender;
use super::report::Results;
use super::rounds::Measured;
use super::statistics::{Spread, geometric_mean};
use serde::Serialize;

/// Layers with a smaller zip than this are not held to the limit of the machine: what is fixed weighs too much there.
const ASSEMBLY_FROM: u64 = 10_000_000;
const MIB: f64 = 1024.0 * 1024.0;

/// One figure with its target.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) target: String,
    pub(crate) reached: String,
    /// `None` when it was not measured.
    pub(crate) met: Option<bool>,
}

/// Every figure of the table, in its order.
pub(crate) fn judge(results: &Results) -> Vec<Verdict> {
    use Contender::{
        Klayers, Ours, OursCompiled, OursCompiledBefore, OursWarm, OursWarmCompiled, Uv, UvWarm,
        UvWarmCompiled,
    };
    let ratios = Ratios(results);
    let mut verdicts = Vec::new();
    for (ours, how) in [
        (Ours, "cold, against Klayers' recipe"),
        (
            OursCompiledBefore,
            "cold but for bytecode, against Klayers' recipe",
        ),
    ] {
        verdicts.push(ratios.mean(how, ours, Klayers, 17.0));
        for layer in ["pandas", "scientific"] {
            verdicts.push(ratios.one(how, ours, Klayers, layer, 30.0));
        }
    }
    let how = "cold with bytecode, against Klayers' recipe";
    verdicts.push(ratios.one(how, OursCompiled, Klayers, "pandas", 6.0));
    verdicts.push(ratios.one(how, OursCompiled, Klayers, "scientific", 4.0));
    let how = "cold, against uv + zip";
    verdicts.push(ratios.mean(how, Ours, Uv, 5.0));
    verdicts.push(ratios.each(how, Ours, Uv, 1.0, |_| true));
    let how = "warm, against uv + zip";
    verdicts.push(ratios.mean(how, OursWarm, UvWarm, 40.0));
    let pandas = results.layer("pandas").map_or(u64::MAX, Measured::zip_size);
    let large = |layer: &Measured| layer.zip_size() >= pandas;
    verdicts.push(ratios.each(how, OursWarm, UvWarm, 60.0, large));
    let how = "warm with bytecode, against uv + zip that compiles";
    verdicts.push(ratios.mean(how, OursWarmCompiled, UvWarmCompiled, 30.0));
    verdicts.extend(assembly(results));
    verdicts.extend(memory(results));
    verdicts.extend(imports(results));
    verdicts.extend(catalog(results));
    if let Some(fan_out) = &results.fan_out {
        verdicts.extend(fan_out.judge());
    }
    if let Some(scale) = &results.scale {
        verdicts.extend(scale.judge());
    }
    if let Some(rerender) = &results.rerender {
        verdicts.extend(rerender.judge());
    }
    verdicts.extend(super::start::judge(
        results.starts.as_deref().unwrap_or_default(),
    ));
    verdicts
}

struct Ratios<'a>(&'a Results);

impl Ratios<'_> {
    fn all(&self, ours: Contender, peer: Contender) -> Vec<(&Measured, f64)> {
        let layers = self.0.layers.iter();
        layers
            .filter_map(|layer| {
                let ratio = Spread::ratio(&layer.seconds(ours), &layer.seconds(peer))?;
                Some((layer, ratio.median))
            })
            .collect()
    }

    fn mean(&self, how: &str, ours: Contender, peer: Contender, target: f64) -> Verdict {
        let ratios: Vec<f64> = self
            .all(ours, peer)
            .iter()
            .map(|(_, ratio)| *ratio)
            .collect();
        let mean = geometric_mean(&ratios);
        at_least(
            format!("{how}: geometric mean ({} of 6 layers)", ratios.len()),
            target,
            mean,
        )
    }

    fn one(
        &self,
        how: &str,
        ours: Contender,
        peer: Contender,
        layer: &str,
        target: f64,
    ) -> Verdict {
        let ratios = self.all(ours, peer);
        let found = ratios.iter().find(|(measured, _)| measured.layer == layer);
        at_least(
            format!("{how}: {layer}"),
            target,
            found.map(|(_, ratio)| *ratio),
        )
    }

    /// The worst of some layers.
    fn each(
        &self,
        how: &str,
        ours: Contender,
        peer: Contender,
        target: f64,
        which: impl Fn(&Measured) -> bool,
    ) -> Verdict {
        let mut ratios = self.all(ours, peer);
        ratios.retain(|(layer, _)| which(layer));
        ratios.sort_by(|a, b| a.1.total_cmp(&b.1));
        let worst = ratios.first();
        let names: Vec<&str> = ratios.iter().map(|(layer, _)| layer.layer).collect();
        let names = if names.is_empty() {
            "the larger layers".to_owned()
        } else {
            names.join(", ")
        };
        at_least(
            format!("{how}: the worst of {names}"),
            target,
            worst.map(|(_, ratio)| *ratio),
        )
    }
}

fn at_least(what: String, target: f64, reached: Option<f64>) -> Verdict {
    Verdict {
        what,
        target: format!("≥ {target} ×"),
        reached: reached.map_or_else(String::new, |ratio| format!("{ratio:.1} ×")),
        met: reached.map(|ratio| ratio >= target),
    }
}

/// At most so many times the limit, and a few milliseconds.
fn assembly(results: &Results) -> Vec<Verdict> {
    let kinds = [
        (
            Contender::OursWarm,
            "verified and put together",
            1.10,
            0.005,
        ),
        (
            Contender::OursWarmCompiled,
            "verified and put together with bytecode",
            1.3,
            0.0,
        ),
    ];
    let mut verdicts = Vec::new();
    for (ours, how, times, more) in kinds {
        for layer in &results.layers {
            if layer.zip_size() < ASSEMBLY_FROM {
                continue;
            }
            let own = Spread::of(&layer.assembling(ours)).map(|spread| spread.median);
            let limit = Spread::of(&layer.seconds(Contender::Limit)).map(|spread| spread.median);
            let pair = own.zip(limit);
            let extra = if more > 0.0 { " + 5 ms" } else { "" };
            verdicts.push(Verdict {
                what: format!("{how}, against the limit: {}", layer.layer),
                target: format!("≤ {times:.2} ×{extra}"),
                reached: pair.map_or_else(String::new, |(own, limit)| {
                    format!(
                        "{:.2} × ({:.1} ms against {:.1} ms)",
                        own / limit,
                        own * 1e3,
                        limit * 1e3
                    )
                }),
                met: pair.map(|(own, limit)| own <= limit * times + more),
            });
        }
    }
    verdicts
}

fn memory(results: &Results) -> Vec<Verdict> {
    let Some(idle) = results.idle_memory else {
        return Vec::new();
    };
    let layers = results.layers.iter();
    let mut peaks: Vec<(&str, _)> = layers
        .filter_map(|layer| Some((layer.layer, layer.memory?)))
        .collect();
    peaks.extend(
        results
            .large_memory
            .map(|peak| ("240 MiB made for this", peak)),
    );
    let mut verdicts = Vec::new();
    for (how, of) in [
        (
            "without bytecode",
            (|peak| peak.plain) as fn(super::memory::Peak) -> u64,
        ),
        ("with bytecode", |peak| peak.compiled),
    ] {
        let worst = peaks.iter().max_by_key(|(_, peak)| of(*peak));
        let above = worst.map(|(name, peak)| (name, of(*peak).saturating_sub(idle) as f64 / MIB));
        verdicts.push(Verdict {
            what: format!("anonymous memory above the idle process, {how}: the worst layer"),
            target: "≤ 16 MiB".to_owned(),
            reached: above.map_or_else(String::new, |(name, above)| {
                format!("{above:.1} MiB ({name})")
            }),
            met: above.map(|(_, above)| above <= 16.0),
        });
    }
    verdicts
}

fn imports(results: &Results) -> Vec<Verdict> {
    let of = |layer: &Measured, whose| {
        let import = layer.imports.iter().find(|import| import.whose == whose)?;
        import.median()
    };
    let mut verdicts = Vec::new();
    for layer in &results.layers {
        let (Some(own), Some(theirs)) = (
            of(layer, Contender::OursWarmCompiled),
            of(layer, Contender::Klayers),
        ) else {
            continue;
        };
        verdicts.push(Verdict {
            what: format!(
                "importing from the layer, against Klayers' zip: {}",
                layer.layer
            ),
            target: "never slower".to_owned(),
            reached: format!(
                "{:.2} × ({:.0} ms against {:.0} ms)",
                theirs / own,
                own * 1e3,
                theirs * 1e3
            ),
            met: Some(theirs >= own),
        });
    }
    if let Some(layer) = results.layer("pandas")
        && let Some(own) = of(layer, Contender::OursWarmCompiled)
        && let Some(plain) = of(layer, Contender::OursWarm)
    {
        let what = "importing pandas, bytecode against none".to_owned();
        verdicts.push(at_least(what, 3.5, Some(plain / own)));
    }
    verdicts
}

fn catalog(results: &Results) -> Vec<Verdict> {
    let Some(plans) = &results.catalog else {
        return Vec::new();
    };
    let what = format!(
        "plan of {} layers × {} targets",
        plans.layers, plans.targets
    );
    [
        (Known::Nothing, "nothing known", 10.0),
        (Known::Locks, "locks fresh", 1.0),
    ]
    .into_iter()
    .map(|(known, how, target)| {
        let median = plans.spread(known).map(|spread| spread.median);
        Verdict {
            what: format!("{what}, {how}"),
            target: format!("≤ {target} s"),
            reached: median.map_or_else(String::new, |seconds| format!("{seconds:.2} s")),
            met: median.map(|seconds| seconds <= target),
        }
    })
    .collect()
}
