//! Rust source text as `layers` and `sizes` see it: without comments, literals and tests.
//!
//! A scanner, no parser: a parser crate would take longer to compile than the rest of xtask, and
//! rustfmt has already made the text regular.

/// A source file's text, reduced.
pub(crate) struct Code {
    /// The text with comments, literals and test modules blanked; every line is still there.
    text: String,
    /// How many lines are outside test modules.
    pub(crate) lines: usize,
}

/// A function and where it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of its `fn`, from 1.
    pub(crate) line: usize,
    /// Lines from `fn` to the closing brace, both included.
    pub(crate) lines: usize,
}

/// A path or a single word as the code names it, `use` trees spread out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its segments: `crate`, `model`, `FIELDS`.
    pub(crate) segments: Vec<String>,
    /// The line, from 1.
    pub(crate) line: usize,
}

impl Code {
    /// Reduces a file's text.
    pub(crate) fn of(text: &str) -> Self {
        let (text, test_lines) = without_tests(&blanked(text));
        let lines = text.lines().count().saturating_sub(test_lines);
        Self { text, lines }
    }

    /// Every function with a body, outside tests.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for (at, _) in self.text.match_indices("fn ") {
            let begins_word = !self.text.get(..at).is_some_and(|t| t.ends_with(is_word));
            let rest = self.text.get(at + 3..).unwrap_or_default();
            let name: String = rest.chars().take_while(|&c| is_word(c)).collect();
            // The signature ends at a brace, or at a semicolon where there is no body.
            let body = rest
                .find(['{', ';'])
                .filter(|&at| rest[at..].starts_with('{'));
            if let (true, false, Some(body)) = (begins_word, name.is_empty(), body) {
                let end = at + 3 + block_end(rest, body);
                let (line, last) = (line_at(&self.text, at), line_at(&self.text, end));
                functions.push(Function {
                    name,
                    line,
                    lines: last - line + 1,
                });
            }
        }
        functions
    }

    /// Every path and word, outside tests.
    pub(crate) fn names(&self) -> Vec<Named> {
        let mut names = Vec::new();
        let mut rest = self.text.as_str();
        let mut line = 1;
        while let Some(start) = rest.find(is_word) {
            line += rest[..start].matches('\n').count();
            rest = &rest[start..];
            let end = rest.find(|c| !is_word(c) && c != ':').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let mut taken = end;
            if word == "use" {
                taken += after.find(';').unwrap_or(after.len());
                let mut paths = Vec::new();
                spread("", &after[..taken - end], &mut paths);
                names.extend(paths.iter().map(|path| named(path, line)));
            } else {
                names.push(named(word, line));
            }
            line += rest[..taken].matches('\n').count();
            rest = &rest[taken..];
        }
        names
    }
}

/// Whether `c` may be part of a word.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The line, from 1, of the octet at `at`.
fn line_at(text: &str, at: usize) -> usize {
    text.get(..at)
        .map_or(1, |before| before.matches('\n').count() + 1)
}

/// A path's text as its segments.
fn named(path: &str, line: usize) -> Named {
    let segments = path.split("::").map(|s| s.trim_matches(':').to_owned());
    Named {
        segments: segments.filter(|s| !s.is_empty()).collect(),
        line,
    }
}

/// Spreads a `use` tree: `a::{b, c::{d}}` gives `a::b` and `a::c::d`.
fn spread(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let mut depth = 0_usize;
    let branches = tree.split(|c| {
        depth = match c {
            '{' => depth + 1,
            '}' => depth.saturating_sub(1),
            _ => depth,
        };
        c == ',' && depth == 0
    });
    for branch in branches.map(str::trim).filter(|branch| !branch.is_empty()) {
        if let Some((stem, inner)) = branch.split_once('{') {
            let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
            spread(&format!("{prefix}{}", stem.trim()), inner, paths);
        } else {
            let path = branch.split_whitespace().next().unwrap_or_default();
            paths.push(format!("{prefix}{path}"));
        }
    }
}

