//! Texts and the values that they stand for.

use std::{collections::BTreeMap, fmt::Debug, num::NonZeroU32, time::Duration};

use expect_test::{Expect, expect};
use hurtig_config::{
    ConfigValue, Fraction, MemorySize,
    value::{MAX_DURATION, RestartStrategyType},
};
use hurtig_types::CheckpointingMode;
use proptest::prelude::*;

/// Each text with its value, or with what is wrong.
fn table<T: ConfigValue + Debug>(texts: &[&str]) -> String {
    let line = |text: &&str| match T::parse(text) {
        Ok(value) => format!("{text:?} = {value:?}\n"),
        Err(error) => format!("{text:?} ! {error}").trim_end().to_owned() + "\n",
    };
    texts.iter().map(line).collect()
}

fn check<T: ConfigValue + Debug>(texts: &[&str], expected: Expect) {
    expected.assert_eq(&table::<T>(texts));
}

#[test]
fn durations() {
    check::<Duration>(
        &[
            "0",
            "250",
            "10 s",
            "200ms",
            " 1 min ",
            "1m",
            "2 hours",
            "3d",
            "7 µs",
            "7μs",
            "5 ns",
            "1 DAY",
            "PT1M30S",
            "P1D",
            "pt0.5s",
            "P2DT3H",
            "9223372036854775807 ms",
            // Mistakes.
            "",
            "s",
            "-1 s",
            "1.5 s",
            "10 parsec",
            "1 month",
            "P",
            "PT",
            "P1M",
            "PT1H2D",
            "PT1.0000000001S",
            "9223372036854775808 ms",
            "99999999999999999999999999 d",
            "99999999999999999999999999999999999999999 d",
            "1 s 2 ms",
        ],
        expect![[r#"
            "0" = 0ns
            "250" = 250ms
            "10 s" = 10s
            "200ms" = 200ms
            " 1 min " = 60s
            "1m" = 60s
            "2 hours" = 7200s
            "3d" = 259200s
            "7 µs" = 7µs
            "7μs" = 7µs
            "5 ns" = 5ns
            "1 DAY" = 86400s
            "PT1M30S" = 90s
            "P1D" = 86400s
            "pt0.5s" = 500ms
            "P2DT3H" = 183600s
            "9223372036854775807 ms" = 9223372036854775.807s
            "" !
            "s" !
            "-1 s" !
            "1.5 s" ! the number must be whole
            "10 parsec" ! "parsec" is no unit of time
            "1 month" ! "month" is no unit of time
            "P" !
            "PT" !
            "P1M" !
            "PT1H2D" !
            "PT1.0000000001S" !
            "9223372036854775808 ms" ! it is too long
            "99999999999999999999999999 d" ! it is too long
            "99999999999999999999999999999999999999999 d" ! it is too long
            "1 s 2 ms" ! "s 2 ms" is no unit of time
        "#]],
    );
}

#[test]
fn sizes() {
    check::<MemorySize>(
        &[
            "0",
            "1024",
            "64 mb",
            "1g",
            "32KB",
            "2 Tebibytes",
            "7 bytes",
            "9223372036854775807",
            // Mistakes.
            "",
            "mb",
            "-1",
            "1.5g",
            "1 parsec",
            "9223372036854775808",
            "16777216 t",
            "99999999999999999999",
        ],
        expect![[r#"
            "0" = MemorySize(0)
            "1024" = MemorySize(1024)
            "64 mb" = MemorySize(67108864)
            "1g" = MemorySize(1073741824)
            "32KB" = MemorySize(32768)
            "2 Tebibytes" = MemorySize(2199023255552)
            "7 bytes" = MemorySize(7)
            "9223372036854775807" = MemorySize(9223372036854775807)
            "" !
            "mb" !
            "-1" !
            "1.5g" ! the number must be whole
            "1 parsec" ! "parsec" is no unit of memory
            "9223372036854775808" ! it is too large
            "16777216 t" ! it is too large
            "99999999999999999999" ! it is too large
        "#]],
    );
}

#[test]
fn numbers_and_words() {
    check::<NonZeroU32>(
        &["1", " 7 ", "0", "-1", "x", "4294967296"],
        expect![[r#"
            "1" = 1
            " 7 " = 7
            "0" !
            "-1" !
            "x" !
            "4294967296" !
        "#]],
    );
    check::<Fraction>(
        &["0", "0.1", "1", "1.1", "-0.1", "NaN", "inf"],
        expect![[r#"
            "0" = Fraction(0.0)
            "0.1" = Fraction(0.1)
            "1" = Fraction(1.0)
            "1.1" !
            "-0.1" !
            "NaN" ! it is not finite
            "inf" ! it is not finite
        "#]],
    );
    check::<bool>(
        &["true", "FALSE", "yes", "1", ""],
        expect![[r#"
            "true" = true
            "FALSE" = false
            "yes" !
            "1" !
            "" !
        "#]],
    );
    check::<RestartStrategyType>(
        &["none", "off", "DISABLE", "fixed-delay", "FIXED_DELAY", "fixeddelay", "exponential", ""],
        expect![[r#"
            "none" = None
            "off" = None
            "DISABLE" = None
            "fixed-delay" = FixedDelay
            "FIXED_DELAY" = FixedDelay
            "fixeddelay" = FixedDelay
            "exponential" !
            "" !
        "#]],
    );
    check::<CheckpointingMode>(
        &["EXACTLY_ONCE", "at-least-once", "once"],
        expect![[r#"
            "EXACTLY_ONCE" = ExactlyOnce
            "at-least-once" = AtLeastOnce
            "once" !
        "#]],
    );
    assert_eq!(CheckpointingMode::expected(), "one of EXACTLY_ONCE, AT_LEAST_ONCE");
}

#[test]
fn lists_and_maps() {
    check::<Vec<String>>(
        &["", "a", "a;b; c ", "'a;b';c", "'it''s'", "\"x;y\"", "'open", "'a'b'", "é;'ü;'"],
        expect![[r#"
            "" = []
            "a" = ["a"]
            "a;b; c " = ["a", "b", "c"]
            "'a;b';c" = ["a;b", "c"]
            "'it''s'" = ["it's"]
            "\"x;y\"" = ["x;y"]
            "'open" ! a quote is not closed
            "'a'b'" ! a quote is not closed
            "é;'ü;'" = ["é", "ü;"]
        "#]],
    );
    check::<BTreeMap<String, String>>(
        &["", "a:1,b:2", "'a:b':'c,d'", "url:'http://x'", "a", "a:b:c", "a:1,a:2"],
        expect![[r#"
            "" = {}
            "a:1,b:2" = {"a": "1", "b": "2"}
            "'a:b':'c,d'" = {"a:b": "c,d"}
            "url:'http://x'" = {"url": "http://x"}
            "a" ! "a" is not of the form key:value
            "a:b:c" ! "a:b:c" is not of the form key:value
            "a:1,a:2" ! the key a is given twice
        "#]],
    );
}

proptest! {
    #[test]
    fn durations_survive_their_text(secs in 0..MAX_DURATION.as_secs(), nanos in 0..1_000_000_000u32) {
        let duration = Duration::new(secs, nanos);
        prop_assert_eq!(Duration::parse(&duration.to_text()), Ok(duration));
    }

    #[test]
    fn whole_durations_are_written_in_large_units(n in 1..1_000_000u64, unit in 0..5usize) {
        let seconds = [1, 60, 3_600, 86_400, 7 * 86_400][unit];
        let duration = Duration::from_secs(n * seconds);
        prop_assert!(!duration.to_text().ends_with("ns"));
        prop_assert_eq!(Duration::parse(&duration.to_text()), Ok(duration));
    }

    #[test]
    fn sizes_survive_their_text(bytes in 0..=MemorySize::MAX.bytes(), shift in 0..63u32) {
        let size = MemorySize::of_bytes(bytes >> shift << shift);
        prop_assert_eq!(MemorySize::parse(&size.to_text()), Ok(size));
    }

    #[test]
    fn lists_and_maps_survive_their_text(
        words in prop::collection::vec(".{0,8}", 0..5),
        map in prop::collection::btree_map(".{0,8}", "[a-z;:,'\" ]{0,8}", 0..5),
    ) {
        // A list of one empty word reads as an empty list.
        prop_assume!(words != [""]);
        prop_assert_eq!(Vec::<String>::parse(&words.to_text()), Ok(words));
        prop_assert_eq!(BTreeMap::<String, String>::parse(&map.to_text()), Ok(map));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,40}", number in "[0-9PTDHMS.: ]{0,50}") {
        for text in [text, number] {
            let _ = Duration::parse(&text);
            let _ = MemorySize::parse(&text);
            let _ = Vec::<String>::parse(&text);
            let _ = BTreeMap::<String, String>::parse(&text);
            let _ = Fraction::parse(&text);
            let _ = RestartStrategyType::parse(&text);
        }
    }
}
