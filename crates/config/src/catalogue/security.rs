//! Options of encryption between processes and towards clients.

use crate::option::options;

options! {
    /// Processes of the cluster talk over TLS, and each proves who it is by a certificate that the
    /// trusted ones have signed. Host names are not compared.
    Effective SSL_INTERNAL_ENABLED: bool = "security.ssl.internal.enabled", default "false";

    /// The REST server and its clients talk TLS.
    Effective SSL_REST_ENABLED: bool = "security.ssl.rest.enabled", default "false";

    /// Clients of the REST server prove who they are.
    Effective SSL_REST_AUTHENTICATION_ENABLED: bool =
        "security.ssl.rest.authentication-enabled", default "false";

    /// Clients of the REST server check that its certificate bears its name.
    Effective SSL_VERIFY_HOSTNAME: bool = "security.ssl.verify-hostname", default "true";

    /// Oldest version of TLS that is spoken: TLSv1.2 or TLSv1.3.
    Effective SSL_PROTOCOL: String = "security.ssl.protocol", default "TLSv1.2";

    /// File of keys of all purposes that have none of their own: PEM, with the private key (not
    /// encrypted) and the chain of certificates.
    Effective SSL_KEYSTORE: Option<String> = "security.ssl.keystore";

    /// Password of that file.
    Inapplicable SSL_KEYSTORE_PASSWORD: Option<String> = "security.ssl.keystore-password";

    /// File of trusted certificates of all purposes that have none of their own, in PEM.
    Effective SSL_TRUSTSTORE: Option<String> = "security.ssl.truststore";

    /// Password of that file.
    Inapplicable SSL_TRUSTSTORE_PASSWORD: Option<String> = "security.ssl.truststore-password";

    /// File of keys for the cluster's own connections: PEM, with the private key (not encrypted)
    /// and the chain of certificates.
    Effective SSL_INTERNAL_KEYSTORE: Option<String> = "security.ssl.internal.keystore",
        else ["security.ssl.keystore"];

    /// Password of that file.
    Inapplicable SSL_INTERNAL_KEYSTORE_PASSWORD: Option<String> =
        "security.ssl.internal.keystore-password", else ["security.ssl.keystore-password"];

    /// File of trusted certificates for the cluster's own connections, in PEM. Whoever they sign
    /// is of the cluster, so they should be an authority of its own.
    Effective SSL_INTERNAL_TRUSTSTORE: Option<String> = "security.ssl.internal.truststore",
        else ["security.ssl.truststore"];

    /// Password of that file.
    Inapplicable SSL_INTERNAL_TRUSTSTORE_PASSWORD: Option<String> =
        "security.ssl.internal.truststore-password", else ["security.ssl.truststore-password"];

    /// File of keys of the REST server, and of clients that must prove who they are: PEM, with the
    /// private key (not encrypted) and the chain of certificates.
    Effective SSL_REST_KEYSTORE: Option<String> = "security.ssl.rest.keystore",
        else ["security.ssl.keystore"];

    /// Password of that file.
    Inapplicable SSL_REST_KEYSTORE_PASSWORD: Option<String> = "security.ssl.rest.keystore-password",
        else ["security.ssl.keystore-password"];

    /// File of trusted certificates of the REST server and its clients, in PEM.
    Effective SSL_REST_TRUSTSTORE: Option<String> = "security.ssl.rest.truststore",
        else ["security.ssl.truststore"];

    /// Password of that file.
    Inapplicable SSL_REST_TRUSTSTORE_PASSWORD: Option<String> =
        "security.ssl.rest.truststore-password", else ["security.ssl.truststore-password"];

    /// Records between TaskManagers travel over TLS where the cluster's connections do.
    Effective DATA_SSL_ENABLED: bool = "taskmanager.data.ssl.enabled", default "true";

    /// Programs are handed out over TLS where the cluster's connections are.
    Planned BLOB_SSL_ENABLED: bool = "blob.service.ssl.enabled", default "true";
}
