//! Tests of the layers: which one wins, and where a fault is told.

use clap::Parser;

use super::*;

#[derive(Parser, Debug)]
enum Cooking {
    Fry(Fry),
    Bake {
        #[arg(long)]
        recipe: Option<PathBuf>,
        #[arg(long)]
        crust: Option<String>,
    },
    Wash,
}

#[derive(clap::Args, Debug, PartialEq)]
struct Fry {
    #[arg(long)]
    recipe: Option<PathBuf>,
    #[arg(long, required = true, value_delimiter = ',')]
    fish: Vec<String>,
    #[arg(long, default_value_t = 5)]
    deep_mm: u8,
    #[arg(long, short)]
    quick: bool,
    #[arg(long, value_parser = ["low", "high"])]
    heat: Option<String>,
    #[arg(long)]
    note: Vec<String>,
    #[arg(long)]
    salt: Option<String>,
    #[arg(long)]
    salt_file: Option<PathBuf>,
}

/// Variables and a file.
struct Kitchen<'a>(&'a [(&'a str, &'a str)], &'a str);

impl Sources for Kitchen<'_> {
    fn file_flag(&self, command: &str) -> Option<&'static str> {
        (command != "wash").then_some("recipe")
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    }

    fn read(&self, path: &Path) -> Result<Table, String> {
        assert_eq!(path, Path::new("r.toml"));
        toml::from_str(self.1).map_err(|error| error.message().to_owned())
    }

    fn values(&self, name: &str, value: &Value) -> Option<Result<Vec<String>, String>> {
        let is_text = name == "deep_mm" && value.is_str();
        is_text.then(|| Err("has to be a number".to_owned()))
    }

    fn hint(&self, _: &str, known: &[String]) -> String {
        format!(", of {}", known.len())
    }

    fn alternatives(&self) -> &[&[&str]] {
        &[&["salt", "salt-file"]]
    }
}

fn cooked(line: &[&str], kitchen: &Kitchen<'_>) -> Result<(Fry, Origins), String> {
    use clap::{CommandFactory, FromArgMatches};
    let arguments: Vec<OsString> =
        std::iter::once("cook").chain(line.iter().copied()).map(Into::into).collect();
    match layered(&switchable(Cooking::command()), &arguments, kitchen) {
        Ok((matches, origins)) => match Cooking::from_arg_matches(&matches).unwrap() {
            Cooking::Fry(fry) => Ok((fry, origins)),
            other => Err(format!("{other:?}")),
        },
        Err(Refusal::Clap(error)) => Err(joined(&error, None)),
        Err(Refusal::Faults(faults)) => Err(faults.join("\n")),
    }
}

const RECIPE: &[&str] = &["fry", "--recipe", "r.toml"];

