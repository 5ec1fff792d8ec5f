//! Build tasks and their results on the way through a bucket, against moto.

use crate::build::tests::keeping::bucket;
use crate::model::{OfferedRegions, Policy};
use crate::pipeline::SourceBuilds;
use crate::pipeline::build_task::BuildTask;
use crate::pipeline::flow::Stage;
use crate::pipeline::task_bodies::{TaskBodies, TaskKey};
use crate::plan::{BuildFailure, BuildState, wanted};
use crate::request::parse_layer;
use layersmith_testbed::moto::Moto;
use std::time::Duration;

const BUCKET: &str = "layersmith-tasks";

#[tokio::test]
async fn a_task_and_its_result_come_out_as_they_went_in() {
    let moto = Moto::start().await;
    moto.make_bucket("us-east-1", BUCKET).await;
    let bodies = TaskBodies::new(bucket(&moto.endpoint(), BUCKET, Duration::from_secs(60)));
    let policy = Policy::default();
    let text = b"packages: [demo]\n";
    let (request, problems) = parse_layer("layers/demo.yaml", text, &policy);
    let request = request.unwrap_or_else(|| panic!("{problems:?}"));
    let layers = [(request.name.clone(), request.clone())].into();
    let wanted = wanted(&layers, &policy, &OfferedRegions::default(), &[]);
    let task = BuildTask::new(&wanted[0], &request, &policy, SourceBuilds::AfterMerge);
    let key = TaskKey {
        run: "plan-7-0123abcd-1".parse().unwrap(),
        stage: Stage::Build,
        layer: task.layer.clone(),
        target: task.target,
    };
    assert!(bodies.task(&key).await.unwrap_err().is_missing());
    bodies.put_task(&key, &task).await.unwrap();
    assert_eq!(bodies.task(&key).await.unwrap(), task);
    let result = BuildState::Failed(BuildFailure {
        message: "no wheel".repeat(10_000),
        package: Some("demo".to_owned()),
        transient: false,
    });
    bodies.put_result(&key, &result).await.unwrap();
    assert_eq!(bodies.result(&key).await.unwrap(), result);
    let target = task.target;
    assert_eq!(
        moto.objects("us-east-1", BUCKET).await,
        [
            format!("a/b/build/results/plan-7-0123abcd-1/build/demo/{target}.json"),
            format!("a/b/build/tasks/plan-7-0123abcd-1/build/demo/{target}.json"),
        ]
    );
    // A body that is of another layer, or none at all, is not taken for it.
    let other = TaskKey {
        layer: "other".parse().unwrap(),
        ..key.clone()
    };
    let path = |key: &TaskKey| {
        let (run, layer) = (&key.run, &key.layer);
        format!("a/b/build/tasks/{run}/build/{layer}/{target}.json")
    };
    let text = serde_json::to_vec(&task).unwrap();
    moto.put_object("us-east-1", BUCKET, &path(&other), &text)
        .await;
    moto.put_object("us-east-1", BUCKET, &path(&key), b"{}")
        .await;
    for key in [&key, &other] {
        let error = bodies.task(key).await.unwrap_err();
        assert!(!error.is_transient() && !error.is_missing(), "{error}");
    }
}
