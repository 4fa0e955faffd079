//! A check on every edge between operators in debug builds: watermarks never go back, nothing
//! comes after the end. It costs nothing in release builds.
//!
//! A violation is an error of the engine (or of an operator that breaks the contract), reported as
//! [`FlowError::internal`], never a panic.

#[cfg(debug_assertions)]
use hurtig_types::{FlowError, MIN_TIMESTAMP};
use hurtig_types::{FlowResult, Watermark};

/// The state of the check on one edge.
#[derive(Debug)]
pub struct EdgeCheck {
    #[cfg(debug_assertions)]
    last_watermark: i64,
    #[cfg(debug_assertions)]
    ended: bool,
}

impl Default for EdgeCheck {
    fn default() -> Self {
        Self {
            #[cfg(debug_assertions)]
            last_watermark: MIN_TIMESTAMP,
            #[cfg(debug_assertions)]
            ended: false,
        }
    }
}

#[cfg(debug_assertions)]
impl EdgeCheck {
    /// Records pass.
    pub fn on_batch(&mut self) -> FlowResult {
        self.not_ended("records")
    }

    /// A watermark passes.
    pub fn on_watermark(&mut self, watermark: Watermark) -> FlowResult {
        self.not_ended("a watermark")?;
        if watermark.0 < self.last_watermark {
            return Err(FlowError::internal(format!(
                "watermark went back from {} to {}",
                self.last_watermark, watermark.0
            )));
        }
        self.last_watermark = watermark.0;
        Ok(())
    }

    /// The producer has finished.
    pub fn on_end(&mut self) {
        self.ended = true;
    }

    fn not_ended(&self, what: &str) -> FlowResult {
        if self.ended {
            return Err(FlowError::internal(format!("{what} came after the end of input")));
        }
        Ok(())
    }
}

#[cfg(not(debug_assertions))]
#[allow(missing_docs, clippy::unused_self, clippy::unnecessary_wraps)]
impl EdgeCheck {
    #[inline(always)]
    pub fn on_batch(&mut self) -> FlowResult {
        Ok(())
    }

    #[inline(always)]
    pub fn on_watermark(&mut self, _: Watermark) -> FlowResult {
        Ok(())
    }

    #[inline(always)]
    pub fn on_end(&mut self) {}
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn violations_are_errors() {
        let mut check = EdgeCheck::default();
        check.on_watermark(Watermark(5)).unwrap();
        assert!(check.on_watermark(Watermark(4)).unwrap_err().to_string().contains("went back"));
        check.on_end();
        assert!(check.on_batch().unwrap_err().to_string().contains("after the end"));
    }
}
