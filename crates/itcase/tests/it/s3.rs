//! Checkpoints, savepoints and files on a server that speaks S3: exactly once, through failures and
//! a resume, with nothing left behind.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use hurtig::{TerminateKind, config::Configuration, graph::RestartStrategyConfig, prelude::*};
use hurtig_filesystem::{
    Stores,
    object_store::{ObjectStore, ObjectStoreExt},
};
use hurtig_test_util::S3;

use crate::{
    exactly_once_files::{RECORDS, assert_exactly_once, program},
    support::{eventually, wait},
};

fn env(server: &S3, parallelism: u32) -> StreamExecutionEnvironment {
    let mut configuration = Configuration::new();
    for (key, value) in server.configuration() {
        configuration.set_text(&key, &value).unwrap();
    }
    let env = StreamExecutionEnvironment::from_configuration(configuration).unwrap();
    env.set_parallelism(parallelism).enable_checkpointing(50).set_auto_watermark_interval_ms(3);
    env.set_checkpoint_directory(&format!("{}/state", server.url()));
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 10, delay_ms: 1 });
    env
}

/// Fails once in its middle, and tells when it has seen a part.
#[derive(Clone)]
struct FailsOnce {
    has_failed: Arc<AtomicBool>,
    seen: Arc<AtomicBool>,
}

impl MapFunction<i64, i64> for FailsOnce {
    fn map(&mut self, n: i64) -> Result<i64, BoxError> {
        if n > RECORDS / 8 && !self.has_failed.swap(true, SeqCst) {
            return Err("once".into());
        }
        if n > RECORDS / 4 {
            self.seen.store(true, SeqCst);
        }
        Ok(n)
    }
}

fn sink(server: &S3) -> impl hurtig::connector::Sink<Input = String> {
    FileSink::for_row_format(format!("{}/output", server.url()), SimpleStringEncoder)
        .with_bucket_assigner(BasePathBucketAssigner)
        .with_rolling_policy(DefaultRollingPolicy::new().with_max_part_size(20_000))
}

#[test]
fn a_job_with_everything_on_s3_is_exactly_once() {
    let Some(server) = S3::start() else { return };
    let function = FailsOnce { has_failed: Arc::default(), seen: Arc::default() };
    let first = env(&server, 2);
    program(&first, function.clone()).rebalance().sink_to(sink(&server)).uid("files");
    let client = first.execute_async("first half").unwrap();
    eventually("a part was read", || function.seen.load(SeqCst));
    let savepoints = format!("{}/savepoints", server.url());
    let mut savepoint = None;
    // Not before all tasks run.
    eventually("the job stops", || {
        savepoint = client.stop_with_savepoint(&savepoints, TerminateKind::Suspend).ok();
        savepoint.is_some()
    });
    assert_eq!(wait(&client).unwrap().restarts, 1);

    let second = env(&server, 3);
    second.restore_from(&savepoint.unwrap(), false);
    program(&second, function).rebalance().sink_to(sink(&server)).uid("files");
    let client = second.execute_async("second half").unwrap();
    wait(&client).unwrap();

    let store = Stores::default().locate(&server.url()).unwrap().store;
    let read = async move {
        let mut texts = Vec::new();
        let mut places = BTreeSet::new();
        let root = store.list_with_delimiter(None).await.unwrap();
        for place in root.common_prefixes {
            places.insert(place.to_string());
        }
        let output = store.list_with_delimiter(Some(&"output".into())).await.unwrap();
        assert_eq!(output.common_prefixes, [], "nothing is in progress");
        for file in output.objects {
            let bytes = store.get(&file.location).await.unwrap().bytes().await.unwrap();
            texts.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
        (texts, places)
    };
    let (texts, places) = client.cluster().runtimes().control.block_on(read);
    assert_exactly_once(texts, 0);
    let places: Vec<_> = places.iter().map(String::as_str).collect();
    assert_eq!(places, ["output", "savepoints"], "checkpoints are gone with their job");
}
