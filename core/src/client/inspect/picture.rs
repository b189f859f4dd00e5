//! The chain of trust as a picture: a card for each role, to the right of the
//! one that says which keys may sign for it.

use super::shown::{day, short, shown};
use super::{InspectedRole, Inspection};
use crate::metadata::role;

const STYLE: &str = include_str!("picture.css");

// Lengths in pixels.
const MARGIN: usize = 20;
const HEADING: usize = 64;
const CARD: usize = 248;
/// Between a card and those to its right.
const ACROSS: usize = 44;
/// Between cards above each other.
const BETWEEN: usize = 16;
const LINE: usize = 18;
const INSET: usize = 16;
/// From the top of a card to the middle of its first line.
const MIDDLE: usize = 20;
const ROUND: usize = 8;

/// Longest name and list of prefixes on a card, in characters.
const LONGEST: usize = 29;
/// Most keys of a role that are drawn one by one.
const MOST_KEYS: usize = 8;

/// A card and where it stands.
struct Card<'a> {
    role: &'a InspectedRole,
    x: usize,
    y: usize,
    lines: Vec<Line>,
}

struct Line {
    class: &'static str,
    text: String,
    /// What the mouse is told, if there is more to say.
    title: Option<String>,
}

impl Inspection {
    /// The chain of trust as a picture: a self-contained SVG file with a card for
    /// each role, its version, expiry, number of tags and keys. It is readable on
    /// light and on dark pages, and nothing in it runs or is loaded from elsewhere.
    pub fn to_svg(&self) -> String {
        let cards = self.cards();
        let right = cards.iter().map(|card| card.x + CARD).max().unwrap_or_default();
        // Nine pixels for a letter of the heading.
        let width = right.max(2 * MARGIN + 9 * shown(&self.name).chars().count()) + MARGIN;
        let height = cards.iter().map(Card::bottom).max().unwrap_or(HEADING) + MARGIN;
        let name = escaped(&self.name);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tagtrust\" role=\"img\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <title>Chain of trust of {name}</title>\n<style>\n{STYLE}</style>\n\
             <rect class=\"page\" width=\"{width}\" height=\"{height}\" rx=\"{ROUND}\"/>\n\
             <text class=\"repository\" x=\"{MARGIN}\" y=\"30\">{name}</text>\n"
        );
        if let Some(first) = self.first_to_expire() {
            let (name, expires) = (escaped(&first.name), first.expires.map(day).unwrap_or_default());
            out += &format!("<text x=\"{MARGIN}\" y=\"50\">First to expire: {name}, {expires}</text>\n");
        }
        let mut parents: Vec<&Card<'_>> = Vec::new();
        for card in &cards {
            parents.truncate(card.role.depth());
            if let Some(parent) = parents.last() {
                out += &way(parent, card);
            }
            parents.push(card);
        }
        for card in &cards {
            out += &card.draw();
        }
        out + "</svg>\n"
    }

    /// The first role below another stands beside it, and no way crosses one.
    fn cards(&self) -> Vec<Card<'_>> {
        let first = self.first_to_expire();
        let mut cards: Vec<Card<'_>> = Vec::new();
        // Where there is room in each column.
        let mut free: Vec<usize> = Vec::new();
        let below = self.roles.iter().skip(1).map(Some).chain([None]);
        for (role, next) in self.roles.iter().zip(below) {
            let depth = role.depth();
            free.resize(free.len().max(depth + 2), HEADING);
            let beside = cards.last().filter(|above| above.role.depth() < depth).map(|above| above.y);
            let columns = match next.is_some_and(|next| next.depth() > depth) {
                true => free.len(),
                false => 1,
            };
            let room = free.iter().skip(depth).take(columns).copied().max();
            let y = room.max(beside).unwrap_or(HEADING);
            let x = MARGIN + depth * (CARD + ACROSS);
            let card = Card { role, x, y, lines: lines(role, first == Some(role)) };
            if let Some(free) = free.get_mut(depth) {
                *free = card.bottom() + BETWEEN;
            }
            cards.push(card);
        }
        cards
    }
}

