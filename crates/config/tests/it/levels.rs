//! Which value counts.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use expect_test::{Expect, expect};
use hurtig_config::{
    ConfigLevel, Configuration, MemorySize,
    catalogue::{checkpointing, cluster, pipeline, rest, restart, security, task_manager},
    split_dynamic_properties,
    value::RestartStrategyType,
};

fn of_file(text: &str) -> Configuration {
    let mut configuration = Configuration::new();
    configuration.add_yaml(text, "config.yaml").unwrap();
    configuration
}

fn check_error(error: impl std::fmt::Display, expected: Expect) {
    expected.assert_eq(&error.to_string());
}

#[test]
fn an_option_that_nobody_sets_has_its_default() {
    let configuration = Configuration::new();
    assert_eq!(configuration.get(&pipeline::BUFFER_TIMEOUT).unwrap(), Duration::from_millis(100));
    assert_eq!(configuration.get(&restart::RESTART_STRATEGY).unwrap(), None);
    assert_eq!(configuration.get(&task_manager::NETWORK_MEMORY_MAX).unwrap(), MemorySize::MAX);
    assert!(!configuration.is_set(&pipeline::BUFFER_TIMEOUT));
}

#[test]
fn each_level_wins_over_the_one_below() {
    let option = &pipeline::DEFAULT_PARALLELISM;
    let mut configuration = of_file("parallelism.default: 2");
    assert_eq!(configuration.get(option).unwrap().get(), 2);
    configuration.add_dynamic("parallelism.default=3").unwrap();
    assert_eq!(configuration.get(option).unwrap().get(), 3);
    configuration.set(option, NonZeroU32::new(4).unwrap());
    assert_eq!(configuration.get(option).unwrap().get(), 4);
    for (level, value) in
        [(ConfigLevel::File, 2), (ConfigLevel::DynamicProperty, 3), (ConfigLevel::Program, 4)]
    {
        assert_eq!(configuration.get_at(level, option).unwrap().unwrap().get(), value);
    }
    // A file that is added later still does not reach the levels above.
    configuration.add_yaml("parallelism: {default: 9}", "other.yaml").unwrap();
    assert_eq!(configuration.get(option).unwrap().get(), 4);
    assert_eq!(configuration.get_at(ConfigLevel::File, option).unwrap().unwrap().get(), 9);
}

#[test]
fn merging_takes_the_other_ones_settings_level_by_level() {
    let mut mine = of_file("rest.port: 1\nheartbeat.timeout: 9 s");
    let mut other = of_file("rest.port: 2");
    other.add_dynamic("web.timeout=1 s").unwrap();
    mine.merge(other);
    assert_eq!(mine.get(&rest::REST_PORT).unwrap(), 2);
    assert_eq!(mine.get(&cluster::HEARTBEAT_TIMEOUT).unwrap(), Duration::from_secs(9));
    assert_eq!(mine.get(&rest::WEB_TIMEOUT).unwrap(), Duration::from_secs(1));
}

#[test]
fn a_deprecated_key_counts_as_its_successor() {
    let configuration = of_file("state.checkpoints.dir: /old");
    let directory = configuration.get(&checkpointing::CHECKPOINTS_DIRECTORY).unwrap();
    assert_eq!(directory.as_deref(), Some("/old"));
    // In one file the current key wins, whatever the order.
    for text in [
        "restart-strategy: none\nrestart-strategy.type: fixed-delay",
        "restart-strategy.type: fixed-delay\nrestart-strategy: none",
    ] {
        let strategy = of_file(text).get(&restart::RESTART_STRATEGY).unwrap();
        assert_eq!(strategy, Some(RestartStrategyType::FixedDelay));
    }
    // Over levels the level decides.
    let mut configuration = of_file("restart-strategy.type: fixed-delay");
    configuration.add_dynamic("restart-strategy=off").unwrap();
    let strategy = configuration.get(&restart::RESTART_STRATEGY).unwrap();
    assert_eq!(strategy, Some(RestartStrategyType::None));
}

#[test]
fn the_program_can_take_its_setting_back() {
    let option = &checkpointing::CHECKPOINTS_DIRECTORY;
    let mut configuration = of_file("execution.checkpointing.dir: /file");
    configuration.set(option, Some("/program".to_owned()));
    assert_eq!(configuration.get(option).unwrap().as_deref(), Some("/program"));
    configuration.set(option, None);
    assert_eq!(configuration.get(option).unwrap().as_deref(), Some("/file"));
}

#[test]
fn a_fallback_key_counts_when_the_own_key_is_not_set() {
    let mut configuration = of_file("rest.port: 9000");
    assert_eq!(configuration.get(&rest::REST_BIND_PORT).unwrap(), "9000");
    assert!(configuration.is_set(&rest::REST_BIND_PORT));
    configuration.add_dynamic("rest.bind-port=9001-9010").unwrap();
    assert_eq!(configuration.get(&rest::REST_BIND_PORT).unwrap(), "9001-9010");
    assert_eq!(configuration.get(&rest::REST_PORT).unwrap(), 9000);
}

