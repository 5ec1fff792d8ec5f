//! Atom: RFC 4287, <https://www.rfc-editor.org/rfc/rfc4287>.

use super::{Entry, Feed};
use crate::tables::text::{html as escaped, one_line};

/// The feed as a file, with everything that sections 4.1.1 and 4.1.2 require.
pub(super) fn render(feed: &Feed) -> String {
    let updated = feed.entries.iter().map(|entry| entry.updated).max();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    xml.push_str("<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"en\">\n");
    element(&mut xml, 1, "id", &feed.id);
    element(&mut xml, 1, "title", &feed.title);
    if let Some(updated) = updated {
        element(&mut xml, 1, "updated", &updated.to_string());
    }
    xml.push_str("  <author>\n");
    element(&mut xml, 2, "name", "Layersmith");
    xml.push_str("  </author>\n");
    link(
        &mut xml,
        1,
        "self",
        "application/atom+xml",
        &format!("{}.atom", feed.address),
    );
    link(&mut xml, 1, "alternate", "text/html", &feed.page);
    for entry in &feed.entries {
        put_entry(&mut xml, entry);
    }
    xml.push_str("</feed>\n");
    xml
}

fn put_entry(xml: &mut String, entry: &Entry) {
    xml.push_str("  <entry>\n");
    element(xml, 2, "id", &entry.id);
    element(xml, 2, "title", &entry.title);
    element(xml, 2, "published", &entry.published.to_string());
    element(xml, 2, "updated", &entry.updated.to_string());
    link(xml, 2, "alternate", "text/html", &entry.page);
    for term in [&entry.layer, entry.kind.as_str()] {
        xml.push_str(&format!("    <category term=\"{}\"/>\n", text(term)));
    }
    element(xml, 2, "summary", &entry.summary);
    xml.push_str(&format!(
        "    <content type=\"html\">{}</content>\n",
        text(&entry.html)
    ));
    xml.push_str("  </entry>\n");
}

fn element(xml: &mut String, depth: usize, name: &str, content: &str) {
    let indent = "  ".repeat(depth);
    xml.push_str(&format!("{indent}<{name}>{}</{name}>\n", text(content)));
}

fn link(xml: &mut String, depth: usize, relation: &str, kind: &str, address: &str) {
    let indent = "  ".repeat(depth);
    xml.push_str(&format!(
        "{indent}<link rel=\"{relation}\" type=\"{kind}\" href=\"{}\"/>\n",
        text(address)
    ));
}

/// Text as XML 1.0 takes it in an element or a quoted attribute: two characters that no version or name has are not
/// allowed even when they are written as references (section 2.2, `Char`), nor are control characters.
fn text(content: &str) -> String {
    escaped(&one_line(content).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}
