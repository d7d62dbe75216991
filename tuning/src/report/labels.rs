//! Where names go in a chart: beside their dots, and over no other dot and no other name.

/// Pixels of a character and of a line, about: fonts differ.
const CHARACTER: i32 = 9;
const LINE: i32 = 18;
/// Half the side of the square that a dot takes.
const DOT: i32 = 9;
/// How far names may be from their dots: first beside them, then further away.
const DISTANCES: [i32; 4] = [12, 28, 48, 72];

/// A rectangle: left, top, right, bottom.
type Box = (i32, i32, i32, i32);

/// The left upper corner of the name of each dot, in pixels. `within` is the area of the chart; `busy` are dots
/// without a name.
pub(super) fn places(dots: &[((i32, i32), &str)], busy: &[(i32, i32)], within: Box) -> Vec<(i32, i32)> {
    let square = |(x, y): (i32, i32)| (x - DOT, y - DOT, x + DOT, y + DOT);
    let mut taken: Vec<Box> = dots.iter().map(|(dot, _)| square(*dot)).collect();
    taken.extend(busy.iter().map(|dot| square(*dot)));
    let mut places = Vec::new();
    for (dot, name) in dots {
        let around = around(*dot, name);
        let free =
            |place: &&Box| inside(**place, within) && taken.iter().all(|other| !overlap(**place, *other));
        let place = *around.iter().find(free).unwrap_or(&around[0]);
        taken.push(place);
        places.push((place.0, place.1));
    }
    places
}

/// Where a name could be, the best first.
fn around((x, y): (i32, i32), name: &str) -> Vec<Box> {
    let width = name.chars().count() as i32 * CHARACTER;
    let at = |left: i32, top: i32| (left, top, left + width, top + LINE);
    let all = DISTANCES.iter().flat_map(|far| {
        [
            at(x + far, y - LINE / 2),
            at(x - far - width, y - LINE / 2),
            at(x - width / 2, y - far - LINE),
            at(x - width / 2, y + far),
            at(x + far, y - far - LINE),
            at(x + far, y + far),
            at(x - far - width, y - far - LINE),
            at(x - far - width, y + far),
        ]
    });
    all.collect()
}

fn inside(place: Box, within: Box) -> bool {
    place.0 >= within.0 && place.1 >= within.1 && place.2 <= within.2 && place.3 <= within.3
}

fn overlap(a: Box, b: Box) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_lies_on_a_dot_or_a_name() {
        // Close together, and in a corner.
        let dots = [
            ((500, 200), "recommended"),
            ((512, 204), "lan preset"),
            ((530, 204), "memberlist"),
            ((95, 20), "wan preset"),
        ];
        let busy = [(500, 230)];
        let within = (84, 14, 986, 396);
        let places = places(&dots, &busy, within);
        let width = |name: &str| name.chars().count() as i32 * CHARACTER;
        let names: Vec<Box> =
            places.iter().zip(dots).map(|((x, y), (_, name))| (*x, *y, x + width(name), y + LINE)).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(inside(*name, within), "{name:?}");
            assert!(names[..index].iter().all(|other| !overlap(*name, *other)), "{name:?}");
            for (x, y) in dots.iter().map(|(dot, _)| *dot).chain(busy) {
                assert!(!overlap(*name, (x - DOT, y - DOT, x + DOT, y + DOT)), "{name:?} {x} {y}");
            }
        }
    }
}
