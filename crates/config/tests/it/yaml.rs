//! Files, well-meant and hostile.

use expect_test::{Expect, expect};
use hurtig_config::Configuration;
use proptest::prelude::*;

/// What a file sets, line by line, or its mistakes.
fn read(text: &str) -> String {
    let mut configuration = Configuration::new();
    if let Err(errors) = configuration.add_yaml(text, "c.yaml") {
        return format!("{errors}\n");
    }
    let set = configuration.list().into_iter().filter(|e| e.origin.to_string() != "default");
    set.map(|e| format!("{} {}={}\n", e.origin, e.key, e.value.unwrap_or_default())).collect()
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&read(text));
}

#[test]
fn nested_and_flat_keys_mean_the_same() {
    check(
        "# comment\nparallelism.default: 2\nexecution:\n  buffer-timeout.interval: 5 ms\n  \
         checkpointing:\n    interval: 3min\n    mode: AT_LEAST_ONCE\nweb: {timeout: 1 s}\n",
        expect![[r#"
            c.yaml:4 execution.buffer-timeout.interval=5 ms
            c.yaml:6 execution.checkpointing.interval=3min
            c.yaml:7 execution.checkpointing.mode=AT_LEAST_ONCE
            c.yaml:2 parallelism.default=2
            c.yaml:8 web.timeout=1 s
        "#]],
    );
}

#[test]
fn the_file_that_comes_with_flink_is_understood() {
    check(
        r#"
env:
  java:
    opts:
      all: --add-exports=java.base/sun.net.util=ALL-UNNAMED
jobmanager:
  bind-host: localhost
  rpc:
    address: localhost
    port: 6123
  memory:
    process:
      size: 1600m
  execution:
    failover-strategy: region
taskmanager:
  bind-host: localhost
  host: localhost
  numberOfTaskSlots: 1
  memory:
    process:
      size: 1728m
parallelism:
  default: 1
rest:
  address: localhost
  bind-address: localhost
io:
  tmp:
    dirs: /tmp
"#,
        expect![[r#"
            c.yaml:5 env.java.opts.all=--add-exports=java.base/sun.net.util=ALL-UNNAMED
            c.yaml:30 io.tmp.dirs=/tmp
            c.yaml:7 jobmanager.bind-host=localhost
            c.yaml:15 jobmanager.execution.failover-strategy=region
            c.yaml:13 jobmanager.memory.process.size=1600m
            c.yaml:9 jobmanager.rpc.address=localhost
            c.yaml:10 jobmanager.rpc.port=6123
            c.yaml:24 parallelism.default=1
            c.yaml:26 rest.address=localhost
            c.yaml:27 rest.bind-address=localhost
            c.yaml:17 taskmanager.bind-host=localhost
            c.yaml:18 taskmanager.host=localhost
            c.yaml:22 taskmanager.memory.flink.size=1728m
            c.yaml:22 taskmanager.memory.process.size=1728m
            c.yaml:19 taskmanager.numberOfTaskSlots=1
        "#]],
    );
}

#[test]
fn plain_values_stay_the_text_that_was_written() {
    check(
        "metrics.scope.jm: ~x\npipeline.name: 'null'\nenv.a: 007\nenv.b: 1e3\nenv.c: yes\n\
         env.d: \"a\\u00e9b\"\nenv.e: |\n  two\n  lines\nenv.f: [a, 'b;c', 1]\nenv.g: ''\n",
        expect![[r#"
            c.yaml:3 env.a=007
            c.yaml:4 env.b=1e3
            c.yaml:5 env.c=yes
            c.yaml:6 env.d=aéb
            c.yaml:7 env.e=two
            lines

            c.yaml:10 env.f=a;'b;c';1
            c.yaml:11 env.g=
            c.yaml:1 metrics.scope.jm=~x
            c.yaml:2 pipeline.name=null
        "#]],
    );
}

#[test]
fn an_empty_file_sets_nothing() {
    for text in ["", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "~\n", "{}\n"] {
        assert_eq!(read(text), "", "{text:?}");
    }
}

#[test]
fn what_is_not_a_configuration_is_refused_with_its_place() {
    check(
        "- a\n- b\n",
        expect![[r#"
        c.yaml:1:1: a configuration begins with a key
    "#]],
    );
    check(
        "just a text\n",
        expect![[r#"
        c.yaml:1:1: a configuration begins with a key
    "#]],
    );
    check(
        "a: 1\n---\nb: 2\n",
        expect![[r#"
        c.yaml:2:1: a configuration is one document
    "#]],
    );
    check(
        "web.timeout: 1 s\nweb:\n  timeout: 2 s\n",
        expect![[r#"
        c.yaml:3: web.timeout is set already in line 1
    "#]],
    );
    check(
        "parallelism:\n  default:\n",
        expect![[r#"
        c.yaml:2:3: parallelism.default has no value; give it one or remove the line
    "#]],
    );
    check(
        "parallelism:\n\tdefault: 1\n",
        expect![[r#"
        c.yaml:2:2: tabs disallowed within this context (block indentation)
    "#]],
    );
    check(
        "rest.port: 1\n rest.address: x\n",
        expect![[r#"
        c.yaml:2:14: mapping values are not allowed in this context
    "#]],
    );
    check(
        "rest.port: &p 1\nweb.timeout: *p\n",
        expect![[r#"
        c.yaml:2:14: aliases are not allowed; write the value again
    "#]],
    );
    check(
        "<<: {rest.port: 1}\n",
        expect![[r#"
        c.yaml:1: unknown key "<<.rest.port"
    "#]],
    );
    check(
        "rest.port: !!int 1\n",
        expect![[r#"
        c.yaml:1:18: tags are not allowed
    "#]],
    );
    check(
        "? [a, b]\n: 1\n",
        expect![[r#"
        c.yaml:1:3: a key must be a text
    "#]],
    );
    check(
        "env.a: [[1]]\n",
        expect![[r#"
        c.yaml:1:9: the list env.a may hold plain values only
    "#]],
    );
    check(
        "env.a: [{b: 1}]\n",
        expect![[r#"
        c.yaml:1:9: the list env.a may hold plain values only
    "#]],
    );
    check(
        "env.a: 'open\n",
        expect![[r#"
        c.yaml:2:1: invalid indentation in multiline quoted scalar
    "#]],
    );
    check(
        "%YAML 1.2\n---\nrest.port: 1\n",
        expect![[r#"
        c.yaml:1:1: YAML directives are disallowed
    "#]],
    );
    check(
        "~: 1\n",
        expect![[r#"
        c.yaml:1:1: a key must be a text
    "#]],
    );
}

#[test]
fn hostile_files_are_refused() {
    let laughs: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain(
            (1..40)
                .map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))),
        )
        .collect();
    let deep_blocks: String =
        (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n.min(400)))).collect();
    let many: String = (0..20_000).map(|n| format!("env.k{n}: 1\n")).collect();
    let files = [
        ("aliases", laughs),
        ("deep flow", "{a: ".repeat(100_000)),
        ("deep lists", "[".repeat(1_000_000)),
        ("deep blocks", deep_blocks),
        ("many keys", many),
        ("large", "x".repeat(5 << 20)),
        ("long key", format!("{}: 1\n", "k".repeat(100_000))),
        (
            "long keys by nesting",
            (0..30).map(|n| format!("{}{}:\n", " ".repeat(n), "k".repeat(500))).collect(),
        ),
        ("long quoted", format!("env.a: \"{}", "x".repeat(1_000_000))),
        ("nul", "env.a: \0\n".to_owned()),
    ];
    for (name, text) in files {
        let result = Configuration::new().add_yaml(&text, "c.yaml");
        let error = result.err().map(|e| e.to_string()).unwrap_or_else(|| panic!("{name} passed"));
        assert!(error.len() < 4_000, "{name}: an error of {} bytes", error.len());
    }
}

#[test]
fn mistakes_are_listed_up_to_a_bound() {
    let text: String = (0..1_000).map(|n| format!("no.such.key.{n}: 1\n")).collect();
    let error = Configuration::new().add_yaml(&text, "c.yaml").unwrap_err();
    assert_eq!(error.errors().len(), 20);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "([ \\n\\t:{}\\[\\]&*!|>'\"%@`#,?~-]|a|rest\\.port|1){0,60}") {
        let _ = Configuration::new().add_yaml(&text, "c.yaml");
    }

    #[test]
    fn any_text_survives_in_double_quotes(value in "[ -!#-\\[\\]-~é-ü]{1,40}") {
        let mut configuration = Configuration::new();
        configuration.add_yaml(&format!("env.a: \"{value}\""), "c.yaml").unwrap();
        prop_assert_eq!(&configuration.with_prefix("env.")["a"], &value);
    }
}
