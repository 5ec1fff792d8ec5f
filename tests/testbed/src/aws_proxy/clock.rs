//! AWS' own clock: a signature is good for five minutes before and after it was made.
//!
//! Source: AWS Signature Version 4, "Troubleshooting": requests must reach AWS within five minutes of their time stamp.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use time::format_description::well_known::Rfc2822;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use super::refusal;

const GOOD_FOR: Duration = Duration::minutes(5);

/// What AWS answers when a request was signed at a time that is not near its own.
pub(super) fn check(headers: &HeaderMap, ahead: i64) -> Option<Response> {
    let now = OffsetDateTime::now_utc() + Duration::seconds(ahead);
    let signed = headers.get("x-amz-date")?.to_str().ok()?;
    if (now - parse(signed)?).abs() <= GOOD_FOR {
        return None;
    }
    let mut response = refusal(403, "InvalidSignatureException");
    response.headers_mut().insert(header::DATE, date(ahead));
    Some(response)
}

/// The `Date` of an answer, by AWS' clock.
pub(super) fn date(ahead: i64) -> HeaderValue {
    let now = OffsetDateTime::now_utc() + Duration::seconds(ahead);
    let date = now.format(&Rfc2822).expect("the year has four digits");
    HeaderValue::from_str(&date.replace("+0000", "GMT")).expect("a date is a header")
}

/// `20261123T005658Z`
fn parse(text: &str) -> Option<OffsetDateTime> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok();
    let small = |from, to| u8::try_from(number(from, to)?).ok();
    let month = time::Month::try_from(small(4, 6)?).ok()?;
    let date =
        time::Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6, 8)?).ok()?;
    let time = time::Time::from_hms(small(9, 11)?, small(11, 13)?, small(13, 15)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc())
}
