//! The main job against a count by hand.

use std::{collections::BTreeMap, fs, io::Write};

use flate2::{Compression, write::GzEncoder};
use hurtig::prelude::*;

#[allow(dead_code)] // `main` runs only as an example
#[path = "../../examples/word_count.rs"]
mod example;

const TEXT: &str = include_str!("../../../../ARCHITECTURE.md");

#[test]
fn words_of_files_are_counted_whatever_the_parallelism() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("input");
    fs::create_dir(&input).unwrap();
    fs::write(input.join("a.txt"), TEXT.repeat(20)).unwrap();
    fs::write(input.join("b.txt"), "no newline at the end: the").unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(TEXT.as_bytes()).unwrap();
    fs::write(input.join("c.gz"), gzip.finish().unwrap()).unwrap();
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    let all = TEXT.repeat(21) + "\nno newline at the end: the";
    for word in all.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        *expected.entry(word.to_ascii_lowercase()).or_default() += 1;
    }
    for (parallelism, task_executors) in [(1, 1), (2, 1), (4, 1), (1, 2), (4, 2)] {
        let output = directory.path().join(format!("output-{parallelism}-{task_executors}"));
        let arguments = [
            ("input", input.display().to_string()),
            ("output", output.display().to_string()),
            ("parallelism", parallelism.to_string()),
            ("taskmanagers", task_executors.to_string()),
        ];
        let arguments = arguments.into_iter().map(|(name, value)| format!("--{name}={value}"));
        let (env, parameters) =
            StreamExecutionEnvironment::from_args_and_conf_dir(arguments, None).unwrap();
        example::run(&env, &parameters).unwrap();
        let mut counts = BTreeMap::new();
        for file in fs::read_dir(&output).unwrap() {
            let file = file.unwrap();
            if file.file_name().to_string_lossy().starts_with('.') {
                // Not output: the mark of the job that writes here.
                continue;
            }
            for line in fs::read_to_string(file.path()).unwrap().lines() {
                let (word, count) = line.split_once(' ').unwrap();
                let before = counts.insert(word.to_owned(), count.parse::<u64>().unwrap());
                assert!(before.is_none(), "{word} is written twice");
            }
        }
        assert_eq!(counts, expected, "parallelism {parallelism}, {task_executors} TaskExecutors");
    }
}
