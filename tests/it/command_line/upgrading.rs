//! `plan --upgrade`: new releases of what is live, without a change of its request.

use super::{Desk, files_below};
use layersmith_testbed::index::Wheel;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_release_is_planned_when_it_is_looked_for() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    desk.write("layers/core.yaml", "packages: [demo-core<2]\n");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let published = files_below(&desk.data("registry"));

    // Nothing is new: nothing is fetched or built.
    let downloads = desk.index.downloads();
    let said = desk.run(&["plan", "--upgrade"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(!said.stdout.contains("changed"), "{said:#?}");
    assert_eq!(desk.index.downloads(), downloads);

    desk.index.publish(
        Wheel::new("demo-core", "2.0.0")
            .module("demo_core", "VALUE = 2\n")
            .license("MIT"),
    );
    let (code, value) = desk.json(&["plan"]);
    assert_eq!(code, 0);
    let actions = |value: &serde_json::Value| -> Vec<String> {
        let entries = value["plan"]["entries"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| {
                let action = entry["action"].as_object().unwrap();
                format!(
                    "{} {}",
                    entry["layer"].as_str().unwrap(),
                    action.keys().next().unwrap()
                )
            })
            .collect()
    };
    assert_eq!(actions(&value), ["core keep", "demo keep"]);
    let (code, value) = desk.json(&["plan", "--upgrade"]);
    assert_eq!(code, 0);
    assert_eq!(actions(&value), ["core keep", "demo publish"]);
    let publication = &value["plan"]["entries"][1]["action"]["publish"];
    assert_eq!(publication["reason"], "changed");
    assert_eq!(
        publication["changes"],
        serde_json::json!([{"name": "demo-core", "from": "1.0.0", "to": "2.0.0"}])
    );
    assert_eq!(desk.index.downloads(), downloads + 1);
    assert!(published == files_below(&desk.data("registry")));

    // Younger than the policy's cooldown, it is not looked at.
    desk.policy("cooldown_days: 3");
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    let now = layersmith::model::Timestamp::from_unix(i64::try_from(now).unwrap());
    desk.index.publish(
        Wheel::new("demo-core", "3.0.0")
            .module("demo_core", "VALUE = 3\n")
            .upload_time(&now.to_string()),
    );
    let (code, value) = desk.json(&["plan", "--upgrade"]);
    assert_eq!(code, 0);
    let publication = &value["plan"]["entries"][1]["action"]["publish"];
    assert_eq!(publication["changes"][0]["to"], "2.0.0", "{publication}");
}
