//! Uploads as they come: files under names of roles, in one body that may be
//! large, slow or no upload at all.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyDataStream, BodyExt, Full};
use hyper::body::Body;
use multer::Multipart;

use super::memory::Room;
use crate::server::refusal::Refusal;

/// Most parts of one upload. Stops bodies of nothing but the heads of parts.
const MAX_PARTS: usize = 4096;

/// The whole body, if it is not larger, does not take longer and finds room.
pub(super) async fn collect<B>(
    body: B,
    max: u64,
    time: Duration,
    room: &mut Room<'_>,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
{
    if body.size_hint().lower() > max {
        return Err(Refusal::TooLarge);
    }
    let collect = async {
        // What comes is copied, because each small piece may hold a large buffer.
        let mut collected = BytesMut::new();
        let mut body = std::pin::pin!(body);
        let broken = |_| Refusal::MalformedUpload;
        while let Some(frame) = body.frame().await.map(|frame| frame.map_err(broken)) {
            let Ok(data) = frame?.into_data() else { continue };
            let size = collected.len() + data.len();
            if size as u64 > max {
                return Err(Refusal::TooLarge);
            }
            room.grow_to(size).await?;
            collected.extend_from_slice(&data);
        }
        Ok(collected.freeze())
    };
    tokio::time::timeout(time, collect).await.unwrap_or(Err(Refusal::MalformedUpload))
}

/// The parts of a body, each with its file name as it was sent (empty if there
/// is none), in their order.
pub(super) async fn parts(content_type: Option<&str>, body: Bytes) -> Result<Vec<(String, Bytes)>, Refusal> {
    let boundary = boundary(content_type.unwrap_or_default()).ok_or(Refusal::MalformedUpload)?;
    let mut multipart = Multipart::new(BodyDataStream::new(Full::new(body)), boundary);
    let mut parts = Vec::new();
    while let Some(mut part) = multipart.next_field().await.map_err(malformed)? {
        if parts.len() == MAX_PARTS {
            return Err(Refusal::MalformedUpload);
        }
        // Slashes count: the name is never shortened to its last segment.
        let name = part.file_name().unwrap_or_default().to_owned();
        // The whole body is there, so one chunk is the whole part.
        let content = part.chunk().await.map_err(malformed)?.unwrap_or_default();
        parts.push((name, content));
    }
    Ok(parts)
}

/// Of `multipart/form-data`, or `multipart/mixed`, which has the same form.
fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    let kind = kind.trim().to_ascii_lowercase();
    if !["multipart/form-data", "multipart/mixed"].contains(&kind.as_str()) {
        return None;
    }
    multer::parse_boundary(format!("multipart/form-data;{parameters}"))
        .ok()
        .filter(|boundary| !boundary.is_empty())
}

