//! Classes of values: frozen, equal if all attributes are, and pickled by them.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

/// What an attribute holds.
pub(crate) trait Field: Sized {
    fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>>;
    /// From what `get` gave, in a pickle.
    fn restore(value: &Bound<'_, PyAny>) -> PyResult<Self>;
}

macro_rules! plain {
    ($($type:ty),*) => { $(
        impl Field for $type {
            fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.into_bound_py_any(py)
            }

            fn restore(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                value.extract()
            }
        }
    )* };
}

plain!(bool, i64, u32, u64, usize, String, PathBuf);

/// With as much of it as Python's `datetime` can say.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Moment(SystemTime);

impl From<SystemTime> for Moment {
    fn from(moment: SystemTime) -> Self {
        let beyond =
            moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos() % 1000);
        Self(moment - Duration::from_nanos(beyond.into()))
    }
}

impl From<Moment> for SystemTime {
    fn from(moment: Moment) -> Self {
        moment.0
    }
}

impl Field for Moment {
    fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.0.into_bound_py_any(py)
    }

    fn restore(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        value.extract().map(Self)
    }
}

impl<T: Field> Field for Option<T> {
    fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_ref().map_or_else(|| Ok(py.None().into_bound(py)), |value| value.get(py))
    }

    fn restore(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if value.is_none() { Ok(None) } else { T::restore(value).map(Some) }
    }
}

impl<T: Field> Field for Vec<T> {
    fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let values = self.iter().map(|value| value.get(py)).collect::<PyResult<Vec<_>>>()?;
        Ok(PyTuple::new(py, values)?.into_any())
    }

    fn restore(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        value.cast::<PyTuple>()?.iter().map(|value| T::restore(&value)).collect()
    }
}

/// A class of values, what it is made of in the core, and its further methods.
macro_rules! value {
    (
        $(#[$about:meta])*
        $name:ident from $core:ident: $type:ty {
            $($(#[$says:meta])* $field:ident: $holds:ty = $value:expr,)*
        }
        $($methods:tt)*
    ) => {
        $(#[$about])*
        #[pyclass(frozen, eq, hash, module = "tagtrust")]
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub(crate) struct $name { $($field: $holds,)* }

        impl From<$type> for $name {
            fn from($core: $type) -> Self {
                Self { $($field: $value,)* }
            }
        }

        #[pymethods]
        impl $name {
            $(
                $(#[$says])*
                #[getter]
                fn $field<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                    $crate::values::Field::get(&self.$field, py)
                }
            )*

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                $crate::values::repr(slf, stringify!($name), &[$(stringify!($field)),*])
            }

            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<$crate::values::Reduced<'py>> {
                $crate::values::reduce(slf, &[$(stringify!($field)),*])
            }

            /// For pickles.
            #[classmethod]
            fn _restore(
                _class: &Bound<'_, pyo3::types::PyType>,
                attributes: &Bound<'_, pyo3::types::PyTuple>,
            ) -> PyResult<Self> {
                let mut attributes = attributes.iter();
                Ok(Self { $($field: $crate::values::restored(&mut attributes)?,)* })
            }

            $($methods)*
        }

        impl $crate::values::Field for $name {
            fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                Ok(Bound::new(py, self.clone())?.into_any())
            }

            fn restore(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                Ok(value.cast::<Self>()?.get().clone())
            }
        }
    };
}

pub(crate) use value;

pub(crate) fn all<C, T: From<C>>(values: impl IntoIterator<Item = C>) -> Vec<T> {
    values.into_iter().map(T::from).collect()
}

/// `Class(attribute=value, …)`, without what is private.
pub(crate) fn repr(object: &Bound<'_, PyAny>, class: &str, names: &[&str]) -> PyResult<String> {
    let public = names.iter().map(|name| plain_name(name)).filter(|name| !name.starts_with('_'));
    let values = public.map(|name| Ok(format!("{name}={}", object.getattr(name)?.repr()?)));
    Ok(format!("{class}({})", values.collect::<PyResult<Vec<_>>>()?.join(", ")))
}

/// What pickles call, and with what.
pub(crate) type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyType>, Bound<'py, PyTuple>));

pub(crate) fn reduce<'py>(object: &Bound<'py, PyAny>, names: &[&str]) -> PyResult<Reduced<'py>> {
    let py = object.py();
    let restore = py.import("tagtrust._values")?.getattr("restore")?;
    let values = names.iter().map(|name| object.getattr(plain_name(name))).collect::<PyResult<Vec<_>>>()?;
    Ok((restore, (object.get_type(), PyTuple::new(py, values)?)))
}

/// The next attribute of an object in a pickle.
pub(crate) fn restored<'py, T: Field>(
    attributes: &mut impl Iterator<Item = Bound<'py, PyAny>>,
) -> PyResult<T> {
    let other = || PyValueError::new_err("the pickle is of another version of this package");
    T::restore(&attributes.next().ok_or_else(other)?)
}

fn plain_name(name: &str) -> &str {
    name.trim_start_matches("r#")
}
