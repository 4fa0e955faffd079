//! From a configuration to the metrics of the embedded cluster.

use hurtig_config::{ConfigError, ConfigErrors, Configuration};
use hurtig_metrics_reporters::SettingsError;
use hurtig_minicluster::MetricsSettings;
use hurtig_types::chain_text;

/// Takes over what the configuration sets, if it sets anything.
pub(super) fn configure(
    metrics: &mut MetricsSettings,
    configuration: &Configuration,
) -> Result<(), ConfigErrors> {
    let read = MetricsSettings::from_configuration(configuration).map_err(|error| match error {
        SettingsError::Configuration(error) => error,
        other => ConfigError::Contradiction {
            text: chain_text(&other),
            origin: "settings of metrics".to_owned(),
        },
    })?;
    if read != MetricsSettings::default() {
        *metrics = read;
    }
    Ok(())
}
