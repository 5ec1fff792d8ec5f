//! What every registry does with public names.

use crate::model::Region;
use crate::registry::Registry;
use std::collections::BTreeMap;

/// Everything, below a path of its own.
pub(super) async fn check(registry: &dyn Registry) {
    let (here, there): (Region, Region) =
        ("us-east-1".parse().unwrap(), "eu-west-1".parse().unwrap());
    let path = "/layersmith/conformance";
    let below = async |region: &Region, path: &str| {
        let found: BTreeMap<String, String> = registry.parameters(region, path).await.unwrap();
        found
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(below(&here, path).await, [""; 0]);

    let put = async |name: &str, value: &str| {
        let name = format!("{path}/{name}");
        registry.put_parameter(&here, &name, value).await.unwrap();
    };
    put("p3.13/pandas", "one").await;
    put("p3.13/pandas", "two").await;
    put("p3.13-arm64/pandas", "three").await;
    // A name and names below it, and a sibling that begins the same.
    put("p3.13", "four").await;
    registry
        .put_parameter(&here, "/layersmith/conformance-2/x", "five")
        .await
        .unwrap();
    assert_eq!(
        below(&here, path).await,
        [
            "/layersmith/conformance/p3.13=four",
            "/layersmith/conformance/p3.13-arm64/pandas=three",
            "/layersmith/conformance/p3.13/pandas=two",
        ]
    );
    assert_eq!(below(&there, path).await, [""; 0], "regions are apart");

    // More than one page, and more than one call deletes.
    let many: Vec<String> = (10..35).map(|number| format!("many/{number}")).collect();
    for name in &many {
        put(name, "x").await;
    }
    assert_eq!(below(&here, &format!("{path}/many")).await.len(), 25);
    let many: Vec<String> = many.iter().map(|name| format!("{path}/{name}")).collect();
    registry.delete_parameters(&here, &many).await.unwrap();
    registry.delete_parameters(&here, &many).await.unwrap();
    registry.delete_parameters(&here, &[]).await.unwrap();
    assert_eq!(below(&here, path).await.len(), 3);
}
