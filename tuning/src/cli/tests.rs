//! What the command line accepts, what it refuses, and in which words.

use super::*;

fn refusal(flags: &[&str]) -> String {
    let arguments = [PROGRAM].iter().chain(flags).map(OsString::from);
    one_line(&parse(arguments).expect_err("the flags are refused"))
}

#[test]
fn clap_finds_no_fault_in_the_definition() {
    Cli::command().debug_assert();
}

#[test]
fn a_missing_or_unknown_command_is_told_what_there_is() {
    assert!(refusal(&[]).starts_with("say what to do; the commands are: model"), "{}", refusal(&[]));
    assert!(refusal(&["modle"]).starts_with("no command modle; the commands are: model"));
}
