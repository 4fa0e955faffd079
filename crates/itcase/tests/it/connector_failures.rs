//! Sources and sinks that fail, in each of their calls, by an error or by a panic.

use hurtig::{
    Batch,
    connector::{
        Boundedness, Committer, EnumeratorAction, ReadStatus, ReaderContext, Sink, SinkWriter,
        Source, SourceOutput, SourceReader, SourceSplit, SplitEnumerator, WriterContext,
    },
    connectors::BlackHoleSink,
    prelude::*,
};

use crate::support::{assert_another_job_runs, execute, failure};

/// What is to fail, and how.
#[derive(Clone, Copy)]
struct Plan {
    call: &'static str,
    panics: bool,
}

impl Plan {
    fn call(self, call: &str) -> Result<(), BoxError> {
        match self.call == call {
            true if self.panics => panic!("{call} failed"),
            true => Err(format!("{call} failed").into()),
            false => Ok(()),
        }
    }

    /// Both ways for each of the calls.
    fn all(calls: &[&'static str]) -> impl Iterator<Item = Plan> {
        let plans = calls.iter().map(|call| [false, true].map(|panics| Plan { call, panics }));
        plans.collect::<Vec<_>>().into_iter().flatten()
    }

    /// The end of the message: the operator, and what it said.
    fn message(self, operator: &str, panicked: &str) -> String {
        let panicked = if self.panics { panicked } else { "" };
        format!("operator \"{operator}\": {panicked}{} failed", self.call)
    }
}

impl Sink for Plan {
    type Input = i64;
    type Committable = u32;

    fn create_writer(&self, _: WriterContext) -> Result<Box<dyn SinkWriter<i64, u32>>, BoxError> {
        self.call("create_writer")?;
        Ok(Box::new(*self))
    }

    fn create_committer(
        &self,
        _: &WriterContext,
    ) -> Result<Option<Box<dyn Committer<u32>>>, BoxError> {
        self.call("create_committer")?;
        Ok(Some(Box::new(*self)))
    }
}

impl SinkWriter<i64, u32> for Plan {
    fn write(&mut self, _: Batch<i64>) -> Result<(), BoxError> {
        self.call("write")
    }

    fn flush(&mut self, end_of_input: bool) -> Result<(), BoxError> {
        assert!(end_of_input);
        self.call("flush")
    }

    fn prepare_commit(&mut self) -> Result<Vec<u32>, BoxError> {
        self.call("prepare_commit")?;
        Ok(vec![1])
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.call("close_writer")
    }
}

impl Committer<u32> for Plan {
    fn commit(&mut self, _: Vec<u32>) -> Result<(), BoxError> {
        self.call("commit")
    }
}

#[test]
fn a_sink_may_fail_in_any_call() {
    let calls = [
        "create_writer",
        "create_committer",
        "write",
        "flush",
        "prepare_commit",
        "commit",
        "close_writer",
    ];
    for plan in Plan::all(&calls) {
        let env = StreamExecutionEnvironment::new();
        env.from_sequence(1, 10).sink_to(plan).name("Shelf");
        let found = failure(execute(&env)).to_string();
        let task = "Sequence Source -> Shelf (1/1)#0";
        assert_eq!(found, format!("{task}: {}", plan.message("Shelf", "panicked: ")));
    }
    assert_another_job_runs();
}

/// The only split.
#[derive(Clone, Serialize, Deserialize)]
struct All;

impl SourceSplit for All {
    fn split_id(&self) -> String {
        "all".to_owned()
    }
}

impl Source for Plan {
    type Record = i64;
    type Split = All;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(&self, _: u32) -> Result<Box<dyn SplitEnumerator<All>>, BoxError> {
        self.call("create_enumerator")?;
        Ok(Box::new(*self))
    }

    fn restore_enumerator(
        &self,
        _: u32,
        _: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<All>>, BoxError> {
        Ok(Box::new(*self))
    }

    fn create_reader(&self, _: ReaderContext) -> Result<Box<dyn SourceReader<i64, All>>, BoxError> {
        self.call("create_reader")?;
        Ok(Box::new(*self))
    }
}

impl SplitEnumerator<All> for Plan {
    fn start(&mut self, _: &mut Vec<EnumeratorAction<All>>) -> Result<(), BoxError> {
        self.call("start")
    }

    fn on_split_request(
        &mut self,
        subtask: u32,
        actions: &mut Vec<EnumeratorAction<All>>,
    ) -> Result<(), BoxError> {
        self.call("on_split_request")?;
        actions.push(EnumeratorAction::Assign { subtask, splits: vec![All] });
        actions.push(EnumeratorAction::CallAfterMs(0));
        Ok(())
    }

    fn add_splits_back(
        &mut self,
        _: u32,
        _: Vec<All>,
        _: &mut Vec<EnumeratorAction<All>>,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    fn on_timer(&mut self, _: &mut Vec<EnumeratorAction<All>>) -> Result<(), BoxError> {
        self.call("on_timer")
    }

    fn snapshot(&self) -> Result<Vec<u8>, BoxError> {
        Ok(Vec::new())
    }
}

impl SourceReader<i64, All> for Plan {
    fn add_splits(&mut self, _: Vec<All>) -> Result<(), BoxError> {
        self.call("add_splits")
    }

    fn read(&mut self, _: usize, _: &mut SourceOutput<i64>) -> Result<ReadStatus, BoxError> {
        self.call("read")?;
        Ok(ReadStatus::NeedSplit)
    }

    fn snapshot(&self) -> Vec<All> {
        Vec::new()
    }
}

#[test]
fn a_reader_may_fail_in_any_call() {
    for plan in Plan::all(&["create_reader", "add_splits", "read"]) {
        let env = StreamExecutionEnvironment::new();
        env.from_source(plan, WatermarkStrategy::no_watermarks(), "Well")
            .sink_to(BlackHoleSink::new());
        let found = failure(execute(&env)).to_string();
        let task = "Well -> Sink (1/1)#0";
        assert_eq!(found, format!("{task}: {}", plan.message("Well", "panicked: ")));
    }
    assert_another_job_runs();
}

#[test]
fn an_enumerator_may_fail_in_any_call() {
    for plan in Plan::all(&["create_enumerator", "start", "on_split_request", "on_timer"]) {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(2);
        env.from_source(plan, WatermarkStrategy::no_watermarks(), "Well")
            .rebalance()
            .map(|n| n)
            .sink_to(BlackHoleSink::new());
        let found = failure(execute(&env)).to_string();
        assert_eq!(found, plan.message("Well", "coordinator panicked: "));
    }
    assert_another_job_runs();
}
