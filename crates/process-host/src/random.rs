//! Numbers that nobody guesses: ids of processes, and secrets between them.

use std::{
    fs::File,
    io::{self, Read},
};

/// 128 random bits, from the kernel.
///
/// # Errors
/// If the system has no source of randomness.
pub fn random_bits() -> io::Result<u128> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u128::from_le_bytes(bytes))
}
