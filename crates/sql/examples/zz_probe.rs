#![allow(missing_docs, clippy::all, clippy::pedantic)]
use hurtig_sql::{Session, SqlError, StatementResult};
use std::io::Write;
use std::time::Duration;
fn q(s: &Option<String>) -> String { match s { None => "null".into(), Some(s) => serde_json::to_string(s).unwrap() } }
fn sql(from: &str, exprs: &[String]) -> String {
    let mut b = String::from("SELECT id");
    for (i, e) in exprs.iter().enumerate() { b += &format!(", {e} AS c{i}"); }
    b + " FROM " + from
}
fn attempt(session: &mut Session, text: &str) -> Result<(Vec<String>, Vec<Vec<Option<String>>>), SqlError> {
    let StatementResult::Query(mut query) = session.execute_one(text)? else { panic!() };
    let types = query.columns().iter().map(|c| c.data_type.to_string()).collect();
    let mut rows = Vec::new();
    while let Some(changes) = query.next(Duration::from_millis(20))? { rows.extend(changes.into_iter().map(|c| c.1)); }
    rows.sort_by_key(|r: &Vec<Option<String>>| format!("{:>6}", r[0].clone().unwrap_or_default()));
    Ok((types, rows))
}
fn run(session: &mut Session, from: &str, exprs: &[String], out: &mut impl Write) {
    let text = sql(from, exprs);
    let got = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| attempt(session, &text)));
    let fail = |out: &mut dyn Write, phase: &str, e: String| {
        writeln!(out, "{{\"from\":{},\"expr\":{},\"phase\":\"{phase}\",\"error\":{}}}", q(&Some(from.into())), q(&Some(exprs[0].clone())), q(&Some(e))).unwrap();
        out.flush().unwrap();
    };
    match got {
        Ok(Ok((types, rows))) => for (i, e) in exprs.iter().enumerate() {
            let vals: Vec<String> = rows.iter().map(|r| q(&r[i + 1])).collect();
            writeln!(out, "{{\"from\":{},\"expr\":{},\"type\":{},\"rows\":[{}]}}", q(&Some(from.into())), q(&Some(e.clone())), q(&Some(types[i + 1].clone())), vals.join(",")).unwrap();
        },
        other if exprs.len() > 1 => { drop(other); let h = exprs.len() / 2; run(session, from, &exprs[..h], out); run(session, from, &exprs[h..], out); }
        Ok(Err(e)) => { let p = if e.is_of_planning() { "plan" } else { "run" }; fail(out, p, e.to_string()) }
        Err(_) => fail(out, "panic", "panic".into()),
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut session = Session::new();
    session.set("table.local-time-zone", "UTC").unwrap();
    session.set("parallelism.default", "1").unwrap();
    for s in std::fs::read_to_string(&a[1]).unwrap().replace("${DATA}", &a[4]).split(";\n") {
        if !s.trim().is_empty() { session.execute_one(s.trim()).map_err(|e| e.to_string()).unwrap(); }
    }
    let mut out = std::io::BufWriter::new(std::fs::File::create(&a[3]).unwrap());
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for line in std::fs::read_to_string(&a[2]).unwrap().lines() {
        let Some((from, e)) = line.split_once('\t') else { continue };
        match groups.iter_mut().find(|g| g.0 == from) { Some(g) => g.1.push(e.into()), None => groups.push((from.into(), vec![e.into()])) }
    }
    for (from, l) in groups { for c in l.chunks(8) { run(&mut session, &from, c, &mut out); } }
}
