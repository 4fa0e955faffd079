//! From a configuration to the options of object stores, as the crate of that name calls them.
//!
//! A process of a cluster calls [`configure_process`] before it opens a store. Hosts are told the
//! options by their parent ([`set_process_options`]), since they do not see the cluster's secrets
//! otherwise.

use hurtig_config::{
    ConfigError, Configuration,
    catalogue::filesystem::{
        S3_ACCESS_KEY, S3_ENDPOINT, S3_PATH_STYLE_ACCESS, S3_REGION, S3_SECRET_KEY,
    },
};

use crate::set_process_options;

/// The stores of this process are opened as the configuration says.
///
/// # Errors
/// If a value is wrong.
pub fn configure_process(configuration: &Configuration) -> Result<(), ConfigError> {
    let options = store_options(configuration)?;
    if !options.is_empty() {
        set_process_options(options);
    }
    Ok(())
}

/// The options that the configuration sets.
///
/// # Errors
/// If a value is wrong.
pub fn store_options(configuration: &Configuration) -> Result<Vec<(String, String)>, ConfigError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_s3_become_options_of_its_store() {
        let mut configuration = Configuration::new();
        for property in [
            "s3.endpoint=http://127.0.0.1:9000",
            "s3.access-key=me",
            "s3.secret.key=mine",
            "s3.path.style.access=true",
        ] {
            configuration.add_dynamic(property).unwrap();
        }
        let options = store_options(&configuration).unwrap();
        let options: Vec<_> = options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            options,
            [
                ("aws_allow_http", "true"),
                ("aws_endpoint", "http://127.0.0.1:9000"),
                ("aws_access_key_id", "me"),
                ("aws_secret_access_key", "mine"),
                ("aws_virtual_hosted_style_request", "false"),
            ]
        );
        assert!(store_options(&Configuration::new()).unwrap().is_empty());
    }
}
