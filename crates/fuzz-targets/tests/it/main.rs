//! Every target, with its valid inputs and with changed ones.

use std::{
    collections::BTreeSet,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use hurtig_fuzz_targets::TARGETS;

/// Says which input it was: its seed draws it again.
fn run(name: &str, seed: &str, target: fn(&[u8]), input: &[u8]) {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(outcome.is_ok(), "{name}, {seed}: the panic above is for {input:02x?}");
}

#[test]
fn valid_inputs_are_taken() {
    for target in TARGETS {
        let corpus = (target.corpus)();
        assert!(corpus.iter().any(|input| !input.is_empty()), "{} has no inputs", target.name);
        for (number, input) in corpus.iter().enumerate() {
            run(target.name, &format!("input {number}"), target.run, input);
        }
    }
}

#[test]
fn changed_inputs_are_errors_or_sound() {
    for target in TARGETS {
        let corpus = (target.corpus)();
        for seed in 0..target.inputs {
            let input = target.input(seed, &corpus);
            run(target.name, &format!("seed {seed}"), target.run, &input);
        }
    }
}

/// The corpora lead somewhere: many a changed input differs from all valid ones and is not empty.
#[test]
fn inputs_differ() {
    for target in TARGETS {
        let corpus = (target.corpus)();
        let inputs = (0..target.inputs).map(|seed| target.input(seed, &corpus));
        let different: BTreeSet<Vec<u8>> = inputs.filter(|input| !corpus.contains(input)).collect();
        let enough = target.inputs as usize / 2;
        assert!(different.len() > enough, "{}: {} inputs", target.name, different.len());
    }
}

#[test]
fn each_target_has_its_file_for_the_fuzzer() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let files = std::fs::read_dir(fuzz.join("fuzz_targets")).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(files, names);
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
    }
}
