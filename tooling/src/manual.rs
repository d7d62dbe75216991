//! Completions for shells and pages for `man`, made from the command line itself: for every program with commands.

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

/// The arguments of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArguments {
    /// The shell to complete in
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The arguments of `man`.
#[derive(Args, Clone, Debug)]
pub struct ManArguments {
    /// The command whose page to print; without it, the program's
    pub command: Option<String>,
}

impl CompletionsArguments {
    /// The script for the shell: flags, commands, and the choices of flags that have a fixed set.
    pub fn script(&self, mut program: Command) -> String {
        let name = program.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, name, &mut script);
        String::from_utf8_lossy(&script).into_owned()
    }
}

impl ManArguments {
    /// The page, as roff.
    ///
    /// # Errors
    /// One line, if there is no such command.
    pub fn page(&self, mut program: Command) -> Result<String, String> {
        program.build();
        let command = match &self.command {
            None => program,
            Some(name) => match program.find_subcommand(name) {
                Some(command) => command.clone(),
                None => {
                    let known: Vec<&str> = program.get_subcommands().map(Command::get_name).collect();
                    return Err(format!("man: no command {name}; the commands are: {}", known.join(", ")));
                }
            },
        };
        let mut page = Vec::new();
        Man::new(command).render(&mut page).map_err(|error| format!("man: {error}"))?;
        Ok(String::from_utf8_lossy(&page).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, ValueEnum};

    fn program() -> Command {
        let driver =
            Arg::new("driver").long("driver").value_parser(["io_uring", "mmsg"]).help("What moves it");
        Command::new("ring").subcommand(Command::new("run").about("Runs it").arg(driver))
    }

    #[test]
    fn every_shell_gets_the_flags_and_their_choices() {
        for shell in Shell::value_variants() {
            let script = CompletionsArguments { shell: *shell }.script(program());
            for word in ["ring", "run", "driver"] {
                assert!(script.contains(word), "{shell}: no {word} in\n{script}");
            }
        }
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = CompletionsArguments { shell }.script(program());
            assert!(script.contains("io_uring") && script.contains("mmsg"), "{shell}:\n{script}");
        }
    }

    #[test]
    fn each_command_has_a_page_and_others_are_refused() {
        let page =
            |command: Option<&str>| ManArguments { command: command.map(str::to_owned) }.page(program());
        let whole = page(None).unwrap();
        assert!(whole.contains(".TH ring") && whole.contains("Runs it"), "{whole}");
        let run = page(Some("run")).unwrap();
        assert!(run.contains("io_uring") && run.contains("What moves it"), "{run}");
        assert_eq!(
            page(Some("rnu")).unwrap_err(),
            "man: no command rnu; the commands are: run, help".to_owned()
        );
    }
}