#[test]
fn a_map_may_be_given_whole_or_by_entries() {
    let option = &pipeline::GLOBAL_JOB_PARAMETERS;
    let map = |text: &str| of_file(text).get(option).unwrap();
    let expected = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let key = "pipeline.global-job-parameters";
    assert_eq!(map(&format!("{key}: 'a:1,b:2'")), expected(&[("a", "1"), ("b", "2")]));
    assert_eq!(map(&format!("{key}: {{a: 1, 'x.y': 2}}")), expected(&[("a", "1"), ("x.y", "2")]));
    let mut configuration = of_file(&format!("{key}: 'a:1,b:2'"));
    configuration.add_dynamic(&format!("{key}.b=3")).unwrap();
    assert_eq!(configuration.get(option).unwrap(), expected(&[("a", "1"), ("b", "3")]));
}

#[test]
fn keys_below_a_known_prefix_are_kept() {
    let mut configuration =
        of_file("metrics:\n  reporter:\n    prom: {class: x, port: 1}\nenv.java.opts.all: -Xmx1g");
    configuration.add_dynamic("metrics.reporter.prom.port=2").unwrap();
    let prom = configuration.with_prefix("metrics.reporter.prom.");
    assert_eq!(prom, BTreeMap::from([("class".into(), "x".into()), ("port".into(), "2".into())]));
}

#[test]
fn mistakes_name_key_value_expectation_and_place() {
    let mut configuration = Configuration::new();
    let text = "parallelism.default: many\nheartbeat:\n  intervall: 1 s\n  timeout: 10 parsec\n";
    check_error(
        configuration.add_yaml(text, "conf/config.yaml").unwrap_err(),
        expect![[r#"
            conf/config.yaml:1: parallelism.default has the value "many", but needs a whole number from 1 to 4294967295
            conf/config.yaml:3: unknown key "heartbeat.intervall"; did you mean "heartbeat.interval"?
            conf/config.yaml:4: heartbeat.timeout has the value "10 parsec", but needs a duration such as 10 s, 200 ms, 1 min, 2 h, or a number of milliseconds; "parsec" is no unit of time"#]],
    );
    assert_eq!(configuration, Configuration::new(), "a file with mistakes sets nothing");
    check_error(
        configuration.add_dynamic("restart-strategy=often").unwrap_err(),
        expect![[
            r#"-D: restart-strategy has the value "often", but needs one of none, fixed-delay, exponential-delay, failure-rate"#
        ]],
    );
    check_error(
        configuration.add_dynamic("no.such.key=1").unwrap_err(),
        expect![[r#"-D: unknown key "no.such.key""#]],
    );
    check_error(
        configuration.add_dynamic("parallelism.default").unwrap_err(),
        expect![[r#"-D needs key=value, not "parallelism.default""#]],
    );
    check_error(
        configuration.set_text("rest.port", "65536").unwrap_err(),
        expect![[
            r#"program: rest.port has the value "65536", but needs a whole number from 0 to 65535"#
        ]],
    );
}

#[test]
fn secrets_are_not_shown() {
    let mut configuration = Configuration::new();
    configuration.set(&security::SSL_KEYSTORE_PASSWORD, Some("hunter2".to_owned()));
    let shown = configuration.explain("security.ssl.keystore-password").unwrap();
    assert!(!format!("{}{:#}", shown.to_text(), shown.to_json()).contains("hunter2"));
}

#[test]
fn dynamic_properties_are_found_among_arguments() {
    let split = |line: &str| split_dynamic_properties(line.split(' ').map(str::to_owned));
    let (properties, others) = split("run -Da=1 -D b=2=3 --input x -- -Dc=4").unwrap();
    assert_eq!(properties, ["a=1", "b=2=3"]);
    assert_eq!(others, ["run", "--input", "x", "--", "-Dc=4"]);
    assert!(split("run -D").is_err());
}

#[test]
fn a_file_is_read_and_a_missing_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    let mut configuration = Configuration::new();
    let error = configuration.load(&path).unwrap_err().to_string();
    assert!(error.contains("config.yaml") && error.contains("No such file"), "{error}");
    std::fs::write(&path, "parallelism:\n  default: 5\n").unwrap();
    configuration.load(&path).unwrap();
    assert_eq!(configuration.get(&pipeline::DEFAULT_PARALLELISM).unwrap().get(), 5);
    std::fs::write(&path, b"a: \xff\xfe").unwrap();
    assert!(configuration.load(&path).is_err(), "not UTF-8");
    std::fs::write(&path, " ".repeat(hurtig_config::MOST_FILE_BYTES + 9)).unwrap();
    let error = configuration.load(&path).unwrap_err().to_string();
    assert!(error.contains("bytes"), "{error}");
}
