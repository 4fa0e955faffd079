//! Every method of every gateway, once through a socket: what arrives and what comes back is what
//! a direct call would have shown.

use std::sync::Arc;

use hurtig_cluster_api::*;

use crate::{recorder::*, support::connected};

macro_rules! contract {
    ($test:ident, $gateway:ident, $recorder:ident, $exercise:ident, $methods:literal) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let (near, far) = (Log::default(), Log::default());
            let expected = $exercise(&$recorder::new(near.clone())).await;
            let gateway: Arc<dyn $gateway> = Arc::new($recorder::new(far.clone()));
            let (_callee, _caller, _export, client) = connected(gateway).await;
            let answers = $exercise(&*client).await;
            assert_eq!(answers, expected);
            let (near, far) = (near.lock().unwrap().clone(), far.lock().unwrap().clone());
            assert_eq!(far, near);
            assert_eq!(far.len(), $methods, "every method was called");
        }
    };
}

contract!(
    dispatcher_calls_survive_the_way,
    DispatcherGateway,
    RecordingDispatcher,
    exercise_dispatcher,
    17
);
contract!(
    resource_manager_calls_survive_the_way,
    ResourceManagerGateway,
    RecordingResourceManager,
    exercise_resource_manager,
    9
);
contract!(
    task_executor_calls_survive_the_way,
    TaskExecutorGateway,
    RecordingTaskExecutor,
    exercise_task_executor,
    13
);
contract!(
    job_master_calls_survive_the_way,
    JobMasterGateway,
    RecordingJobMaster,
    exercise_job_master,
    24
);
contract!(
    task_host_calls_survive_the_way,
    TaskHostGateway,
    RecordingTaskHost,
    exercise_task_host,
    10
);
contract!(
    host_parent_calls_survive_the_way,
    HostParentGateway,
    RecordingHostParent,
    exercise_host_parent,
    5
);
contract!(
    register_calls_survive_the_way,
    CheckpointRegister,
    RecordingRegister,
    exercise_register,
    3
);
contract!(log_source_calls_survive_the_way, LogSource, RecordingLogSource, exercise_log_source, 3);
