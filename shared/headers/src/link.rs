//! The `Link` header (RFC 8288), as far as it tells of a list's next page.

use http::header::{HeaderMap, LINK};

/// What an answer's `Link` headers say about a next page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextPage {
    /// There is none.
    None,
    /// It is there, at this address relative to the page's own.
    At(String),
    /// Nobody can tell: a header is not what the standard allows.
    Unreadable,
}

/// Reads every `Link` header. The first link to a next page counts.
#[must_use]
pub fn next_page(headers: &HeaderMap) -> NextPage {
    let values = headers.get_all(LINK).iter();
    let values: Vec<String> =
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    next_in(&values.join(","))
}

fn next_in(header: &str) -> NextPage {
    let mut rest = Rest(header);
    loop {
        rest.skip(|c| c == ',' || is_space(c));
        if rest.0.is_empty() {
            return NextPage::None;
        }
        match rest.link() {
            None => return NextPage::Unreadable,
            Some(Link { target, next: true }) => return NextPage::At(target.to_owned()),
            Some(Link { next: false, .. }) => {}
        }
    }
}

/// One link of a header.
struct Link<'a> {
    target: &'a str,
    /// Whether it leads from this page to the next one.
    next: bool,
}

/// What is left of a header.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// `<target>` and its parameters, up to the comma after them. None: it is not that.
    fn link(&mut self) -> Option<Link<'a>> {
        let (target, rest) = self.0.strip_prefix('<')?.split_once('>')?;
        self.0 = rest;
        let (mut relation, mut elsewhere) = (None, false);
        loop {
            self.skip(is_space);
            if self.0.is_empty() || self.0.starts_with(',') {
                break;
            }
            self.0 = self.0.strip_prefix(';')?;
            let (name, value) = self.parameter()?;
            match name.to_ascii_lowercase().as_str() {
                // Only the first one counts.
                "rel" => relation = relation.or(Some(value)),
                // A link from somewhere else.
                "anchor" => elsewhere |= !value.is_empty(),
                _ => {}
            }
        }
        let is_next = |relations: String| {
            relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
        };
        Some(Link { target: target.trim(), next: !elsewhere && relation.is_some_and(is_next) })
    }

    /// `name`, `name=token` or `name="text"`, with spaces anywhere between. An empty name is a stray semicolon.
    fn parameter(&mut self) -> Option<(&'a str, String)> {
        self.skip(is_space);
        let name = self.take(|c| !is_space(c) && !matches!(c, '=' | ';' | ','));
        self.skip(is_space);
        let Some(rest) = self.0.strip_prefix('=') else { return Some((name, String::new())) };
        self.0 = rest;
        self.skip(is_space);
        if self.0.starts_with('"') {
            return self.quoted().map(|value| (name, value));
        }
        Some((name, self.take(|c| !matches!(c, ';' | ',')).trim_end_matches(is_space).to_owned()))
    }

    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.0.char_indices().skip(1);
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(characters.next()?.1),
                _ => text.push(c),
            }
        }
        None
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !belongs(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn skip(&mut self, belongs: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(belongs);
    }
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderMap, HeaderValue, LINK};

    use super::{NextPage, next_in, next_page};

    #[test]
    fn finds_the_next_page_in_every_spelling() {
        for header in [
            r#"</x?n=1>; rel="next""#,
            "</x?n=1>; rel=next",
            r#"</x?n=1>;rel="next""#,
            r#"</x?n=1> ; rel = "next""#,
            r#"</x?n=1>; REL="Next""#,
            r#"</x?n=1>; rel="last next""#,
            r#"</x?n=1>; title="a, b; rel=prev"; rel="next""#,
            r#"</x?n=1>; title="say \"; rel=prev\""; rel="next""#,
            r#"</x?n=1>; rel="next"; rel="prev""#,
            r#"</x?n=1>;; rel="next";"#,
            r#"</x?n=1>; crossorigin; rel="next""#,
            r#"< /x?n=1 >; rel="n\ext""#,
            r#"</y>; rel="prev", </x?n=1>; rel="next""#,
            r#", </y>; title="<", </x?n=1>; anchor=""; rel=next, </z>; rel="next""#,
        ] {
            assert_eq!(next_in(header), NextPage::At("/x?n=1".to_owned()), "{header}");
        }
    }

    #[test]
    fn tells_no_next_page_from_one_it_cannot_read() {
        for header in [
            "",
            " , ",
            r#"</x>; rel="prev""#,
            r#"</x>; rel="nextish""#,
            "</x>",
            r#"</x>; title="rel=next""#,
            r#"</x>; rel="prev"; rel="next""#,
            r#"</x>; rel="next"; anchor="/other""#,
        ] {
            assert_eq!(next_in(header), NextPage::None, "{header}");
        }
        for header in
            ["/x; rel=next", "</x; rel=next", r#"</x>; rel="next"#, r#"</x> rel="next""#, "rel=next"]
        {
            assert_eq!(next_in(header), NextPage::Unreadable, "{header}");
        }
    }

    #[test]
    fn reads_every_header_of_an_answer() {
        let mut headers = HeaderMap::new();
        assert_eq!(next_page(&headers), NextPage::None);
        headers.append(LINK, HeaderValue::from_static("</y>; rel=prev"));
        headers.append(LINK, HeaderValue::from_bytes(b"</\xe9>; rel=next").unwrap());
        assert_eq!(next_page(&headers), NextPage::At("/\u{fffd}".to_owned()));
    }
}
