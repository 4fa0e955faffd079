//! The job of the kill test, for the test of this crate.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    hurtig_chaos::job::main()
}
