//! Real processes: a shell that does what each test needs.

use std::path::Path;

use super::*;

fn shell(script: &str, directory: &Path) -> ProcessSpec {
    ProcessSpec {
        program: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("GREETING".into(), Some("hello".into()))],
        directory: directory.to_owned(),
        output: OutputOptions {
            directory: directory.join("log"),
            name: "host".to_owned(),
            file_bytes: 64 << 10,
            full_files: 2,
        },
    }
}

fn supervisor() -> ProcessSupervisor {
    ProcessSupervisor::start(None, Handle::current()).unwrap()
}

fn is_running(pid: &str) -> bool {
    // A process that has ended and was not reaped yet counts as ended.
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Returns once the condition holds.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), holds).await.expect(what);
}

#[tokio::test]
async fn output_and_exit_code_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let script = "echo $GREETING; echo oops >&2; exit 3";
    let process = supervisor().spawn(shell(script, directory.path())).await.unwrap();
    let exit = process.exited().await;
    assert_eq!((exit.reason, &*exit.last_words), (ExitReason::Code(3), "oops"));
    assert_eq!(process.exit().unwrap().reason, exit.reason);
    let read = |name: &str| fs::read_to_string(directory.path().join("log").join(name)).unwrap();
    assert_eq!((&*read("host.out"), &*read("host.err")), ("hello\n", "oops\n"));
}

#[tokio::test]
async fn megabytes_of_output_take_the_room_that_they_may_have() {
    let directory = tempfile::tempdir().unwrap();
    let script = "i=0; while [ $i -lt 4000 ]; do
        echo 01234567890123456789012345678901234567890123456789012345678901234567890123456789 >&2;
        i=$((i+1)); done; exit 0";
    let process = supervisor().spawn(shell(script, directory.path())).await.unwrap();
    assert_eq!(process.exited().await.reason, ExitReason::Code(0));
    let files = fs::read_dir(directory.path().join("log")).unwrap();
    let sizes: Vec<u64> = files.map(|file| file.unwrap().metadata().unwrap().len()).collect();
    assert_eq!(sizes.len(), 4, "out, err, err.1, err.2: {sizes:?}");
    assert!(sizes.iter().sum::<u64>() <= 3 * (64 << 10) && sizes.contains(&(64 << 10)));
}

#[tokio::test]
async fn what_a_process_has_started_ends_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > grandchild; wait";
    let process = supervisor().spawn(shell(script, directory.path())).await.unwrap();
    let file = directory.path().join("grandchild");
    until("the grandchild runs", || fs::read_to_string(&file).is_ok_and(|t| t.ends_with('\n')))
        .await;
    let grandchild = fs::read_to_string(&file).unwrap();
    assert!(is_running(&grandchild));
    process.kill().await;
    assert_eq!(process.exited().await.reason, ExitReason::Signal(9));
    until("the grandchild is gone", || !is_running(&grandchild)).await;
}

#[tokio::test]
async fn dropping_the_handle_kills() {
    let directory = tempfile::tempdir().unwrap();
    let process = supervisor().spawn(shell("sleep 1000", directory.path())).await.unwrap();
    let (pid, exited) = (process.pid().to_string(), process.exited());
    assert!(is_running(&pid));
    drop(process);
    assert_eq!(exited.await.reason, ExitReason::Signal(9));
    assert!(!Path::new("/proc").join(&pid).exists(), "it was reaped");
}

#[tokio::test]
async fn one_that_follows_its_parent_ends_by_itself_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let process = supervisor().spawn(shell("cat; exit 7", directory.path())).await.unwrap();
    process.hang_up(Duration::from_secs(1000));
    assert_eq!(process.exited().await.reason, ExitReason::Code(7));
}

#[tokio::test]
async fn one_that_is_terminated_may_do_what_it_has_to() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap 'exit 9' TERM; echo > ready; while :; do sleep 0.01; done";
    let process = supervisor().spawn(shell(script, directory.path())).await.unwrap();
    until("it is ready", || directory.path().join("ready").exists()).await;
    process.terminate(Duration::from_secs(1000));
    assert_eq!(process.exited().await.reason, ExitReason::Code(9));
}

#[tokio::test]
async fn one_that_does_not_obey_is_killed_after_the_grace_period() {
    let directory = tempfile::tempdir().unwrap();
    let process = supervisor().spawn(shell("sleep 1000", directory.path())).await.unwrap();
    process.hang_up(Duration::from_millis(1));
    assert_eq!(process.exited().await.reason, ExitReason::Signal(9));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = shell("", directory.path());
    spec.program = directory.path().join("none");
    let error = supervisor().spawn(spec).await.unwrap_err();
    assert!(matches!(error, SpawnError::Spawn { .. }), "{error}");
}
