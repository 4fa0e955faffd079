#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hurtig_fuzz_targets::sql::raw(bytes));
