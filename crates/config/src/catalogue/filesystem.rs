//! Options of file systems.

use crate::option::options;

options! {
    /// The server that speaks S3, as a URL. Amazon's own if it is not set.
    Effective S3_ENDPOINT: Option<String> = "s3.endpoint";

    /// The region of the buckets.
    Effective S3_REGION: Option<String> = "s3.endpoint.region", was ["s3.region"];

    /// Who asks. Without it the environment tells, as with Amazon's own tools.
    Effective S3_ACCESS_KEY: Option<String> = "s3.access-key", was ["s3.access.key"];

    /// The secret that belongs to the access key.
    Effective S3_SECRET_KEY: Option<String> = "s3.secret-key", was ["s3.secret.key"];

    /// The bucket is part of the path and not of the host's name, as most servers other than
    /// Amazon's want it.
    Effective S3_PATH_STYLE_ACCESS: bool = "s3.path.style.access", default "false",
        was ["s3.path-style-access"];
}
