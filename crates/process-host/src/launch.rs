//! The child's side: to end when the parent ends.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    process::{Command, exit},
};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Exit code of one whose parent has gone.
const PARENT_GONE: i32 = 70;

/// Why a launcher cannot become the program.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// It was not started as a launcher.
    #[error("a launcher needs the id of its parent and a program")]
    Arguments,
    /// The kernel refused.
    #[error("cannot tie the process to its parent")]
    Tie(#[source] io::Error),
    /// There is no such program, or it cannot be executed.
    #[error("cannot execute {program:?}")]
    Execute {
        /// The program.
        program: OsString,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Asks the kernel to kill this process when the thread that started it has gone, which must
/// belong to the process `parent`. If that has gone already, this process ends.
fn tie_to(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have gone before the kernel was asked.
    if getppid() != Some(parent) {
        exit(PARENT_GONE);
    }
    Ok(())
}

/// Ties this process to its parent, then becomes another program. The arguments are the parent's
/// id, the program, and the program's arguments. Returns only if that fails.
pub fn exec_as_child(arguments: impl IntoIterator<Item = OsString>) -> LaunchError {
    let mut arguments = arguments.into_iter();
    let parent = arguments.next().and_then(|id| id.to_str()?.parse().ok());
    let (Some(parent), Some(program)) = (parent.and_then(Pid::from_raw), arguments.next()) else {
        return LaunchError::Arguments;
    };
    if let Err(error) = tie_to(parent) {
        return LaunchError::Tie(error);
    }
    let cause = Command::new(&program).args(arguments).exec();
    LaunchError::Execute { program, cause }
}

/// Watches the end of the parent from a thread: standard input ends with it. Then `at_end` is
/// called, which is expected to end the process.
///
/// # Errors
/// If there is no thread to be had.
pub fn follow_parent(at_end: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let watch = move || {
        let mut nothing = [0; 64];
        loop {
            match io::Read::read(&mut io::stdin().lock(), &mut nothing) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        at_end();
    };
    std::thread::Builder::new()
        .name("hurtig-parent".to_owned())
        .stack_size(256 << 10)
        .spawn(watch)
        .map(|_| ())
}
