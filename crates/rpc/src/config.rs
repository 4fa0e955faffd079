//! Settings: where to listen, how to be reached, limits and times.

use std::time::Duration;

use hurtig_config::{
    ConfigError, Configuration,
    catalogue::{job_manager, rpc, task_manager},
    value::{HighAvailabilityType, PortRange},
};
use hurtig_tls::{InternalTls, Protocol, TlsError};

/// Address on which processes listen that say nothing about it.
const LOOPBACK: &str = "127.0.0.1";
/// Address on which a process listens that others are told to reach elsewhere than on this host.
const ALL_INTERFACES: &str = "0.0.0.0";

/// Largest frame that can be configured: its length travels in 32 bits.
const LARGEST_FRAME_BYTES: u64 = 1 << 30;

/// Where a server listens and how others reach it.
#[derive(Clone, Debug)]
pub struct RpcConfig {
    /// Address to listen on.
    pub bind_host: String,
    /// Ports to listen on: the first that is free.
    pub bind_ports: PortRange,
    /// Name or address that others use; not set, the one that is listened on.
    pub host: Option<String>,
    /// Port that others use; not set, the one that is listened on.
    pub port: Option<u16>,
    /// Distinguishes this process from all others, before and beside it. Drawn by the caller.
    pub instance: u128,
    /// Limits and times.
    pub limits: RpcLimits,
    /// Connections are encrypted, and both sides prove who they are.
    pub tls: Option<InternalTls>,
}

impl RpcConfig {
    /// On the loopback interface, any port. For processes of one host, and tests.
    pub fn loopback(instance: u128) -> Self {
        Self {
            bind_host: LOOPBACK.to_owned(),
            bind_ports: PortRange::any(),
            host: None,
            port: None,
            instance,
            limits: RpcLimits::default(),
            tls: None,
        }
    }

    /// The JobManager's: `jobmanager.rpc.address`, `jobmanager.rpc.port`, `jobmanager.bind-host`,
    /// `jobmanager.rpc.bind-port`.
    ///
    /// With high availability others find it by its entry in the leader's record, so it listens on
    /// a port of `high-availability.jobmanager.port`, as Flink's does.
    ///
    /// Without a bind host it listens on all interfaces if it has an address that is not of the
    /// loopback interface, else on that interface alone. (Flink listens on all.)
    ///
    /// # Errors
    /// If an option is malformed, or TLS is asked for and its files cannot be used.
    pub fn job_manager(config: &Configuration, instance: u128) -> Result<Self, TlsError> {
        let address = config.get(&job_manager::ADDRESS)?;
        let port = config.get(&job_manager::RPC_PORT)?;
        let bind_port = config.get(&job_manager::RPC_BIND_PORT)?;
        let is_alone = config.get(&job_manager::HA_MODE)? == HighAvailabilityType::None;
        let (bind_ports, port) = if is_alone {
            // Port 0 stands for any: others are told the one that was found.
            let port_of_others = bind_port.and((port != 0).then_some(port));
            (PortRange::single(bind_port.unwrap_or(port)), port_of_others)
        } else {
            let ports = config.get(&job_manager::HA_JOB_MANAGER_PORT_RANGE)?;
            let port_of_others = bind_port.and(ports.as_single());
            (bind_port.map_or(ports, PortRange::single), port_of_others)
        };
        Ok(Self {
            bind_host: bind_host(config.get(&job_manager::BIND_HOST)?, address.as_deref()),
            bind_ports,
            host: address,
            port,
            instance,
            limits: RpcLimits::from_configuration(config)?,
            tls: InternalTls::from_configuration(config, Protocol::Rpc)?,
        })
    }

    /// A TaskManager's: `taskmanager.host`, `taskmanager.rpc.port` (a number, list or range),
    /// `taskmanager.bind-host`, `taskmanager.rpc.bind-port`. As to the bind host, see
    /// [`RpcConfig::job_manager`].
    pub fn task_manager(config: &Configuration, instance: u128) -> Result<Self, TlsError> {
        let host = config.get(&task_manager::HOST)?;
        let ports = config.get(&task_manager::RPC_PORT)?;
        let bind_port = config.get(&task_manager::RPC_BIND_PORT)?;
        Ok(Self {
            bind_host: bind_host(config.get(&task_manager::BIND_HOST)?, host.as_deref()),
            // What is advertised can only be one port, so a range is for listening.
            port: bind_port.and(ports.as_single()),
            bind_ports: bind_port.map_or(ports, PortRange::single),
            host,
            instance,
            limits: RpcLimits::from_configuration(config)?,
            tls: InternalTls::from_configuration(config, Protocol::Rpc)?,
        })
    }
}

fn bind_host(set: Option<String>, advertised: Option<&str>) -> String {
    let loopback = |host: &str| host == "localhost" || host == "::1" || host.starts_with("127.");
    set.unwrap_or_else(|| match advertised {
        Some(host) if !loopback(host) => ALL_INTERFACES.to_owned(),
        _ => LOOPBACK.to_owned(),
    })
}

