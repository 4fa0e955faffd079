//! `hurtig config`: what an option does, what it is set to, and where.

use hurtig_config::{CONFIG_FILE_NAME, ConfigOrigin, Configuration, Explanation};

use crate::{CommandResult, Outcome, args::ConfigCommand};

pub(crate) fn run(command: &ConfigCommand) -> CommandResult {
    let mut configuration = Configuration::new();
    if let Some(directory) = &command.conf_dir {
        configuration.load(&directory.join(CONFIG_FILE_NAME))?;
    }
    for property in &command.properties {
        configuration.add_dynamic(property)?;
    }
    if let Some(key) = &command.key {
        let explanation = configuration.explain(key)?;
        return Outcome::of(&explanation.to_json(), command.json, |_| explanation.to_text());
    }
    let mut all = configuration.list();
    if command.set {
        all.retain(|explanation| explanation.origin != ConfigOrigin::Default);
    }
    let json: Vec<_> = all.iter().map(Explanation::to_json).collect();
    Outcome::of(&json, command.json, |_| {
        all.iter().map(|explanation| explanation.to_line() + "\n").collect()
    })
}