impl Card<'_> {
    fn bottom(&self) -> usize {
        self.y + 2 * MIDDLE + self.lines.len() * LINE
    }

    fn draw(&self) -> String {
        let Self { role, x, y, lines } = self;
        let excluded = if role.excluded.is_some() { " excluded" } else { "" };
        let height = self.bottom() - y;
        let mut out = format!(
            "<g class=\"{}{excluded}\" transform=\"translate({x} {y})\">\n<title>{}</title>\n\
             <rect class=\"card\" width=\"{CARD}\" height=\"{height}\" rx=\"{ROUND}\"/>\n\
             <rect class=\"bar\" y=\"{ROUND}\" width=\"4\" height=\"{}\"/>\n\
             <text class=\"name\" x=\"{INSET}\" y=\"25\">{}</text>\n",
            colour(&role.name),
            escaped(&role.name),
            height - 2 * ROUND,
            escaped(&cut(&role.name)),
        );
        if let Some(version) = role.version {
            let right = CARD - INSET;
            out += &format!("<text class=\"end\" x=\"{right}\" y=\"25\">v{version}</text>\n");
        }
        for (number, Line { class, text, title }) in (1..).zip(lines) {
            let baseline = 25 + 3 + number * LINE;
            let middle = baseline - 4;
            let title =
                title.as_ref().map(|title| format!("<title>{}</title>", escaped(title))).unwrap_or_default();
            let (dot, x) = match *class {
                "key" => ("signed", INSET + 14),
                "key absent" => ("unsigned", INSET + 14),
                _ => ("", INSET),
            };
            if !dot.is_empty() {
                let x = INSET + 4;
                out += &format!("<circle class=\"{dot}\" cx=\"{x}\" cy=\"{middle}\" r=\"3.5\"/>\n");
            }
            out += &format!(
                "<text class=\"{class}\" x=\"{x}\" y=\"{baseline}\">{title}{}</text>\n",
                escaped(text)
            );
        }
        out + "</g>\n"
    }
}

/// What a card says below the role's name.
fn lines(role: &InspectedRole, is_first_to_expire: bool) -> Vec<Line> {
    let line = |class, text: String| Line { class, text, title: None };
    let mut lines = Vec::new();
    match role.expires.map(day) {
        Some(day) if is_first_to_expire => lines.push(line("soon", format!("expires {day}"))),
        Some(day) => lines.push(line("", format!("expires {day}"))),
        None => lines.push(line("", "not published".into())),
    }
    if !role.paths.is_empty() && role.version.is_some() {
        lines.push(line("", plural(role.tags, "tag")));
    }
    if role.paths.iter().all(|path| !path.is_empty()) && !role.paths.is_empty() {
        let paths = role.paths.iter().map(|path| format!("{path}*")).collect::<Vec<_>>().join(", ");
        lines.push(Line { class: "", text: cut(&format!("only {paths}")), title: Some(paths) });
    }
    if let Some(reason) = &role.excluded {
        lines.push(Line { class: "bad", text: "does not count".into(), title: Some(reason.clone()) });
    }
    lines.push(line("", format!("{} of {} must sign:", role.threshold, plural(role.keys.len(), "key"))));
    for key in role.keys.iter().take(MOST_KEYS) {
        let class = if key.signed { "key" } else { "key absent" };
        lines.push(Line { class, text: short(&key.id), title: Some(key.id.clone()) });
    }
    if let Some(more @ 1..) = role.keys.len().checked_sub(MOST_KEYS) {
        lines.push(line("", format!("and {more} more")));
    }
    lines
}

/// From the right of a card to the left of one that it vouches for.
fn way(from: &Card<'_>, to: &Card<'_>) -> String {
    let (x, y) = (from.x + CARD, from.y + MIDDLE);
    let (end_x, end_y) = (to.x, to.y + MIDDLE);
    if y == end_y {
        return format!("<path class=\"way\" d=\"M{x} {y}H{end_x}\"/>\n");
    }
    let turn = x + ACROSS / 2;
    format!(
        "<path class=\"way\" d=\"M{x} {y}H{}Q{turn} {y} {turn} {}V{}Q{turn} {end_y} {} {end_y}H{end_x}\"/>\n",
        turn - ROUND,
        y + ROUND,
        end_y - ROUND,
        turn + ROUND,
    )
}

fn colour(name: &str) -> &'static str {
    match name {
        role::ROOT => "root",
        role::TARGETS => "targets",
        role::SNAPSHOT | role::TIMESTAMP => "server",
        _ => "signer",
    }
}

fn plural(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn cut(text: &str) -> String {
    let text = shown(text);
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    let entity = |c: char| match c {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '"' => "&quot;".into(),
        _ => c.to_string(),
    };
    shown(text).chars().map(entity).collect()
}