#[test]
fn each_level_wins_over_the_next() {
    let file = "fish = [\"cod\", \"eel\"]\ndeep-mm = 7\nquick = true\nheat = \"low\"\nnote = [\"a\", \"b\"]";
    let (fry, origins) = cooked(RECIPE, &Kitchen(&[], file)).unwrap();
    assert_eq!((fry.fish, fry.deep_mm, fry.quick), (vec!["cod".to_owned(), "eel".to_owned()], 7, true));
    assert_eq!((fry.heat.as_deref(), fry.note), (Some("low"), vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(origins.of("deep-mm").unwrap().to_string(), "--recipe r.toml: deep-mm");

    let environment = [
        ("SWIMRING_FISH", "hake,ray"),
        ("SWIMRING_DEEP_MM", "8"),
        ("SWIMRING_QUICK", "no"),
        ("SWIMRING_HEAT", ""),
        ("SWIMRING_NOTE", "c, d\ne\n"),
    ];
    let (fry, _) = cooked(RECIPE, &Kitchen(&environment, file)).unwrap();
    assert_eq!((fry.fish, fry.deep_mm, fry.quick), (vec!["hake".to_owned(), "ray".to_owned()], 8, false));
    let notes = vec!["c, d".to_owned(), "e".to_owned()];
    assert_eq!((fry.heat.as_deref(), fry.note), (Some("low"), notes), "what is empty is not there");

    let typed = ["--fish", "trout", "--deep-mm", "9", "-q", "--heat", "high", "--note", "f"];
    let (fry, origins) = cooked(&[RECIPE, &typed].concat(), &Kitchen(&environment, file)).unwrap();
    assert_eq!((fry.fish, fry.deep_mm, fry.quick), (vec!["trout".to_owned()], 9, true));
    assert_eq!((fry.heat.as_deref(), fry.note), (Some("high"), vec!["f".to_owned()]));
    assert_eq!(origins, Origins::default());
    let (fry, _) = cooked(&[RECIPE, &["--quick=false"]].concat(), &Kitchen(&[], file)).unwrap();
    assert!(!fry.quick);
}

#[test]
fn the_file_itself_can_be_named_in_the_environment() {
    let kitchen = Kitchen(&[("SWIMRING_RECIPE", "r.toml")], "fish = \"cod\"");
    assert_eq!(cooked(&["fry"], &kitchen).unwrap().0.fish, ["cod"]);
    let other = Kitchen(&[("SWIMRING_RECIPE", "elsewhere.toml")], "fish = \"cod\"");
    assert_eq!(cooked(RECIPE, &other).unwrap().0.fish, ["cod"]);
}

#[test]
fn what_says_the_same_takes_the_place_of_what_is_below() {
    let file = "fish = \"cod\"\nsalt = \"much\"";
    let typed = [RECIPE, &["--salt-file", "shaker"]].concat();
    let (fry, _) = cooked(&typed, &Kitchen(&[("SWIMRING_SALT", "little")], file)).unwrap();
    assert_eq!((fry.salt, fry.salt_file), (None, Some("shaker".into())));
    let (fry, _) = cooked(RECIPE, &Kitchen(&[("SWIMRING_SALT_FILE", "shaker")], file)).unwrap();
    assert_eq!((fry.salt, fry.salt_file), (None, Some("shaker".into())));
}

#[test]
fn every_fault_is_told_where_it_is() {
    let fault =
        |environment: &[(&str, &str)], file: &str| cooked(RECIPE, &Kitchen(environment, file)).unwrap_err();
    for (environment, file, told) in [
        (&[][..], "fihs = 1", "--recipe r.toml: unknown key fihs, of 7"),
        (&[], "recipe = \"x\"", "--recipe r.toml: unknown key recipe, of 7"),
        (&[], "crust = \"x\"", "--recipe r.toml: crust is for bake, and not for fry"),
        (&[], "deep_mm = \"deep\"", "--recipe r.toml: deep_mm has to be a number"),
        (&[], "deep_mm = [1]", "--recipe r.toml: deep_mm takes one value, and is a list"),
        (&[], "heat = \"mild\"", "--recipe r.toml: heat mild: has to be one of low, high"),
        (&[], "quick = 2", "--recipe r.toml: quick 2: has to be true or false"),
        (&[], "fish = [{ a = 1 }]", "--recipe r.toml: fish cannot be a table"),
        (&[("SWIMRING_QUICK", "maybe")], "", "SWIMRING_QUICK maybe: has to be true or false"),
        (
            &[("SWIMRING_DEEP_MM", "300")],
            "heat = \"mild\"",
            "SWIMRING_DEEP_MM 300: 300 is not in 0..=255\n--recipe r.toml: heat mild: has to be one of low, high",
        ),
    ] {
        assert_eq!(fault(environment, file), told);
    }
    let twice = fault(&[], "deep_mm = 1\ndeep-mm = 2");
    assert!(twice.contains("stands there twice"), "{twice}");
}

#[test]
fn what_nobody_says_is_missed_as_ever() {
    let missing = cooked(&["fry"], &Kitchen(&[], "")).unwrap_err();
    assert!(missing.starts_with("the following required arguments were not provided: --fish"), "{missing}");
    assert_eq!(cooked(&["wash"], &Kitchen(&[("SWIMRING_FISH", "cod")], "")).unwrap_err(), "Wash");
    assert!(cooked(&["fry", "--fish", "cod", "-qq"], &Kitchen(&[], "")).is_err());
}

#[test]
fn faults_of_later_checks_are_told_where_the_value_is() {
    let (_, origins) = cooked(RECIPE, &Kitchen(&[("SWIMRING_DEEP_MM", "8")], "fish = \"cod\"")).unwrap();
    for (fault, told) in [
        ("--deep-mm 8: too deep", "SWIMRING_DEEP_MM 8: too deep"),
        ("--fish: has bones", "--recipe r.toml: fish: has bones"),
        ("--heat low: too low", "--heat low: too low"),
        ("something else", "something else"),
    ] {
        assert_eq!(origins.told(fault.to_owned()), told);
    }
}
