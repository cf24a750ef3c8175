//! Markup that cannot be broken out of: text enters only through [`text`], [`markdown`] and the values of
//! attributes, all of which escape it.

use std::fmt::Write as _;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Parser, Tag, TagEnd, html};

/// A piece of markup.
#[derive(Clone, Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    /// The markup itself.
    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(pieces: I) -> Self {
        pieces.into_iter().fold(Self::default(), |mut all, piece| {
            all.0.push_str(&piece.0);
            all
        })
    }
}

/// Text, escaped.
pub(crate) fn text(text: impl AsRef<str>) -> Html {
    Html(escape(text.as_ref()))
}

/// A style sheet, as it is: our own file, and its hash is in the content security policy.
pub(crate) fn style(css: &str) -> Html {
    Html(format!("<style>{css}</style>"))
}

/// An element with attributes and children.
pub(crate) fn element<const N: usize>(name: &str, attributes: &[(&str, &str)], children: [Html; N]) -> Html {
    wrap(name, attributes, children.into_iter().collect())
}

/// An element with attributes around markup.
pub(crate) fn wrap(name: &str, attributes: &[(&str, &str)], content: Html) -> Html {
    let mut markup = open(name, attributes);
    let _ = write!(markup, "{}</{name}>", content.0);
    Html(markup)
}

/// An element that has no content.
pub(crate) fn void(name: &str, attributes: &[(&str, &str)]) -> Html {
    Html(open(name, attributes))
}

/// `<code>` with a text.
pub(crate) fn code(content: &str) -> Html {
    element("code", &[], [text(content)])
}

/// A link to a place on the page.
pub(crate) fn link(anchor: &str, content: Html) -> Html {
    wrap("a", &[("href", &format!("#{anchor}"))], content)
}

/// Pieces with a text between each two.
pub(crate) fn join(pieces: impl IntoIterator<Item = Html>, separator: &str) -> Html {
    let mut pieces = pieces.into_iter();
    let mut all = pieces.next().unwrap_or_default();
    for piece in pieces {
        all = [all, text(separator), piece].into_iter().collect();
    }
    all
}

/// A table with headed columns; `label` is its name for those who do not see it.
pub(crate) fn table<const N: usize>(label: &str, columns: [&str; N], rows: Html) -> Html {
    let head = columns.map(|column| element("th", &[("scope", "col")], [text(column)]));
    let head = element("thead", &[], [element("tr", &[], head)]);
    scrolling(label, element("table", &[], [head, wrap("tbody", &[], rows)]))
}

/// A box that scrolls what is too wide for the page, by keyboard too.
pub(crate) fn scrolling(label: &str, content: Html) -> Html {
    let attributes = [("class", "table"), ("tabindex", "0"), ("role", "group"), ("aria-label", label)];
    wrap("div", &attributes, content)
}

/// CommonMark as markup; raw HTML in it is text. Headings become `<h2>` and are their own anchors.
pub(crate) fn markdown(source: &str) -> Html {
    render(headings_with_anchors(Parser::new(source).collect()).into_iter())
}

/// CommonMark as markup that fits into a line: without paragraphs.
pub(crate) fn markdown_inline(source: &str) -> Html {
    let paragraph =
        |event: &Event<'_>| matches!(event, Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph));
    render(Parser::new(source).filter(|event| !paragraph(event)))
}

/// The anchor of a heading.
pub(crate) fn slug(heading: &str) -> String {
    heading.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// The headings of a CommonMark text, in order.
pub(crate) fn headings(source: &str) -> Vec<String> {
    let events: Vec<_> = Parser::new(source).collect();
    let starts = events.iter().enumerate().filter(|(_, event)| is_heading(event));
    starts.map(|(at, _)| heading_text(&events[at..])).collect()
}

fn render<'a>(events: impl Iterator<Item = Event<'a>>) -> Html {
    let mut markup = String::new();
    html::push_html(&mut markup, events.map(harmless));
    Html(markup)
}

fn harmless(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        other => other,
    }
}

fn is_heading(event: &Event<'_>) -> bool {
    matches!(event, Event::Start(Tag::Heading { .. }))
}

fn heading_text(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    inside.filter_map(|event| if let Event::Text(words) = event { Some(&**words) } else { None }).collect()
}

fn headings_with_anchors(mut events: Vec<Event<'_>>) -> Vec<Event<'_>> {
    for at in 0..events.len() {
        let anchor = CowStr::from(slug(&heading_text(&events[at..])));
        match &mut events[at] {
            Event::Start(Tag::Heading { level, id, .. }) => (*level, *id) = (HeadingLevel::H2, Some(anchor)),
            Event::End(TagEnd::Heading(level)) => *level = HeadingLevel::H2,
            _ => {}
        }
    }
    events
}

fn open(name: &str, attributes: &[(&str, &str)]) -> String {
    let mut markup = format!("<{name}");
    for (attribute, value) in attributes {
        let _ = write!(markup, " {attribute}=\"{}\"", escape(value));
    }
    markup.push('>');
    markup
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
