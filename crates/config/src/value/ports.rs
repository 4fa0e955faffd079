//! Ports to listen on: `0` for any, `6123`, `50100-50200`, or several of these with commas.

use std::{fmt, ops::RangeInclusive};

use super::{ConfigValue, ValueError};

/// Ports of which the first that is free is taken. Port 0 stands for any that is free.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortRange(Vec<RangeInclusive<u16>>);

/// Ranges in one list.
const MOST_RANGES: usize = 256;

impl PortRange {
    /// Any port that is free.
    pub fn any() -> Self {
        Self::single(0)
    }

    /// One port.
    pub fn single(port: u16) -> Self {
        Self(vec![port..=port])
    }

    /// The ports, in the order in which they are tried.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// The port, if it is one and not any.
    pub fn as_single(&self) -> Option<u16> {
        let mut ports = self.ports();
        ports.next().filter(|port| *port != 0 && ports.next().is_none())
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl ConfigValue for PortRange {
    fn type_name() -> &'static str {
        "String"
    }

    fn expected() -> String {
        "a port, 0 for any, a range such as 50100-50200, or several of these with commas".to_owned()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let port = |text: &str| {
            let not_one = || ValueError(format!("{:?} is no port", text.trim()));
            text.trim().parse::<u16>().map_err(|_| not_one())
        };
        let range = |part: &str| match part.split_once('-') {
            None => port(part).map(|port| port..=port),
            Some((first, last)) => {
                let (first, last) = (port(first)?, port(last)?);
                if first > last || first == 0 {
                    return Err(ValueError(format!("{:?} is no range of ports", part.trim())));
                }
                Ok(first..=last)
            }
        };
        if text.split(',').count() > MOST_RANGES {
            return Err(ValueError(format!("more than {MOST_RANGES} ranges of ports")));
        }
        text.split(',').map(range).collect::<Result<_, _>>().map(Self)
    }

    fn to_text(&self) -> String {
        let parts = self.0.iter().map(|range| match (range.start(), range.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        });
        parts.collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_lists_and_ranges_are_read_and_written() {
        let check = |text: &str, ports: &[u16], written: &str| {
            let range = PortRange::parse(text).unwrap();
            assert_eq!(range.ports().collect::<Vec<_>>(), ports, "{text}");
            assert_eq!(range.to_text(), written);
            assert_eq!(PortRange::parse(written).unwrap(), range);
        };
        check("0", &[0], "0");
        check(" 6123 ", &[6123], "6123");
        check("50100-50102, 50200", &[50100, 50101, 50102, 50200], "50100-50102,50200");
        check("65535-65535", &[65535], "65535");
        for bad in ["", "a", "1,", "70000", "5-4", "0-3", "-1", "1-2-3"] {
            assert!(PortRange::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(PortRange::any().as_single(), None);
        assert_eq!(PortRange::single(7).as_single(), Some(7));
    }
}