/// Limits and times of servers and clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcLimits {
    /// Time for an answer, of calls that do not wait by nature, and for a request to arrive whole
    /// (`pekko.ask.timeout`).
    pub ask_timeout: Duration,
    /// Time for making a connection (`pekko.tcp.timeout`).
    pub connect_timeout: Duration,
    /// Longest message, in bytes; longer ones are refused by both sides (`pekko.framesize`).
    pub frame_size_bytes: usize,
    /// Pause after a connection has broken or could not be made; doubled by each failure in a row
    /// up to [`RpcLimits::longest_retry_pause`] (`pekko.retry-gate-closed-for`).
    pub retry_pause: Duration,
    /// Longest pause.
    pub longest_retry_pause: Duration,
    /// A connection is pinged this often.
    pub keep_alive_interval: Duration,
    /// A connection whose ping is not answered for this long is closed.
    pub keep_alive_timeout: Duration,
    /// Connections of peers that have made an admissible call; more are refused.
    pub max_connections: usize,
    /// Connections that have not made one yet; beyond it the oldest is closed.
    pub max_unproven_connections: usize,
    /// A connection that has made no admissible call for this long is closed.
    pub proof_timeout: Duration,
    /// Calls under way on one connection; the client keeps others back.
    pub max_calls_per_connection: u32,
    /// Calls under way in a server; others are refused.
    pub max_calls: usize,
    /// Bytes of requests that are being received, in all; beyond it reading waits.
    pub max_request_bytes: usize,
    /// Exported gateways; others cannot be exported.
    pub max_exports: usize,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            ask_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(20),
            frame_size_bytes: 10 << 20,
            retry_pause: Duration::from_millis(50),
            longest_retry_pause: Duration::from_secs(1),
            keep_alive_interval: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(20),
            max_connections: 4096,
            max_unproven_connections: 256,
            proof_timeout: Duration::from_secs(10),
            max_calls_per_connection: 1024,
            max_calls: 16 << 10,
            max_request_bytes: 256 << 20,
            max_exports: 64 << 10,
        }
    }
}

impl RpcLimits {
    /// Those that can be configured; the others as by default.
    pub fn from_configuration(config: &Configuration) -> Result<Self, ConfigError> {
        let defaults = Self::default();
        let frame_size_bytes = config.get(&rpc::FRAMESIZE)?.bytes().min(LARGEST_FRAME_BYTES);
        let frame_size_bytes = frame_size_bytes as usize;
        Ok(Self {
            ask_timeout: config.get(&rpc::ASK_TIMEOUT)?,
            connect_timeout: config.get(&rpc::TCP_TIMEOUT)?,
            frame_size_bytes,
            retry_pause: Duration::from_millis(config.get(&rpc::RETRY_GATE_CLOSED_FOR)?),
            // One message of the largest size must always fit.
            max_request_bytes: defaults.max_request_bytes.max(frame_size_bytes),
            ..defaults
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(entries: &[(&str, &str)]) -> Configuration {
        let mut config = Configuration::new();
        for (key, value) in entries {
            config.set_text(key, value).unwrap();
        }
        config
    }

    #[test]
    fn a_process_without_address_listens_on_the_loopback_interface_alone() {
        let config = RpcConfig::job_manager(&Configuration::new(), 1).unwrap();
        assert_eq!((config.bind_host.as_str(), config.port), ("127.0.0.1", None));
        assert_eq!(config.bind_ports, PortRange::single(6123));
        let config = configured(&[("jobmanager.rpc.address", "jm.example")]);
        assert_eq!(RpcConfig::job_manager(&config, 1).unwrap().bind_host, "0.0.0.0");
        let config =
            configured(&[("taskmanager.host", "a"), ("taskmanager.bind-host", "10.0.0.7")]);
        assert_eq!(RpcConfig::task_manager(&config, 1).unwrap().bind_host, "10.0.0.7");
    }

    #[test]
    fn behind_a_translated_port_others_are_told_the_outer_one() {
        let config =
            configured(&[("jobmanager.rpc.port", "7000"), ("jobmanager.rpc.bind-port", "6200")]);
        let config = RpcConfig::job_manager(&config, 1).unwrap();
        assert_eq!((config.bind_ports, config.port), (PortRange::single(6200), Some(7000)));
        let config = configured(&[("taskmanager.rpc.port", "50100-50200,50300")]);
        let config = RpcConfig::task_manager(&config, 1).unwrap();
        assert_eq!((config.bind_ports.ports().count(), config.port), (102, None));
    }

    #[test]
    fn limits_follow_flinks_keys() {
        let config = configured(&[("pekko.ask.timeout", "3 s"), ("pekko.framesize", "512 mb")]);
        let limits = RpcLimits::from_configuration(&config).unwrap();
        assert_eq!(limits.ask_timeout, Duration::from_secs(3));
        assert_eq!(limits.frame_size_bytes, 512 << 20);
        assert_eq!(limits.max_request_bytes, 512 << 20);
        let defaults = RpcLimits::from_configuration(&Configuration::new()).unwrap();
        assert_eq!(defaults, RpcLimits::default());
    }
}
