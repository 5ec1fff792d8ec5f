//! What the server answers to machines and people who only read.

use crate::world::World;
use serde_json::Value;

/// A world in which `demo` is live for both Python versions, both architectures, in two regions.
async fn published() -> World {
    let world = World::start().await;
    let number = world
        .pull_request(&[("layers/demo.yaml", "packages:\n  - demo-app\n")])
        .await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    world.comment(number);
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_readiness_and_metrics_are_answered_before_anything_happened() {
    let world = World::start().await;
    assert_eq!(world.get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(world.get("/readyz").await, (200, "ok\n".to_owned()));
    let (status, metrics) = world.get("/metrics").await;
    assert_eq!(status, 200);
    insta::assert_snapshot!(metrics, @r#"
        # HELP layersmith_runs Runs by state.
        # TYPE layersmith_runs gauge
        layersmith_runs{state="open"} 0
        layersmith_runs{state="done"} 0
        layersmith_runs{state="failed"} 0
        layersmith_runs{state="superseded"} 0
        layersmith_runs{state="cancelled"} 0
        # HELP layersmith_layer_versions Layer versions by state.
        # TYPE layersmith_layer_versions gauge
        layersmith_layer_versions{state="intent"} 0
        layersmith_layer_versions{state="live"} 0
        layersmith_layer_versions{state="deprecated"} 0
        # HELP layersmith_events_waiting Events nobody has handled yet.
        # TYPE layersmith_events_waiting gauge
        layersmith_events_waiting 0
        # HELP layersmith_regions_failed Regions in which something that was to be published is not live.
        # TYPE layersmith_regions_failed gauge
        layersmith_regions_failed 0
        # HELP layersmith_intents_in_doubt Intents to publish that are open for more than an hour: nobody knows whether there is a version.
        # TYPE layersmith_intents_in_doubt gauge
        layersmith_intents_in_doubt 0
        # HELP layersmith_runs_ended_total Runs that ended, by how they did.
        # TYPE layersmith_runs_ended_total counter
        layersmith_runs_ended_total{state="done"} 0
        layersmith_runs_ended_total{state="failed"} 0
        layersmith_runs_ended_total{state="superseded"} 0
        layersmith_runs_ended_total{state="cancelled"} 0
        # HELP layersmith_deliveries_given_up_total Webhook deliveries whose event could not be handled and was given up.
        # TYPE layersmith_deliveries_given_up_total counter
        layersmith_deliveries_given_up_total 0
        # HELP layersmith_notifications_given_up_total Messages that their receiver did not take and that were given up.
        # TYPE layersmith_notifications_given_up_total counter
        layersmith_notifications_given_up_total 0
        "#);
    let (status, page) = world.get("/").await;
    assert_eq!(status, 200);
    assert!(page.contains("No layer is published yet."), "{page}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_klayers_find_what_they_know() {
    let world = published().await;
    let latest = "/api/v2/p3.13-arm64/layers/latest/eu-west-1";
    let (status, json) = world.get(latest).await;
    assert_eq!(status, 200);
    insta::assert_snapshot!(json, @r#"[{"package":"demo","packageVersion":"1.1.0","arn":"arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-arm64-demo:1"}]"#);
    for same in [
        format!("{latest}/"),
        format!("{latest}/json"),
        format!("{latest}/json/"),
    ] {
        assert_eq!(world.get(&same).await, (200, json.clone()), "{same}");
    }
    let (status, csv) = world.get(&format!("{latest}/csv")).await;
    assert_eq!(status, 200);
    insta::assert_snapshot!(csv.escape_debug(), @r"Package,Package Version,arn\r\ndemo,1.1.0,arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-arm64-demo:1\r\n");
    assert_eq!(world.get(&format!("{latest}/csv/")).await, (200, csv));
    let (status, html) = world.get(&format!("{latest}/html")).await;
    assert_eq!(status, 200);
    assert!(html.contains("<table") && html.contains("demo"), "{html}");

    let one = "/api/v2/p3.13-arm64/layers/eu-west-1/demo";
    let (status, history) = world.get(one).await;
    assert_eq!(status, 200);
    insta::assert_snapshot!(history, @r#"[{"arn":"arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-arm64-demo:1","packageVersion":"1.1.0","deployStatus":"latest","dependencies":["demo-app==1.1.0","demo-core==1.0.0"]}]"#);
    assert_eq!(world.get(&format!("{one}/")).await, (200, history));
    let (status, builds) = world.get("/api/v2/p3.13/builds/latest/").await;
    assert_eq!(status, 200);
    let builds: Value = serde_json::from_str(&builds).unwrap();
    assert_eq!(builds[0]["package"], "demo");
    assert_eq!(builds[0]["packageVersion"], "1.1.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_read_api_does_not_have_is_an_empty_list() {
    let world = published().await;
    for path in [
        "/api/v2/p3.13/layers/eu-west-1/no-such-package",
        "/api/v2/p3.13/layers/eu-west-1/no-such-package/",
        "/api/v2/p3.13/layers/eu-west-1/%3Cscript%3E",
        "/api/v2/p3.13/layers/eu-west-1/..%2F..%2Fetc%2Fpasswd",
        "/api/v2/p3.13/layers/mars-north-1/demo",
        "/api/v2/p2.7/layers/eu-west-1/demo",
        "/api/v2/nonsense/layers/latest/eu-west-1",
        "/api/v2/p3.13/layers/latest/mars-north-1/",
        "/api/v2/p3.14/builds/latest",
    ] {
        assert_eq!(world.get(path).await, (200, "[]".to_owned()), "{path}");
    }
    for path in [
        "/api/v2/p3.13/layers/latest/eu-west-1/xml",
        "/api/v3/p3.13/layers/latest/eu-west-1",
        "/layers/no-such-layer",
        "/layers/..%2F..%2Fetc%2Fpasswd",
        "/nothing",
    ] {
        let (status, text) = world.get(path).await;
        assert_eq!(status, 404, "{path}: {text}");
        assert!(!text.contains("root:"), "{path}: {text}");
    }
    let client = reqwest::Client::new();
    let hook = format!("{}/webhooks/github", world.url());
    assert_eq!(client.get(&hook).send().await.unwrap().status(), 405);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_show_layers_and_repeat_nothing_unescaped() {
    let world = published().await;
    let (status, page) = world.get("/?target=p3.12&region=us-east-1&q=DEM").await;
    assert_eq!(status, 200);
    let arn = "arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p312-demo:1";
    assert!(page.contains(arn), "{page}");
    assert!(page.contains("<a href=\"/layers/demo\">demo</a>"), "{page}");
    let (status, page) = world.get("/layers/demo").await;
    assert_eq!(status, 200);
    assert!(page.contains(arn) && page.contains("eu-west-1"), "{page}");

    let nasty = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    for path in [
        format!("/?q={nasty}"),
        format!("/?target={nasty}&region={nasty}"),
        format!("/layers/{}", nasty.replace('/', "%2F")),
        format!("/{nasty}"),
        format!("/api/v2/p3.13/layers/latest/{nasty}/html").replace("3C/s", "3C%2Fs"),
    ] {
        let (_, page) = world.get(&path).await;
        assert!(!page.contains("<script>alert"), "{path}: {page}");
    }
    let (status, _) = world.get("/?q=%FF%FE&target=%00").await;
    assert!(status < 500, "{status}");
    world.finish().await;
}
