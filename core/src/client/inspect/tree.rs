//! The chain of trust as text: a tree of roles, and a table beside it.

use super::shown::{day, key_ids, shown, tags};
use super::{InspectedRole, Inspection};

/// Between columns.
const GAP: &str = "  ";

impl Inspection {
    /// The chain of trust as a tree: each role below the one that says which keys
    /// may sign for it. Keys that may sign and have not stand in parentheses.
    ///
    /// Keys that would go beyond `width` characters stand on lines of their own.
    pub fn to_tree(&self, width: usize) -> String {
        let branches = branches(&self.roles);
        let titles = ["ROLE", "VERSION", "EXPIRES", "TAGS", "NEEDED"].map(str::to_owned);
        let rows: Vec<[String; 5]> =
            self.roles.iter().zip(&branches).map(|(role, (branch, _))| row(role, branch)).collect();
        let width_of = |column: usize| {
            let cells = std::iter::once(&titles).chain(&rows).filter_map(|cells| cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..titles.len()).map(width_of).collect();
        let table = |cells: &[String; 5]| -> String {
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}{GAP}")).collect()
        };

        let heading = table(&titles);
        let indent = heading.chars().count();
        let mut out = format!("{}\n\n{heading}KEYS\n", shown(&self.name));
        for (role, ((_, below), cells)) in self.roles.iter().zip(branches.iter().zip(&rows)) {
            let mut keys = lines(&key_ids(role), width.saturating_sub(indent)).into_iter();
            let first = table(cells) + &keys.next().unwrap_or_default();
            out += &format!("{}\n", first.trim_end());
            for more in keys {
                out += &format!("{below:indent$}{more}\n");
            }
            if let Some(reason) = &role.excluded {
                out += &format!("{below}does not count: {}\n", shown(reason));
            }
        }
        if let Some(role) = self.first_to_expire() {
            let expires = role.expires.map(day).unwrap_or_default();
            out += &format!("\nFirst to expire: {}, {expires}\n", shown(&role.name));
        }
        out
    }
}

fn row(role: &InspectedRole, branch: &str) -> [String; 5] {
    [
        format!("{branch}{}", shown(&role.name)),
        role.version.map(|version| version.to_string()).unwrap_or_default(),
        role.expires.map_or("not published".into(), day),
        tags(role),
        format!("{} of {}", role.threshold, role.keys.len()),
    ]
}

/// For each role what leads to it, and what leads past it to those below.
fn branches(roles: &[InspectedRole]) -> Vec<(String, String)> {
    // From the end: at which depths something comes below the same parent.
    let mut more: Vec<bool> = Vec::new();
    let mut branches: Vec<(String, String)> = Vec::new();
    for role in roles.iter().rev() {
        let depth = role.depth();
        let has_children = more.len() > depth + 1;
        more.truncate(depth + 1);
        more.resize(depth + 1, false);
        let above: String = more.iter().take(depth).skip(1).map(|more| bar(*more)).collect();
        let (branch, beside) = match (depth, more.last()) {
            (0, _) => ("", ""),
            (_, Some(true)) => ("├─ ", bar(true)),
            _ => ("└─ ", bar(false)),
        };
        branches.push((format!("{above}{branch}"), format!("{above}{beside}{}", bar(has_children))));
        if let Some(last) = more.last_mut() {
            *last = true;
        }
    }
    branches.reverse();
    branches
}

fn bar(goes_on: bool) -> &'static str {
    if goes_on { "│  " } else { "   " }
}

/// As many on a line as there is room for, at least one.
fn lines(words: &[String], room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 2 + word.len() <= room => *line += &format!(", {word}"),
            _ => lines.push(word.clone()),
        }
    }
    lines
}
