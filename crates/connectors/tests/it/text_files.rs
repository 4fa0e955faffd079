//! Text files against the lines that the standard library finds.

use std::{
    fs,
    io::{BufRead, Write},
    path::Path,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use hurtig_connector_api::{Boundedness, EnumeratorAction, ReadStatus, Source, SourceOutput};
use hurtig_connectors::{TextFileSource, text_files::TextFileError};
use hurtig_types::BoxError;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::driver::{Plan, all_splits, chain_text, in_runtime, read_all, reader_context};

fn std_lines(content: &[u8]) -> Vec<String> {
    content.lines().map(Result::unwrap).collect()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn directory_with(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

fn plans() -> impl Strategy<Value = Plan> {
    (1u32..4, 1usize..5, 1usize..4).prop_map(|(parallelism, max_records, resume_after)| Plan {
        parallelism,
        max_records,
        resume_after,
    })
}

fn contents() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => Just("\n"),
        2 => Just("\r\n"),
        1 => Just("\r"),
        3 => Just("ab"),
        2 => Just("\u{e9}"),
        1 => Just("a longer piece"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_splits_give_the_lines_of_the_file(content in contents(), split_size in 1u64..60, plan in plans()) {
        let directory = directory_with(&[("f.txt", &content)]);
        let source = TextFileSource::new(directory.path().join("f.txt")).split_size_bytes(split_size);
        let lines = read_all(&source, plan).unwrap();
        let expected = std_lines(content.as_bytes());
        if plan.parallelism == 1 {
            prop_assert_eq!(lines, expected);
        } else {
            prop_assert_eq!(sorted(lines), sorted(expected));
        }
    }

    #[test]
    fn any_gzip_members_give_the_lines_of_the_file(content in contents(), cut in 0.0..1.0f64, plan in plans()) {
        let directory = tempfile::tempdir().unwrap();
        let (head, tail) = content.as_bytes().split_at((content.len() as f64 * cut) as usize);
        let bytes = [gzip(head), gzip(tail)].concat();
        fs::write(directory.path().join("f.gz"), bytes).unwrap();
        let source = TextFileSource::new(directory.path()).split_size_bytes(1);
        prop_assert_eq!(read_all(&source, plan).unwrap(), std_lines(content.as_bytes()));
    }

    #[test]
    fn random_bytes_never_panic(content in prop::collection::vec(any::<u8>(), 0..300), split_size in 1u64..60, plan in plans()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, &content).unwrap();
        let source = TextFileSource::new(&path).split_size_bytes(split_size);
        let strict = read_all(&source, plan);
        prop_assert_eq!(strict.is_ok(), std::str::from_utf8(&content).is_ok());
        let lossy = read_all(&source.lossy(true), plan).unwrap();
        let expected = content.split_inclusive(|b| *b == b'\n').map(|line| {
            let line = line.strip_suffix(b"\n").map_or(line, |l| l.strip_suffix(b"\r").unwrap_or(l));
            String::from_utf8_lossy(line).into_owned()
        });
        prop_assert_eq!(sorted(lossy), sorted(expected.collect()));

        let path = directory.path().join("f.gz");
        fs::write(&path, &content).unwrap();
        let _ = read_all(&TextFileSource::new(&path).lossy(true), plan);
        // A good head and bad flesh.
        let mut damaged = gzip(&content);
        for (byte, noise) in damaged[10..].iter_mut().zip(&content) {
            *byte ^= noise;
        }
        fs::write(&path, &damaged).unwrap();
        let _ = read_all(&TextFileSource::new(&path).lossy(true), plan);
    }
}

#[test]
fn lines_longer_than_the_buffer_are_read_and_resumed() {
    let mut content = String::new();
    for length in [700_000, 3, 262_144, 262_143, 0, 5_500_000, 262_145, 40] {
        content.extend(std::iter::repeat_n('x', length));
        content.push('\n');
    }
    let directory = directory_with(&[("f.txt", &content)]);
    fs::write(directory.path().join("g.txt.gz"), gzip(content.as_bytes())).unwrap();
    let expected = std_lines(content.as_bytes());
    for name in ["f.txt", "g.txt.gz"] {
        for split_size in [100_000, 1_000_000, u64::MAX] {
            let source =
                TextFileSource::new(directory.path().join(name)).split_size_bytes(split_size);
            let plan = Plan { parallelism: 1, max_records: 2, resume_after: 3 };
            assert!(read_all(&source, plan).unwrap() == expected, "{name} {split_size}");
        }
    }
}

#[test]
fn default_splits_feed_all_readers_of_a_large_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    let file = fs::File::create(&path).unwrap();
    file.set_len(300 << 20).unwrap();
    in_runtime(|| {
        for (parallelism, splits) in [(1, 5), (2, 8), (1000, 300)] {
            let source = TextFileSource::new(&path);
            let mut enumerator = source.create_enumerator(parallelism).unwrap();
            enumerator.start(&mut Vec::new()).unwrap();
            assert_eq!(all_splits(&mut *enumerator).len(), splits);
        }
    });
}

#[test]
fn directories_and_globs_leave_hidden_files_out() {
    let directory = directory_with(&[
        ("b.txt", "b"),
        ("a.txt", "a"),
        ("empty.txt", ""),
        (".hidden.txt", "no"),
        ("_SUCCESS", "no"),
        ("c.csv", "c"),
        ("sub/d.txt", "d"),
        ("sub/.git/e.txt", "no"),
    ]);
    let root = directory.path();
    let lines = |path: &Path, recursive| {
        read_all(&TextFileSource::new(path).recursive(recursive), Plan::plain(1)).unwrap()
    };
    assert_eq!(lines(root, false), ["a", "b", "c"]);
    assert_eq!(lines(root, true), ["a", "b", "c", "d"]);
    assert_eq!(lines(&root.join("*.txt"), false), ["a", "b"]);
    assert_eq!(lines(&root.join("**/[ad].txt"), false), ["a", "d"]);
    assert_eq!(lines(&root.join("su?"), false), ["d"]);
    assert_eq!(lines(&root.join(".hidden.txt"), false), ["no"]);
    let url = format!("file://{}", root.join("a.txt").display());
    assert_eq!(lines(Path::new(&url), false), ["a"]);
    assert!(lines(&root.join("sub/.git/../../empty.txt"), false).is_empty());
}

#[cfg(unix)]
#[test]
fn a_link_to_a_parent_does_not_lead_around_forever() {
    let directory = directory_with(&[("sub/a.txt", "a")]);
    std::os::unix::fs::symlink(directory.path(), directory.path().join("sub/up")).unwrap();
    let source = TextFileSource::new(directory.path()).recursive(true);
    assert_eq!(read_all(&source, Plan::plain(1)).unwrap(), ["a"]);
}

fn error_of(source: TextFileSource) -> (String, TextFileError) {
    let error: BoxError = read_all(&source, Plan::plain(1)).unwrap_err();
    let text = chain_text(&*error);
    (text, *error.downcast::<TextFileError>().unwrap())
}

#[test]
fn bad_paths_are_named_when_the_enumerator_starts() {
    let directory = directory_with(&[]);
    let missing = directory.path().join("missing.txt");
    let (text, _) = error_of(TextFileSource::new(&missing));
    assert_eq!(
        text,
        format!("cannot open {}: No such file or directory (os error 2)", missing.display())
    );
    let pattern = directory.path().join("*.txt");
    let (text, _) = error_of(TextFileSource::new(&pattern));
    assert_eq!(text, format!("no file matches {}", pattern.display()));
    let pattern = directory.path().join("a***");
    let (text, error) = error_of(TextFileSource::new(&pattern));
    assert!(matches!(error, TextFileError::Pattern { .. }));
    assert!(text.contains(pattern.to_str().unwrap()), "{text}");
}

#[test]
fn a_file_that_disappears_is_named_by_the_reader() {
    let directory = directory_with(&[("a", "a")]);
    let path = directory.path().join("a");
    let source = TextFileSource::new(&path);
    in_runtime(|| {
        let mut enumerator = source.create_enumerator(1).unwrap();
        enumerator.start(&mut Vec::new()).unwrap();
        fs::remove_file(&path).unwrap();
        let mut reader = source.create_reader(reader_context(0, 1)).unwrap();
        reader.add_splits(all_splits(&mut *enumerator)).unwrap();
        let error = reader.read(1, &mut SourceOutput::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot open {}", path.display()));
    });
}

#[test]
fn too_long_lines_and_bad_bytes_are_named_with_their_place() {
    let directory = directory_with(&[("f", "short\nmuch too long\n")]);
    let path = directory.path().join("f");
    let (text, _) = error_of(TextFileSource::new(&path).max_line_bytes(10));
    let shown = path.display();
    assert_eq!(text, format!("the line at byte 6 of {shown} is longer than 10 bytes"));
    fs::write(&path, b"good\nb\xffd\n").unwrap();
    for split_size in [3, 100] {
        let (text, _) = error_of(TextFileSource::new(&path).split_size_bytes(split_size));
        assert_eq!(text, format!("byte 6 of {shown} is not UTF-8"));
    }
}

#[test]
fn a_cut_gzip_file_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.gz");
    let bytes = gzip("some lines\n".repeat(1000).as_bytes());
    fs::write(&path, &bytes[..bytes.len() - 12]).unwrap();
    let (_, error) = error_of(TextFileSource::new(&path));
    assert!(matches!(error, TextFileError::Read { .. }), "{error:?}");
}

#[test]
fn a_monitored_directory_gives_each_new_file_once() {
    let directory = directory_with(&[("a", "1\n")]);
    let source = TextFileSource::new(directory.path()).monitor(Duration::from_millis(70));
    assert_eq!(source.boundedness(), Boundedness::Unbounded);
    in_runtime(|| {
        let mut enumerator = source.create_enumerator(1).unwrap();
        let mut reader = source.create_reader(reader_context(0, 1)).unwrap();
        let mut actions = Vec::new();
        let mut lines = Vec::new();
        enumerator.start(&mut actions).unwrap();
        for round in 0..4 {
            let mut calls = 0;
            // The first round has an assignment only after the reader has asked.
            if round == 0 {
                enumerator.on_split_request(0, &mut actions).unwrap();
            }
            while !actions.is_empty() {
                for action in std::mem::take(&mut actions) {
                    match action {
                        EnumeratorAction::Assign { splits, .. } => {
                            reader.add_splits(splits).unwrap();
                        }
                        EnumeratorAction::CallAfterMs(ms) => {
                            assert_eq!(ms, 70);
                            calls += 1;
                        }
                        EnumeratorAction::NoMoreSplits { .. } => panic!("it goes on"),
                    }
                }
                let mut out = SourceOutput::default();
                while reader.read(10, &mut out).unwrap() == ReadStatus::More {}
                if !out.values.is_empty() {
                    lines.append(&mut out.values);
                    enumerator.on_split_request(0, &mut actions).unwrap();
                }
            }
            assert_eq!(calls, 1);
            if round == 1 {
                // Growth of a known file is not looked at.
                fs::write(directory.path().join("a"), "1\n2\n").unwrap();
                fs::write(directory.path().join("b"), "3\n").unwrap();
                fs::write(directory.path().join("c"), "4\n").unwrap();
            }
            enumerator.on_timer(&mut actions).unwrap();
        }
        assert_eq!(lines, ["1", "3", "4"]);
    });
}

#[test]
fn a_monitored_glob_may_match_nothing_yet() {
    let directory = directory_with(&[]);
    let source = TextFileSource::new(directory.path().join("*.txt")).monitor(Duration::ZERO);
    in_runtime(|| {
        let mut actions = Vec::new();
        let mut enumerator = source.create_enumerator(1).unwrap();
        enumerator.start(&mut actions).unwrap();
        assert!(matches!(actions[..], [EnumeratorAction::CallAfterMs(1)]));
    });
}

#[test]
fn a_reader_tells_how_much_it_has_read_and_how_much_is_left() {
    let directory = directory_with(&[("a.txt", "one\ntwo\nthree\n"), ("b.txt", "four\n")]);
    in_runtime(|| {
        let source = TextFileSource::new(directory.path());
        let mut enumerator = source.create_enumerator(1).unwrap();
        enumerator.start(&mut Vec::new()).unwrap();
        let mut reader = source.create_reader(reader_context(0, 1)).unwrap();
        reader.add_splits(all_splits(&mut *enumerator)).unwrap();
        assert_eq!((reader.pending().bytes, reader.pending().records), (Some(19), None));
        let (mut out, mut bytes) = (SourceOutput::default(), 0);
        while reader.read(1, &mut out).unwrap() == ReadStatus::More {
            bytes += std::mem::take(&mut out.bytes);
            let left = reader.pending().bytes.unwrap();
            assert_eq!(bytes + left, 19, "{bytes} read, {left} left");
        }
        assert_eq!((bytes, reader.pending().bytes), (19, Some(0)));
        let compressed = tempfile::tempdir().unwrap();
        fs::write(compressed.path().join("c.gz"), gzip(b"five\n")).unwrap();
        let source = TextFileSource::new(compressed.path());
        let mut enumerator = source.create_enumerator(1).unwrap();
        enumerator.start(&mut Vec::new()).unwrap();
        let mut reader = source.create_reader(reader_context(0, 1)).unwrap();
        reader.add_splits(all_splits(&mut *enumerator)).unwrap();
        assert_eq!(reader.pending().bytes, None, "nobody knows before its end");
    });
}
