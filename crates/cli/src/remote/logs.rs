//! `hurtig logs`.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use super::{ask, connect};
use crate::{CommandResult, Outcome, args::remote::LogsCommand};

pub(crate) fn logs(command: &LogsCommand) -> CommandResult {
    let (client, _) = connect(&command.cluster)?;
    let of = command.taskmanager.as_deref();
    let Some(name) = &command.name else {
        let list = ask(client.logs(of))?;
        return Outcome::of(&list, command.cluster.json, |list| {
            let mut text = String::new();
            for log in &list.logs {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{} {} bytes", log.name, log.size);
            }
            if text.is_empty() { "no logs\n".to_owned() } else { text }
        });
    };
    let mut out = io::stdout().lock();
    ask(client.read_log(of, name, |chunk| out.write_all(chunk)))?;
    out.flush()?;
    Ok(Outcome::text(""))
}
