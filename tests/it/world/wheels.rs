//! What the package index of a test has.

use crate::bad_wheels::noise;
use layersmith_testbed::index::Wheel;

/// Pure and binary wheels, two versions, one dependency: enough for every flow.
pub(crate) fn usual_wheels() -> Vec<Wheel> {
    let mut wheels = vec![
        Wheel::new("demo-core", "1.0.0")
            .module("demo_core", "VALUE = 1\n")
            .license("MIT"),
        Wheel::new("demo-app", "1.0.0")
            .module("demo_app", "import demo_core\n")
            .requires("demo-core>=1")
            .license("Apache-2.0"),
        Wheel::new("demo-app", "1.1.0")
            .module("demo_app", "import demo_core\nNEW = True\n")
            .requires("demo-core>=1")
            .license("Apache-2.0"),
        Wheel::new("only-old-core", "1.0.0")
            .module("only_old_core", "")
            .requires("demo-core<1"),
    ];
    for python in ["cp312", "cp313"] {
        for machine in ["x86_64", "aarch64"] {
            let tag = format!("{python}-{python}-manylinux_2_28_{machine}");
            wheels.push(
                Wheel::new("demo-native", "2.0.0")
                    .module("demo_native", &format!("TAG = '{tag}'\n"))
                    .tag(&tag),
            );
        }
    }
    wheels.push(
        Wheel::new("only-x86", "1.0.0")
            .module("only_x86", "")
            .tag("cp313-cp313-manylinux_2_28_x86_64"),
    );
    wheels
}

/// One whose layer takes more than a moment to send.
pub(crate) fn bulky_wheel() -> Wheel {
    Wheel::new("demo-bulk", "1.0.0")
        .module("demo_bulk", "")
        .file("demo_bulk/noise.bin", noise(100_000))
        .license("MIT")
}
