//! DynamoDB's store: what every store does, and what comes of being a table that machines share.
//!
//! moto answers one request at a time here; what races is the order in which the store's own requests reach it.

use super::turn::{Clock, Turns};
use super::{Claimant, DynamoDbStore, Lease, Term, table_definition};
use crate::model::{LayerState, Timestamp};
use crate::store::conformance::{self, arn, at, conformance_tests, delivery, event, key, run};
use crate::store::{SqliteStore, Store as _};
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use futures::future::join_all;
use layersmith_testbed::aws_proxy::{AwsFault, AwsProxy};
use layersmith_testbed::moto::Moto;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

const REGION: &str = "eu-central-1";
const BUCKET: &str = "layersmith-bodies";

/// moto with a bucket, and as many tables as are asked for.
struct Bench {
    moto: Moto,
    tables: AtomicUsize,
}

impl Bench {
    async fn start() -> Self {
        let moto = Moto::start_serial().await;
        moto.make_bucket(REGION, BUCKET).await;
        Self {
            moto,
            tables: AtomicUsize::new(0),
        }
    }

    async fn table(&self) -> String {
        let name = format!("store-{}", self.tables.fetch_add(1, Ordering::Relaxed));
        let definition = table_definition();
        self.moto.make_table(REGION, &name, &definition).await;
        name
    }

    /// A store with nothing in it.
    async fn fresh(&self) -> DynamoDbStore {
        store(&self.moto.endpoint(), &self.table().await)
    }

    /// The same, and nothing else: moto copies all tables for each transaction.
    async fn only(&self) -> DynamoDbStore {
        self.moto.reset().await;
        self.moto.make_bucket(REGION, BUCKET).await;
        self.fresh().await
    }
}

fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("testing", "testing", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(aws_config::Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

fn store(endpoint: &str, table: &str) -> DynamoDbStore {
    let bucket = (BUCKET.to_owned(), "bot/".to_owned());
    DynamoDbStore::new(&config(endpoint), table, Some(bucket), clock())
}

fn clock() -> Clock {
    Arc::new(|| at(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_every_store_does() {
    let bench = Bench::start().await;
    conformance_tests!(within bench.only().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_moves_there_and_back() {
    let bench = Bench::start().await;
    let memory = || SqliteStore::open_in_memory().unwrap();
    conformance::everything_moves(&memory(), &bench.fresh().await).await;
    conformance::everything_moves(&bench.fresh().await, &memory()).await;
    conformance::everything_moves(&bench.fresh().await, &bench.fresh().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_deliveries_and_finished_events_go_by_themselves() {
    let bench = Bench::start().await;
    let table = bench.table().await;
    let store = store(&bench.moto.endpoint(), &table);
    for id in ["waiting", "finished"] {
        let event = event(id, id, 1);
        store
            .record_delivery(&delivery(id), Some(&event))
            .await
            .unwrap();
    }
    store.finish_event("finished", "run plan-7").await.unwrap();
    conformance::what_expires_and_what_is_deleted(&store).await;
    conformance::runs_end_once(&store).await;
    let definition = table_definition();
    let attribute = &definition["TimeToLiveSpecification"]["AttributeName"];
    let items = bench.moto.items(REGION, &table).await;
    let mut going: Vec<&str> = items
        .iter()
        .filter(|item| !item[attribute.as_str().unwrap()].is_null())
        .map(|item| item["pk"]["S"].as_str().unwrap())
        .collect();
    going.sort_unstable();
    assert_eq!(
        going,
        ["DELIVERY#finished", "DELIVERY#waiting", "EVENT#finished"]
    );
    // Nothing that names a version outlasts it.
    let left: Vec<&str> = items
        .iter()
        .map(|item| item["sk"]["S"].as_str().unwrap())
        .filter(|sort| sort.starts_with("L#"))
        .collect();
    assert_eq!(left, [""; 0], "no version is live any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_need_a_bucket_and_are_looked_at_when_they_are_read() {
    let bench = Bench::start().await;
    let table = bench.table().await;
    let endpoint = bench.moto.endpoint();
    conformance::large_values(&store(&endpoint, &table)).await;
    let bodies = bench.moto.objects(REGION, BUCKET).await;
    assert!(!bodies.is_empty());
    assert!(bodies.iter().all(|key| key.starts_with("bot/bodies/")));

    let without = DynamoDbStore::new(&config(&endpoint), &table, None, clock());
    let error = format!("{:#}", without.builds().await.unwrap_err());
    assert!(error.contains("LAYERSMITH_ARTIFACTS"), "{error}");
    for body in &bodies {
        bench.moto.put_object(REGION, BUCKET, body, b"other").await;
    }
    let error = store(&endpoint, &table).builds().await.unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.starts_with("s3://layersmith-bodies/bot/bodies/")
            && error.ends_with("is not what was put there"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_not_there_is_named() {
    let bench = Bench::start().await;
    let store = store(&bench.moto.endpoint(), "nowhere");
    for error in [
        store.run("plan-7").await.unwrap_err(),
        store.create_run(&run("plan-7", None, 0)).await.unwrap_err(),
        store.layer_versions().await.unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "there is no table nowhere in DynamoDB here"
        );
    }
}

/// What is throttled, in the way of others or unheard is tried again, and is done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_fail_for_a_moment_are_made_again() {
    let bench = Bench::start().await;
    let proxy = AwsProxy::start(&bench.moto.endpoint()).await;
    let store = store(&proxy.endpoint(), &bench.table().await);
    for (number, fault) in (1..).zip([
        AwsFault::Refuse(400, "ProvisionedThroughputExceededException"),
        AwsFault::Refuse(400, "ThrottlingException"),
        AwsFault::Refuse(400, "RequestLimitExceeded"),
        AwsFault::Refuse(400, "TransactionInProgressException"),
        AwsFault::Refuse(500, "InternalServerError"),
        AwsFault::Reset,
        AwsFault::LoseAnswer,
    ]) {
        let key = key(&format!("zip {number}"), "us-east-1");
        proxy.fail_next(REGION, fault, 2);
        store.begin_publish(&key, "1.0", at(number)).await.unwrap();
        let arn = arn(&key, u64::try_from(number).unwrap());
        proxy.fail_next(REGION, fault, 2);
        store
            .mark_live(
                &key,
                &arn,
                &crate::model::Visibility::Public,
                at(number),
                at(99),
            )
            .await
            .unwrap();
        assert!(proxy.is_through(), "{fault:?}: {:?}", proxy.left());
    }
    let versions = store.layer_versions().await.unwrap();
    let live = versions
        .iter()
        .filter(|version| version.state == LayerState::Live);
    assert_eq!((versions.len(), live.count()), (7, 1));
    assert_eq!(store.news().await.unwrap().len(), 13);
}

const MINUTE: Term = Term { turn: 60, work: 60 };

fn named(owner: &str) -> Claimant<'_> {
    Claimant { owner, run: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_takes_the_lease() {
    let bench = Bench::start().await;
    let lease = bench.fresh().await.lease();
    let take =
        async |owner: &str, now: i64| lease.take(named(owner), at(now), MINUTE).await.unwrap();
    let renew =
        async |owner: &str, now: i64| lease.renew(named(owner), at(now), MINUTE).await.unwrap();
    let all = (0..12).map(|n| {
        let lease = lease.clone();
        async move {
            let name = format!("run-{n}");
            lease.take(named(&name), at(0), MINUTE).await.unwrap()
        }
    });
    let taken = join_all(all).await;
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    let winner = taken.iter().position(|taken| *taken).unwrap();
    let winner = format!("run-{winner}");
    let holder = lease.holder().await.unwrap().unwrap();
    assert_eq!((holder.owner, holder.until), (winner.clone(), at(60)));

    assert!(take(&winner, 30).await, "it has it already");
    assert!(!take("other", 90).await, "until 90, by any clock");
    assert!(
        !take("other", 120).await,
        "until 90, by clocks that are 30 s ahead"
    );
    assert!(take("other", 121).await);
    assert!(!renew(&winner, 121).await);
    lease.release(&winner).await.unwrap();
    assert!(
        !take(&winner, 122).await,
        "nobody gives back what others have"
    );
    assert!(renew("other", 150).await);
    assert!(
        renew("other", 900).await,
        "nobody took it while it was away"
    );
    lease.release("other").await.unwrap();
    assert_eq!(lease.holder().await.unwrap(), None);
    assert!(!renew("other", 901).await, "it was given back");
    assert!(take(&winner, 902).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_carried_on_waits_for_its_own_functions_only() {
    let bench = Bench::start().await;
    let lease = bench.fresh().await.lease();
    let hours = Term {
        turn: 7_200,
        work: 60,
    };
    let claim = async |owner: &str, run: &str, now: i64| {
        let run = Some(run);
        lease
            .take(Claimant { owner, run }, at(now), hours)
            .await
            .unwrap()
    };
    assert!(claim("run-1", "run-1", 0).await);
    assert!(
        !claim("run-1.2", "run-1", 90).await,
        "what the first execution called may still be at work"
    );
    assert!(!claim("run-2", "run-2", 91).await, "that is another run");
    assert!(!lease.take(named("process"), at(91), hours).await.unwrap());
    assert!(claim("run-1.2", "run-1", 91).await);
    let first = Claimant {
        owner: "run-1",
        run: Some("run-1"),
    };
    assert!(
        !lease.renew(first, at(92), hours).await.unwrap(),
        "the first execution has lost it"
    );
    // A process has no other execution that could carry it on.
    assert!(
        lease
            .take(named("process"), at(9_999), hours)
            .await
            .unwrap()
    );
    assert!(!claim("run-1.3", "run-1", 10_100).await);
}

fn turns(lease: &Lease, now: &Arc<AtomicI64>) -> Turns {
    let now = Arc::clone(now);
    let clock = Arc::new(move || Timestamp::from_unix(now.load(Ordering::Relaxed)));
    Turns::new(lease.clone(), clock, Duration::from_millis(50))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_is_renewed_and_work_in_a_lost_one_is_broken_off() {
    let bench = Bench::start().await;
    let lease = bench.fresh().await.lease();
    let now = Arc::new(AtomicI64::new(1_000));
    let turn = turns(&lease, &now).take().await.unwrap();
    assert_eq!(turn.during(async { 7 }).await.unwrap(), 7);
    // The clock goes on, and the turn with it.
    for _ in 0..3 {
        let until = Timestamp::from_unix(now.fetch_add(50, Ordering::Relaxed) + 50 + 60);
        let renewed = async {
            while lease.holder().await.unwrap().unwrap().until != until {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        turn.during(renewed).await.unwrap();
    }
    // Asleep for longer than the turn lasts: somebody else has it by now, and the work is not gone on with.
    now.fetch_add(91, Ordering::Relaxed);
    let lost = turn.during(std::future::pending::<()>()).await.unwrap_err();
    assert!(lost.to_string().starts_with("the turn to publish was lost"));
    let other = Timestamp::from_unix(now.load(Ordering::Relaxed));
    assert!(lease.take(named("other"), other, MINUTE).await.unwrap());
    drop(turn);
    assert_eq!(lease.holder().await.unwrap().unwrap().owner, "other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_is_given_back_by_the_time_it_is_dropped() {
    let bench = Bench::start().await;
    let store = bench.fresh().await;
    let turn = store.turn_to_publish().await.unwrap();
    let holder = store.lease().holder().await.unwrap().unwrap();
    assert!(holder.owner.starts_with("process-"), "{holder:?}");
    drop(turn);
    assert_eq!(store.lease().holder().await.unwrap(), None);
    // A process that died gives nothing back; its turn runs out.
    let lease = store.lease();
    assert!(lease.take(named("dead"), at(-91), MINUTE).await.unwrap());
    drop(store.turn_to_publish().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_take_turns() {
    let bench = Bench::start().await;
    let (endpoint, table) = (bench.moto.endpoint(), bench.table().await);
    let (one, other) = (store(&endpoint, &table), store(&endpoint, &table));
    let first = one.turn_to_publish().await.unwrap();
    let waiting = other.turn_to_publish();
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_secs(2), &mut waiting).await;
    assert!(early.is_err(), "two had the turn at once");
    drop(first);
    drop(waiting.await.unwrap());
}
