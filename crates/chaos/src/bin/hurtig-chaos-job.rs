//! The job of the kill test as a program of its own, as a user would write it.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    hurtig_chaos::job::main()
}
