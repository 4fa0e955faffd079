//! From a configuration to the options of object stores, as the crate of that name calls them.

use hurtig_config::{
    ConfigError, Configuration,
    catalogue::filesystem::{
        S3_ACCESS_KEY, S3_ENDPOINT, S3_PATH_STYLE_ACCESS, S3_REGION, S3_SECRET_KEY,
    },
};

/// The options that the configuration sets.
pub(super) fn options(configuration: &Configuration) -> Result<Vec<(String, String)>, ConfigError> {
    let mut options = Vec::new();
    let mut add = |name: &str, value: String| options.push((name.to_owned(), value));
    if let Some(endpoint) = configuration.get(&S3_ENDPOINT)? {
        // Who writes it has decided that it need not be encrypted.
        if endpoint.starts_with("http://") {
            add("aws_allow_http", "true".to_owned());
        }
        add("aws_endpoint", endpoint);
    }
    if let Some(region) = configuration.get(&S3_REGION)? {
        add("aws_region", region);
    }
    if let Some(key) = configuration.get(&S3_ACCESS_KEY)? {
        add("aws_access_key_id", key);
    }
    if let Some(secret) = configuration.get(&S3_SECRET_KEY)? {
        add("aws_secret_access_key", secret);
    }
    if configuration.get(&S3_PATH_STYLE_ACCESS)? {
        add("aws_virtual_hosted_style_request", "false".to_owned());
    }
    Ok(options)
}
