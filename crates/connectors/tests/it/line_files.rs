//! Part files: hidden until committed, committed once, and never mixed with those of others.

use std::{fs, path::Path};

use hurtig_connector_api::{Sink, SinkWriter};
use hurtig_connectors::{
    LineFileSink,
    lines::{LineFileError, PendingLineFile},
};
use hurtig_types::{Batch, BoxError, JobId, codec};

use crate::driver::{in_runtime, writer_context};

type Writer = Box<dyn SinkWriter<u32, PendingLineFile>>;

fn sink(
    directory: &Path,
) -> LineFileSink<u32, impl Fn(&u32, &mut Vec<u8>) + Send + Sync + 'static> {
    LineFileSink::new(directory, |value: &u32, line: &mut Vec<u8>| {
        line.extend_from_slice(value.to_string().as_bytes());
    })
}

fn writer(
    sink: &impl Sink<Input = u32, Committable = PendingLineFile>,
    job: u128,
    subtask: u32,
    parallelism: u32,
    attempt: u32,
) -> Result<Writer, BoxError> {
    let job = JobId(job);
    sink.create_writer(writer_context(job, subtask, parallelism, attempt))
}

fn commit(
    sink: &impl Sink<Input = u32, Committable = PendingLineFile>,
    files: &[PendingLineFile],
) -> Result<(), BoxError> {
    let context = writer_context(JobId(1), 0, 1, 0);
    let mut committer = sink.create_committer(&context).unwrap().unwrap();
    let encoded = codec::encode(&files.to_vec()).unwrap();
    committer.commit(codec::decode(&encoded).unwrap())
}

/// Writes `values` as one subtask of a job from beginning to end.
fn run(
    sink: &impl Sink<Input = u32, Committable = PendingLineFile>,
    job: u128,
    subtask: u32,
    parallelism: u32,
    attempt: u32,
    values: &[u32],
) -> Result<(), BoxError> {
    let mut writer = writer(sink, job, subtask, parallelism, attempt)?;
    writer.write(Batch::new(values.to_vec()))?;
    writer.flush(true)?;
    commit(sink, &writer.prepare_commit()?)?;
    writer.close()
}

/// The visible files, as `name: lines`.
fn visible(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| {
            let lines = fs::read_to_string(entry.path()).unwrap();
            let name = entry.file_name().into_string().unwrap();
            format!("{name}: {}", lines.replace('\n', ";"))
        })
        .collect();
    files.sort();
    files
}

fn hidden_in_progress(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".inprogress")).count()
}

#[test]
fn files_appear_when_committed_and_only_once() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("new/out");
    in_runtime(|| {
        let sink = sink(&directory);
        let mut writer = writer(&sink, 1, 3, 4, 0).unwrap();
        assert!(writer.prepare_commit().unwrap().is_empty());
        writer.write(Batch::new(vec![1, 2])).unwrap();
        let mut pending = writer.prepare_commit().unwrap();
        writer.write(Batch::new(vec![3])).unwrap();
        writer.flush(true).unwrap();
        pending.append(&mut writer.prepare_commit().unwrap());
        assert_eq!((pending.len(), visible(&directory).len()), (2, 0));

        commit(&sink, &pending[..1]).unwrap();
        assert_eq!(visible(&directory), ["part-3-0: 1;2;"]);
        for _ in 0..2 {
            commit(&sink, &pending).unwrap();
            assert_eq!(visible(&directory), ["part-3-0: 1;2;", "part-3-1: 3;"]);
        }
        writer.close().unwrap();
        assert_eq!((visible(&directory).len(), hidden_in_progress(&directory)), (2, 0));
    });
}

#[test]
fn what_was_not_prepared_is_removed_on_close() {
    let temporary = tempfile::tempdir().unwrap();
    in_runtime(|| {
        let mut writer = writer(&sink(temporary.path()), 1, 0, 1, 0).unwrap();
        writer.write(Batch::new(vec![1])).unwrap();
        writer.flush(false).unwrap();
        assert_eq!(hidden_in_progress(temporary.path()), 1);
        writer.close().unwrap();
        assert_eq!(hidden_in_progress(temporary.path()), 0);
    });
}

#[test]
fn a_lost_file_is_an_error() {
    let temporary = tempfile::tempdir().unwrap();
    in_runtime(|| {
        let sink = sink(temporary.path());
        let lost = PendingLineFile {
            in_progress: temporary.path().join(".part-0-0.0.inprogress").display().to_string(),
            committed: temporary.path().join("part-0-0").display().to_string(),
        };
        let error = commit(&sink, &[lost]).unwrap_err();
        assert!(error.to_string().ends_with("but neither exists"));
    });
}

#[test]
fn output_of_another_run_is_an_error() {
    let temporary = tempfile::tempdir().unwrap();
    in_runtime(|| {
        let sink = sink(temporary.path());
        run(&sink, 1, 1, 2, 0, &[1]).unwrap();
        // A later attempt does not make it right; neither does another subtask.
        for (subtask, attempt) in [(1, 0), (1, 1), (0, 0)] {
            let error = run(&sink, 2, subtask, 2, attempt, &[2]).unwrap_err();
            let error = error.downcast::<LineFileError>().unwrap();
            assert!(matches!(*error, LineFileError::Exists { .. }));
        }
        assert_eq!(visible(temporary.path()), ["part-1-0: 1;"]);
    });
}

#[test]
fn subtasks_of_one_job_start_when_they_like_and_later_attempts_replace() {
    let temporary = tempfile::tempdir().unwrap();
    in_runtime(|| {
        let sink = sink(temporary.path());
        run(&sink, 1, 1, 2, 0, &[1]).unwrap();
        run(&sink, 1, 0, 2, 0, &[2]).unwrap();
        run(&sink, 1, 1, 2, 1, &[3]).unwrap();
        assert_eq!(visible(temporary.path()), ["part-0-0: 2;", "part-1-0: 3;"]);
    });
}

#[test]
fn overwriting_removes_all_that_the_other_run_left() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    fs::write(directory.join("part-notes.txt"), "not ours").unwrap();
    in_runtime(|| {
        for subtask in 0..3 {
            run(&sink(directory), 1, subtask, 3, 0, &[1]).unwrap();
        }
        fs::write(directory.join(".part-2-0.0.inprogress"), "left by a crash").unwrap();
        let sink = sink(directory).overwrite(true);
        run(&sink, 2, 1, 2, 0, &[]).unwrap();
        assert_eq!(visible(directory).len(), 3);
        run(&sink, 2, 0, 2, 0, &[7]).unwrap();
        assert_eq!(visible(directory), ["part-0-0: 7;", "part-notes.txt: not ours"]);
        assert_eq!(hidden_in_progress(directory), 0);
    });
}

#[test]
fn more_than_the_buffer_is_written() {
    let temporary = tempfile::tempdir().unwrap();
    in_runtime(|| {
        let values: Vec<u32> = (0..200_000).collect();
        run(&sink(temporary.path()), 1, 0, 1, 0, &values).unwrap();
        let text = fs::read_to_string(temporary.path().join("part-0-0")).unwrap();
        assert!(text.lines().map(|line| line.parse::<u32>().unwrap()).eq(values));
    });
}
