//! Options of the REST server, its clients and the web interface.

use std::time::Duration;

use crate::{option::options, value::MemorySize};

options! {
    /// Address by which clients reach the REST server.
    Effective REST_ADDRESS: Option<String> = "rest.address", else ["jobmanager.rpc.address"];

    /// Port by which clients reach the REST server, and on which it listens unless
    /// `rest.bind-port` says otherwise.
    Effective REST_PORT: u16 = "rest.port", default "8081", was ["web.port"];

    /// Address on which the REST server listens.
    Effective REST_BIND_ADDRESS: Option<String> = "rest.bind-address",
        was ["jobmanager.web.address"], else ["web.address"];

    /// Ports on which the REST server may listen; a number, a list or a range.
    Effective REST_BIND_PORT: String = "rest.bind-port", default "8081", else ["rest.port"];

    /// How long a client waits for a leader.
    Effective REST_AWAIT_LEADER_TIMEOUT: Duration = "rest.await-leader-timeout", default "30 s";

    /// Times that a client tries again.
    Effective REST_RETRY_MAX_ATTEMPTS: u32 = "rest.retry.max-attempts", default "20";

    /// Pause of a client before it tries again.
    Effective REST_RETRY_DELAY: Duration = "rest.retry.delay", default "3 s";

    /// How long a client waits for a connection.
    Effective REST_CONNECTION_TIMEOUT: Duration = "rest.connection-timeout", default "15 s";

    /// A connection that is idle for this long is closed.
    Effective REST_IDLENESS_TIMEOUT: Duration = "rest.idleness-timeout", default "5 min";

    /// Largest request that the server takes.
    Effective REST_SERVER_MAX_CONTENT_LENGTH: MemorySize = "rest.server.max-content-length",
        default "100 mb";

    /// How long results of asynchronous operations are kept, such as those of savepoints.
    Effective REST_ASYNC_STORE_DURATION: Duration = "rest.async.store-duration", default "5 min";

    /// Requests to the REST server must bring this token in the header `Authorization: Bearer`;
    /// clients send it.
    Effective REST_SERVER_BEARER_TOKEN: Option<String> = "rest.server.bearer-token";

    /// Largest answer that a client takes.
    Effective REST_CLIENT_MAX_CONTENT_LENGTH: MemorySize = "rest.client.max-content-length",
        default "100 mb";

    /// Address of the web interface.
    Planned WEB_ADDRESS: Option<String> = "web.address";

    /// Time between two refreshes of what the web interface shows.
    Effective WEB_REFRESH_INTERVAL: Duration = "web.refresh-interval", default "3 s",
        was ["jobmanager.web.refresh-interval"];

    /// How long a request to the web interface may take.
    Effective WEB_TIMEOUT: Duration = "web.timeout", default "10 min";

    /// Programs can be submitted in the web interface.
    Effective WEB_SUBMIT_ENABLED: bool = "web.submit.enable", default "true",
        was ["jobmanager.web.submit.enable"];

    /// Jobs can be cancelled in the web interface.
    Effective WEB_CANCEL_ENABLED: bool = "web.cancel.enable", default "true";

    /// Directory for programs that were uploaded.
    Planned WEB_UPLOAD_DIR: Option<String> = "web.upload.dir",
        was ["jobmanager.web.upload.dir"];

    /// Directory of the web interface's temporary files.
    Planned WEB_TMP_DIR: Option<String> = "web.tmpdir", was ["jobmanager.web.tmpdir"];

    /// Origins that may ask the REST server from a browser.
    Effective WEB_ACCESS_CONTROL_ALLOW_ORIGIN: String = "web.access-control-allow-origin",
        default "*", was ["jobmanager.web.access-control-allow-origin"];

    /// Checkpoints of a job that are remembered.
    Planned WEB_CHECKPOINTS_HISTORY: u32 = "web.checkpoints.history", default "10",
        was ["jobmanager.web.checkpoints.history"];
}
