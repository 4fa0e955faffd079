//! Metrics of several roles in one answer.

use std::time::Duration;

use hurtig_metrics::MetricsSnapshot;
use tokio::task::JoinSet;

use crate::RpcResult;

/// How long a role is waited for. It is left out if it has not answered then: metrics of a cluster
/// are most wanted when one of its processes hangs.
pub const METRICS_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks many at once, and puts together what comes in time.
pub async fn gather_metrics<F>(questions: impl IntoIterator<Item = F>) -> MetricsSnapshot
where
    F: Future<Output = RpcResult<MetricsSnapshot>> + Send + 'static,
{
    let mut asked = JoinSet::new();
    for question in questions {
        asked.spawn(tokio::time::timeout(METRICS_TIMEOUT, question));
    }
    let mut gathered = MetricsSnapshot::default();
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(Ok(metrics))) => gathered.merge(metrics),
            Ok(Ok(Err(error))) => tracing::debug!(%error, "no metrics of one role"),
            Ok(Err(_)) => tracing::debug!("a role has not answered in time for its metrics"),
            Err(error) => tracing::debug!(%error, "no metrics of one role"),
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use hurtig_metrics::{MetricRegistry, MetricsQuery};

    use super::*;
    use crate::RpcError;

    #[tokio::test(start_paused = true)]
    async fn who_fails_or_hangs_is_left_out() {
        let registry = MetricRegistry::default();
        registry.job_manager("h").counter("n").inc();
        let ask = |number| {
            let registry = registry.clone();
            async move {
                match number {
                    0 => Err(RpcError::NotFound("gone".to_owned())),
                    1 => std::future::pending().await,
                    _ => Ok(registry.snapshot(&MetricsQuery::all())),
                }
            }
        };
        let gathered = gather_metrics((0..4).map(ask)).await;
        assert_eq!(gathered.iter().count(), 2);
    }
}
