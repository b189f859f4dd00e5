//! The form in which a trust server takes an upload.

use ring::rand::{SecureRandom, SystemRandom};

use super::Failure;
use crate::metadata::hex;

/// 60 hexadecimal digits, as in Notary. No file can contain what nobody can guess.
const BOUNDARY_BYTES: usize = 30;

pub(super) struct Form {
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Form {
    /// Of files under their roles. There may be none: the server then renews
    /// what it signs itself.
    pub(super) fn new(files: &[(&str, &[u8])]) -> Result<Self, Failure> {
        let mut random = [0; BOUNDARY_BYTES];
        SystemRandom::new().fill(&mut random).map_err(|_| Failure::broken("there are no random numbers"))?;
        Self::with_boundary(&hex(&random), files)
    }

    fn with_boundary(boundary: &str, files: &[(&str, &[u8])]) -> Result<Self, Failure> {
        // The file name is the whole role, as text between quotation marks.
        if let Some((role, _)) = files.iter().find(|(role, _)| role.contains(['"', '\\', '\r', '\n', '\0'])) {
            return Err(Failure::broken(format!("the role {role:?} cannot be uploaded")));
        }
        let head = |role| {
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{role}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
        };
        let tail = format!("--{boundary}--\r\n");

        // Files may be large: room for all of it at once.
        let room: usize = files.iter().map(|(role, bytes)| head(role).len() + bytes.len() + 2).sum();
        let mut body = Vec::with_capacity(room + 2 + tail.len());
        for (role, bytes) in files {
            body.extend_from_slice(head(role).as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        if files.is_empty() {
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(tail.as_bytes());
        Ok(Self { content_type: format!("multipart/form-data; boundary={boundary}"), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_put_together_as_notary_does_and_copied_once() {
        let files: [(&str, &[u8]); 2] = [("root", b"{}"), ("targets/releases", b"\x00\xff\r\n")];
        let form = Form::with_boundary("b0", &files).unwrap();
        assert_eq!(form.content_type, "multipart/form-data; boundary=b0");
        assert_eq!(
            form.body,
            b"--b0\r\nContent-Disposition: form-data; name=\"files\"; filename=\"root\"\r\n\
              Content-Type: application/octet-stream\r\n\r\n{}\r\n\
              --b0\r\nContent-Disposition: form-data; name=\"files\"; filename=\"targets/releases\"\r\n\
              Content-Type: application/octet-stream\r\n\r\n\x00\xff\r\n\r\n--b0--\r\n"
        );
        assert!(form.body.capacity() <= form.body.len() + 2, "never grown");
        assert_eq!(Form::with_boundary("b0", &[]).unwrap().body, b"\r\n--b0--\r\n");
    }

    #[test]
    fn every_form_has_a_boundary_of_its_own() {
        let boundaries = [(); 2].map(|()| Form::new(&[]).unwrap().content_type);
        assert_ne!(boundaries[0], boundaries[1]);
        assert_eq!(boundaries[0].len(), "multipart/form-data; boundary=".len() + 60);
    }

    #[test]
    fn a_role_cannot_forge_a_part() {
        for role in ["targets/a\"; x=\"", "targets/\r\n", "targets/\n", "a\\", "a\0"] {
            assert!(Form::with_boundary("b0", &[(role, b"{}")]).is_err(), "{role:?}");
        }
    }
}
