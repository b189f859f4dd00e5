//! What setters change.

use std::sync::Mutex;

use crate::boundary::{guard, lock};
use crate::error::{Error, Result};

/// Settings, and why the first setter that was refused was: without it they are
/// not what the caller meant, and may be less strict.
#[derive(Default)]
pub(crate) struct Settings<T>(Mutex<State<T>>);

#[derive(Default)]
struct State<T> {
    values: T,
    refused: Option<Error>,
}

impl<T> From<T> for Settings<T> {
    fn from(values: T) -> Self {
        Self(Mutex::new(State { values, refused: None }))
    }
}

impl<T: Clone> Settings<T> {
    /// Runs the body of a setter, or remembers why it was refused.
    pub(crate) fn change(&self, setter: &str, change: impl FnOnce(&mut T) -> Result<()>) -> Result<()> {
        let mut state = lock(&self.0);
        guard(|| change(&mut state.values)).flatten().inspect_err(|error| {
            state.refused.get_or_insert_with(|| error.in_function(setter));
        })
    }

    /// The settings as they are now, if none was refused.
    pub(crate) fn get(&self) -> Result<T> {
        let state = lock(&self.0);
        match &state.refused {
            None => Ok(state.values.clone()),
            Some(error) => Err(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    #[test]
    fn the_first_refusal_is_remembered_whatever_comes_after() {
        let settings = Settings::from(1);
        let refused = |reason: &'static str| move |_: &mut i32| Err(Error::argument(reason));
        assert_eq!(settings.get().ok(), Some(1));
        let error = settings.change("first", refused("too high")).unwrap_err();
        assert_eq!(error.message(), c"invalid argument: too high");
        settings.change("second", refused("too low")).unwrap_err();
        settings
            .change("first", |value| {
                *value = 2;
                Ok(())
            })
            .unwrap();
        let error = settings.get().unwrap_err();
        assert_eq!(
            (error.status(), error.message()),
            (Status::INVALID_ARGUMENT, c"first: invalid argument: too high")
        );
    }

    #[test]
    fn a_setter_that_panics_counts_as_refused() {
        let settings = Settings::from(1);
        settings.change("setter", |_| panic!("boom")).unwrap_err();
        assert_eq!(settings.get().unwrap_err().status(), Status::INTERNAL);
    }
}
