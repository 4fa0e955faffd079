//! What people and tools are told.

use expect_test::expect;
use hurtig_config::{Configuration, catalogue};

fn configuration() -> Configuration {
    let mut configuration = Configuration::new();
    let text = "state.checkpoints.dir: s3://b/c\nrest.port: 9000\nparallelism.default: 2\nenv.a: 1";
    configuration.add_yaml(text, "c.yaml").unwrap();
    configuration.add_dynamic("parallelism.default=3").unwrap();
    configuration
}

#[test]
fn a_key_is_explained() {
    let explain = |key: &str| configuration().explain(key).unwrap().to_text();
    expect![[r#"
        parallelism.default
          value       3
          set by      -D
          default     1
          type        Integer: a whole number from 1 to 4294967295
          status      effective
                      Parallelism of operators that set none, in jobs that set none. Set in a file it is the cluster's level, set by `-D` the client's, set by the program the environment's; the operator's own wins over all.
    "#]].assert_eq(&explain("parallelism.default"));
    expect![[r#"
        execution.checkpointing.dir
          value       s3://b/c
          set by      c.yaml:1 as state.checkpoints.dir
          default     (none)
          type        String: a text
          status      effective
          deprecated  state.checkpoints.dir, state.backend.fs.checkpointdir
                      Directory or URL of checkpoints; every process must reach it.
    "#]]
    .assert_eq(&explain("state.checkpoints.dir"));
    expect![[r#"
        rest.bind-port
          value       9000
          set by      c.yaml:2 as rest.port
          default     8081
          type        String: a text
          status      accepted, without effect yet
          fallback    rest.port
                      Ports on which the REST server may listen; a number, a list or a range.
    "#]]
    .assert_eq(&explain("rest.bind-port"));
    expect![[r#"
        metrics.reporter.prom.class
          value       (none)
          set by      default
          default     (none)
          type        String: a text
          status      effective
                      Settings of a metrics reporter, by its name.
    "#]]
    .assert_eq(&explain("metrics.reporter.prom.class"));
    let unknown = configuration().explain("paralelism").unwrap_err().to_string();
    expect![[r#"program: unknown key "paralelism"; did you mean "parallelism.default"?"#]]
        .assert_eq(&unknown);
}

#[test]
fn tools_get_json() {
    let json = configuration().explain("parallelism.default").unwrap().to_json();
    assert_eq!(json["value"], "3");
    assert_eq!(json["origin"], "-D");
    assert_eq!(json["default"], "1");
    assert_eq!(json["status"], "effective");
}

#[test]
fn the_list_holds_every_option_once_and_all_that_is_set() {
    let list = configuration().list();
    assert_eq!(list.len(), catalogue::options().count() + 1);
    assert!(list.windows(2).all(|pair| pair[0].key < pair[1].key));
    let set = list.iter().filter(|e| e.origin.to_string() != "default");
    let lines: String = set.map(|e| e.to_line() + "\n").collect();
    expect![[r#"
        env.a: 1  (c.yaml:4, accepted, without meaning here)
        execution.checkpointing.dir: s3://b/c  (c.yaml:1)
        parallelism.default: 3  (-D)
        rest.bind-port: 9000  (c.yaml:2, accepted, without effect yet)
        rest.port: 9000  (c.yaml:2, accepted, without effect yet)
    "#]]
    .assert_eq(&lines);
}

#[test]
fn settings_that_change_nothing_are_warned_of() {
    let warnings = configuration().warnings().join("\n");
    expect![[r#"
        c.yaml:4: env.a is accepted, without meaning here
        c.yaml:1: state.checkpoints.dir is deprecated; use execution.checkpointing.dir
        c.yaml:2: rest.port is accepted, without effect yet"#]]
    .assert_eq(&warnings);
    let mut configuration = Configuration::new();
    configuration.add_dynamic("restart-strategy.fixed-delay.attempts=3").unwrap();
    expect!["-D: restart-strategy.fixed-delay.attempts is not used: restart-strategy.type is not fixed-delay"].assert_eq(&configuration.warnings().join("\n"));
    configuration.add_dynamic("restart-strategy.type=fixeddelay").unwrap();
    assert_eq!(configuration.warnings(), [""; 0]);
}