fn malformed(error: multer::Error) -> Refusal {
    log::debug!("an upload cannot be read: {error}");
    Refusal::MalformedUpload
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;

    const FORM: &str = "multipart/form-data; boundary=b";

    async fn read(content_type: &str, body: impl Into<Bytes>) -> Result<Vec<(String, String)>, Refusal> {
        let parts = parts(Some(content_type), body.into()).await?;
        Ok(parts
            .into_iter()
            .map(|(name, bytes)| (name, String::from_utf8(bytes.to_vec()).unwrap()))
            .collect())
    }

    fn part(disposition: &str, content: &str) -> String {
        format!(
            "--b\r\nContent-Disposition: {disposition}\r\nContent-Type: application/octet-stream\r\n\r\n{content}\r\n"
        )
    }

    fn file(name: &str, content: &str) -> String {
        part(&format!("form-data; name=\"files\"; filename=\"{name}\""), content)
    }

    #[tokio::test]
    async fn parts_come_in_their_order_under_their_whole_names() {
        let body =
            file("root.json", "{}") + &file("targets/releases", "\r\n{}\n") + &file("root", "") + "--b--\r\n";
        let expected = [("root.json", "{}"), ("targets/releases", "\r\n{}\n"), ("root", "")];
        let expected: Vec<_> = expected.map(|(name, content)| (name.to_owned(), content.to_owned())).into();
        for content_type in [
            FORM,
            "multipart/mixed; boundary=b",
            "Multipart/Form-Data; Boundary=\"b\"",
            "multipart/mixed ;boundary=b",
        ] {
            assert_eq!(read(content_type, body.clone()).await.as_ref(), Ok(&expected), "{content_type}");
        }
    }

    #[tokio::test]
    async fn no_parts_are_an_upload_too() {
        for body in ["\r\n--b--\r\n", "--b--\r\n", "--b--"] {
            assert_eq!(read(FORM, body).await, Ok(vec![]), "{body:?}");
        }
    }

    #[tokio::test]
    async fn a_part_may_have_no_name() {
        for disposition in
            ["form-data; name=\"files\"", "form-data", "form-data; filename=\"\"", "filename=\"a"]
        {
            let parts = read(FORM, part(disposition, "{}") + "--b--\r\n").await.unwrap();
            assert_eq!(parts, [(String::new(), "{}".to_owned())], "{disposition}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_short_is_malformed() {
        let whole = file("root", "{}") + &file("targets", "{}") + "--b--";
        assert!(read(FORM, whole.clone()).await.is_ok());
        for end in 0..whole.len() {
            assert_eq!(read(FORM, whole[..end].to_owned()).await, Err(Refusal::MalformedUpload), "{end}");
        }
    }

    #[tokio::test]
    async fn other_bodies_are_malformed() {
        let body = file("root", "{}") + "--b--\r\n";
        for content_type in [
            "",
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/related; boundary=b",
            "multipart/form-data; boundary=c",
            "multipart/form-data; boundary=b; x",
            "text/plain; boundary=b",
        ] {
            assert_eq!(
                read(content_type, body.clone()).await,
                Err(Refusal::MalformedUpload),
                "{content_type}"
            );
        }
        assert_eq!(parts(None, body.into()).await, Err(Refusal::MalformedUpload));
        assert_eq!(read(FORM, "--b\r\nno header\r\n\r\n{}\r\n--b--").await, Err(Refusal::MalformedUpload));
    }

    #[tokio::test]
    async fn the_number_of_parts_is_bounded() {
        let most = file("root", "{}").repeat(MAX_PARTS);
        assert_eq!(read(FORM, format!("{most}--b--")).await.unwrap().len(), MAX_PARTS);
        let more = file("root", "{}") + &most;
        assert_eq!(read(FORM, format!("{more}--b--")).await, Err(Refusal::MalformedUpload));
    }

    #[tokio::test]
    async fn a_body_has_a_size_and_a_time() {
        let time = Duration::from_secs(60);
        let body = Full::new(Bytes::from_static(b"12345"));
        assert_eq!(collect(body.clone(), 5, time).await.unwrap(), "12345");
        assert_eq!(collect(body.clone(), 4, time).await, Err(Refusal::TooLarge));
        // Of unknown size.
        let pieces = || BodyExt::boxed(Unsized(body.clone()));
        assert_eq!(collect(pieces(), 5, time).await.unwrap(), "12345");
        assert_eq!(collect(pieces(), 4, time).await, Err(Refusal::TooLarge));
        let never = http_body_util::combinators::BoxBody::<Bytes, std::convert::Infallible>::new(Never);
        assert_eq!(collect(never, 5, Duration::from_millis(1)).await, Err(Refusal::MalformedUpload));
    }

    async fn collect<B: Body<Data = Bytes>>(body: B, max: u64, time: Duration) -> Result<Bytes, Refusal> {
        super::collect(body, max, time, &mut Memory::new(max, time).room()).await
    }

    struct Unsized(Full<Bytes>);

    impl Body for Unsized {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            std::pin::Pin::new(&mut self.0).poll_frame(context)
        }
    }

    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
}