/// The offset of the brace that closes the one at `open`; the text's end where none does.
fn block_end(text: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices().skip_while(|&(at, _)| at < open) {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Blanks what `#[cfg(test)]` stands before, and counts its lines.
fn without_tests(text: &str) -> (String, usize) {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::new();
    let mut rest = text;
    let mut lines = 0;
    while let Some(start) = rest.find(MARK) {
        let (before, marked) = rest.split_at(start);
        kept.push_str(before);
        let end = match marked.find(['{', ';']) {
            Some(at) if marked[at..].starts_with('{') => block_end(marked, at),
            Some(at) => at,
            None => marked.len(),
        };
        let (blank, after) = marked.split_at(marked.len().min(end + 1));
        lines += blank.lines().count();
        kept.extend(blank.chars().filter(|&c| c == '\n'));
        rest = after;
    }
    kept.push_str(rest);
    (kept, lines)
}

/// Blanks comments and the insides of literals, keeping line ends.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut blanked = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let rest = &chars[at..];
        let in_word = at > 0 && is_word(chars[at - 1]);
        let length = comment_length(rest).or_else(|| literal_length(rest, in_word));
        let Some(length) = length else {
            blanked.push(c);
            at += 1;
            continue;
        };
        let end = chars.len().min(at + length);
        blanked.extend(
            chars[at..end]
                .iter()
                .map(|&c| if c == '\n' { c } else { ' ' }),
        );
        at = end;
    }
    blanked
}

/// Whether `rest` begins with `start`.
fn begins(rest: &[char], start: &str) -> bool {
    rest.len() >= start.len() && start.chars().zip(rest).all(|(a, &b)| a == b)
}

/// The length of the comment that `rest` begins with.
fn comment_length(rest: &[char]) -> Option<usize> {
    if begins(rest, "//") {
        return Some(rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()));
    }
    if !begins(rest, "/*") {
        return None;
    }
    let mut depth = 0_usize;
    for at in 0..rest.len() {
        if begins(&rest[at..], "/*") {
            depth += 1;
        } else if begins(&rest[at..], "*/") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return Some(at + 2);
            }
        }
    }
    Some(rest.len())
}

/// The length of the string or character that `rest` begins with; a lifetime is none.
fn literal_length(rest: &[char], in_word: bool) -> Option<usize> {
    match rest {
        ['r', '"' | '#', ..] | ['b', 'r', '"' | '#', ..] if !in_word => raw_length(rest),
        ['"', ..] => Some(quoted_length(rest, '"')),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => Some(quoted_length(rest, '\'')),
        _ => None,
    }
}

/// The length of the literal between two `quote`, the first of which begins `rest`.
fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut is_escaped = false;
    for (at, &c) in rest.iter().enumerate().skip(1) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    rest.len()
}

/// The length of the raw string that `rest` begins with; a raw identifier is none.
fn raw_length(rest: &[char]) -> Option<usize> {
    let start = rest.iter().position(|&c| c == '"' || c == '#')?;
    let marks = rest[start..].iter().take_while(|&&c| c == '#').count();
    if rest.get(start + marks) != Some(&'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(marks));
    let inside = start + marks + 1;
    let end = (inside..rest.len()).find(|&at| begins(&rest[at..], &close));
    Some(end.map_or(rest.len(), |at| at + close.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        Code::of(text)
            .names()
            .iter()
            .map(|name| name.segments.join("::"))
            .collect()
    }

    #[test]
    fn grouped_and_nested_imports_are_spread() {
        let text =
            "use crate::{\n    model::{FIELDS, Value as V},\n    text,\n};\nuse std::net::*;\n";
        let expected = [
            "crate::model::FIELDS",
            "crate::model::Value",
            "crate::text",
            "std::net::*",
        ];
        let found = paths(text);
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_in_code_are_found_with_their_lines() {
        let names = Code::of("fn f() {\n    crate::run::go(a);\n}\n").names();
        let found = names.iter().find(|name| name.segments.len() == 3).unwrap();
        assert_eq!(
            (found.segments.join("::").as_str(), found.line),
            ("crate::run::go", 2)
        );
    }

    #[test]
    fn comments_literals_and_tests_name_nothing() {
        let text = "// crate::a\n/* crate::b /* */ crate::c */\nlet s = \"crate::d \\\" {\";\n\
            let r = r#\"crate::e \" {\"#;\nlet c: &'static char = &'{';\n\
            #[cfg(test)]\nmod tests {\n    use crate::f;\n}\n";
        let found = paths(text);
        assert!(
            !found.iter().any(|path| path.starts_with("crate")),
            "{found:?}"
        );
        assert_eq!(Code::of(text).lines, 5);
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text = "trait T {\n    fn declared(&self);\n}\npub fn long(\n    a: u8,\n) {\n    if a {\n    }\n}\n";
        let expected = Function {
            name: "long".into(),
            line: 4,
            lines: 6,
        };
        assert_eq!(Code::of(text).functions(), [expected]);
    }
}
