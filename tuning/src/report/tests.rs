//! The page is well-formed, has nothing outside itself, and lets no text become markup.

use swimring_tooling::environment::Environment;

use super::*;
use crate::objective::{Limit, Measure, Network, Objective, Target};
use crate::outputs::View;
use crate::search::defaults::defaults;
use crate::sweep::Stop;
use crate::sweep::progress::Watch;
use crate::validation::{Effort, recommend};

fn objective(detect_s: f64) -> Objective {
    Objective {
        members: 40,
        network: Network::default(),
        events_per_second: 0.0,
        failures_per_hour: 1.0,
        limits: vec![Limit { measure: Measure::DetectP99, most: detect_s, default: false }],
        minimise: Measure::Bytes,
        target: Target::Swimring,
    }
}

fn html(detect_s: f64, forms_only: bool) -> String {
    let objective = objective(detect_s);
    let effort =
        Effort { threads: 2, seed: 1, core_s: 4.0, time: std::time::Duration::from_secs(600), forms_only };
    let answer = recommend(&objective, &effort, &Stop::default(), &Watch::hidden()).unwrap();
    let compared = defaults(&answer.forms);
    let view = View::of(&objective, &answer, &compared);
    let made = Environment::here(crate::BUILD);
    page(&PageInput { view: &view, command: "tune '<script>' & \"x\"", made: &made }).unwrap()
}

/// Tags that have no end.
const VOID: [&str; 2] = ["meta", "br"];

/// Every tag that is opened is closed, in order.
fn assert_well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = &html[html.find("<html").unwrap()..];
    // Style and script are text.
    let mut page = rest.to_owned();
    for name in ["style", "script"] {
        let (begin, end) =
            (page.find(&format!("<{name}>")).unwrap(), page.find(&format!("</{name}>")).unwrap());
        page.replace_range(begin..end + name.len() + 3, "");
    }
    rest = if rest.is_empty() { rest } else { &page };
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').expect("a tag ends");
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.extend(tag.split_whitespace().next().filter(|name| !VOID.contains(name)));
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

fn assert_self_contained(html: &str) {
    for outside in ["src=", "href=", "url(", "@import", "<script ", "fetch(", "<link", "<iframe"] {
        assert!(!html.contains(outside), "{outside}");
    }
    // The name of the SVG format is no address that anybody fetches.
    let addresses = html.replace("http://www.w3.org/2000/svg", "").replace("github.com/hashicorp", "");
    assert!(!addresses.contains("http://") && !addresses.contains("https://"));
}

#[test]
fn the_page_is_well_formed_and_self_contained() {
    let html = html(6.0, false);
    assert_well_formed(&html);
    assert_self_contained(&html);
    assert_eq!(html.matches("<svg").count(), 4, "what it costs, detection, its tail, spread");
    assert!(html.contains("seed 1") && html.contains("core seconds of simulations"));
    assert!(!html.contains("NaN") && !html.contains(">inf"));
    assert!(html.contains("tune '&lt;script&gt;' &amp; &quot;x&quot;"));
}

/// Green is a limit that is met: nothing else uses the colour.
#[test]
fn green_means_one_thing() {
    let style = include_str!("style.css");
    for line in style.lines().filter(|line| line.contains("--met")) {
        assert!(line.contains(".met{"), "{line}");
    }
    let html = html(6.0, true);
    let page = &html[html.find("<body>").unwrap()..];
    assert!(!page.contains("var(--met)") && !page.contains("#070707"));
}

/// On a narrow screen a table is a list: each cell brings its heading.
#[test]
fn every_cell_knows_its_heading() {
    let html = html(6.0, true);
    assert_eq!(html.matches("<td").count(), html.matches("<td data-label=").count());
    assert!(!html.contains("data-label=\"\""));
}

#[test]
fn a_refusal_is_a_page_too() {
    let html = html(0.02, true);
    assert_well_formed(&html);
    assert_self_contained(&html);
    assert!(html.contains("These limits cannot be met together") && html.contains("is out of reach"));
}

#[test]
fn a_chart_of_its_own_has_no_stand_in_left() {
    let svg = standalone("<svg viewBox=\"0 0 1 1\"><path fill=\"#010101\" stroke=\"#090909\"/></svg>");
    assert!(svg.contains("<rect") && !svg.contains("#010101") && !svg.contains("#090909"), "{svg}");
}
