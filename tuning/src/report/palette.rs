//! Colours: stand-ins in the charts, and what they are on a light and on a dark screen.
//!
//! A chart is drawn once, with colours that no chart would use. The page's style has a rule for each of them, by
//! attribute, so the reader's choice of light or dark reaches into the charts.

use plotters::style::RGBColor;

/// A colour of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colour {
    /// What charts are drawn with.
    pub(super) stand_in: RGBColor,
    /// Its name in the style.
    pub(super) name: &'static str,
    light: &'static str,
    dark: &'static str,
}

const fn colour(number: u8, name: &'static str, light: &'static str, dark: &'static str) -> Colour {
    Colour { stand_in: RGBColor(number, number, number), name, light, dark }
}

pub(super) const INK: Colour = colour(1, "ink", "#1c2430", "#e8ecf2");
pub(super) const MUTED: Colour = colour(2, "muted", "#5d6878", "#9aa6b6");
pub(super) const GRID: Colour = colour(3, "grid", "#e4e8ee", "#2c3542");
pub(super) const SURFACE: Colour = colour(4, "surface", "#ffffff", "#171d26");
pub(super) const FORMULA: Colour = colour(5, "formula", "#2563c9", "#6ea8ff");
pub(super) const SIMULATED: Colour = colour(6, "simulated", "#d9650b", "#ffa057");
/// Green is a limit that is met, and nothing else.
pub(super) const MET: Colour = colour(7, "met", "#12805c", "#4fd1a1");
pub(super) const CLOUD: Colour = colour(8, "cloud", "#b9c4d3", "#465467");
pub(super) const LIMIT: Colour = colour(9, "limit", "#c02b3c", "#ff7b88");

const ALL: [Colour; 9] = [INK, MUTED, GRID, SURFACE, FORMULA, SIMULATED, MET, CLOUD, LIMIT];

impl Colour {
    fn hex(self) -> String {
        let RGBColor(red, green, blue) = self.stand_in;
        format!("#{red:02X}{green:02X}{blue:02X}")
    }
}

/// The style's part about colours.
pub(super) fn style() -> String {
    let variables = |dark: bool| -> String {
        ALL.iter()
            .map(|colour| format!("--{}:{};", colour.name, if dark { colour.dark } else { colour.light }))
            .collect()
    };
    let mut style = format!(
        ":root{{color-scheme:light dark;--page:#f4f6f9;{}}}\n@media(prefers-color-scheme:dark){{:root{{--page:#0f141b;{}}}}}\n",
        variables(false),
        variables(true)
    );
    for colour in ALL {
        let (hex, name) = (colour.hex(), colour.name);
        style.push_str(&format!(
            "svg [fill=\"{hex}\"]{{fill:var(--{name})}}svg [stroke=\"{hex}\"]{{stroke:var(--{name})}}\n"
        ));
    }
    style
}

/// A chart as a file of its own: its stand-ins are replaced by the light colours, and it has a background.
pub fn standalone(svg: &str) -> String {
    let mut svg = svg.to_owned();
    for colour in ALL {
        svg = svg.replace(&format!("\"{}\"", colour.hex()), &format!("\"{}\"", colour.light));
    }
    match svg.find('>') {
        Some(end) => format!(
            "{}<style>text{{paint-order:stroke;stroke:#ffffff;stroke-width:4px}}</style>\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>{}",
            &svg[..=end],
            &svg[end + 1..]
        ),
        None => svg,
    }
}
