//! Reading and writing fixed-size little-endian records.

/// A value with a fixed-size little-endian encoding: an integer, an array, or a struct of them
/// declared by `record!`.
pub trait Record: Copy {
    /// Encoded size in bytes.
    const LEN: usize;

    /// Decodes the first [`Self::LEN`] bytes; `None` if there are fewer.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// Encodes into the first [`Self::LEN`] bytes; `None` if there are fewer.
    fn write(self, bytes: &mut [u8]) -> Option<()>;
}

macro_rules! integer_records {
    ($($ty:ty),*) => {$(
        impl Record for $ty {
            const LEN: usize = size_of::<$ty>();

            fn read(bytes: &[u8]) -> Option<Self> {
                Some(<$ty>::from_le_bytes(*bytes.first_chunk()?))
            }

            fn write(self, bytes: &mut [u8]) -> Option<()> {
                *bytes.first_chunk_mut()? = self.to_le_bytes();
                Some(())
            }
        }
    )*};
}

integer_records!(u8, i8, u16, i16, u32, i32, u64, f32);

impl<T: Record, const N: usize> Record for [T; N] {
    const LEN: usize = T::LEN * N;

    fn read(bytes: &[u8]) -> Option<Self> {
        let first = T::read(bytes)?;
        let mut values = [first; N];
        for (value, chunk) in values.iter_mut().zip(bytes.chunks_exact(T::LEN)) {
            *value = T::read(chunk)?;
        }
        (bytes.len() >= Self::LEN).then_some(values)
    }

    fn write(self, bytes: &mut [u8]) -> Option<()> {
        let bytes = bytes.get_mut(..Self::LEN)?;
        for (value, chunk) in self.into_iter().zip(bytes.chunks_exact_mut(T::LEN)) {
            value.write(chunk)?;
        }
        Some(())
    }
}

/// Declares a struct together with its encoding: the fields in order, little-endian, unpadded.
macro_rules! record {
    ($(#[doc = $doc:expr])* pub struct $name:ident {
        $($(#[doc = $field_doc:expr])* pub $field:ident: $ty:ty,)*
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $ty,)*
        }

        impl $crate::field::Record for $name {
            const LEN: usize = 0 $(+ <$ty as $crate::field::Record>::LEN)*;

            fn read(bytes: &[u8]) -> Option<Self> {
                // One check for the whole record: those of its fields fold away.
                let bytes = bytes.first_chunk::<{ <$name as $crate::field::Record>::LEN }>()?;
                let mut _at = 0;
                $(
                    let $field = <$ty as $crate::field::Record>::read(bytes.get(_at..)?)?;
                    _at += <$ty as $crate::field::Record>::LEN;
                )*
                Some(Self { $($field),* })
            }

            fn write(self, bytes: &mut [u8]) -> Option<()> {
                let mut _at = 0;
                $(
                    $crate::field::Record::write(self.$field, bytes.get_mut(_at..)?)?;
                    _at += <$ty as $crate::field::Record>::LEN;
                )*
                Some(())
            }
        }

        #[cfg(test)]
        impl $crate::field::Specified for $name {
            fn specification() -> std::string::String {
                $crate::field::specification(
                    stringify!($name),
                    &[$($doc),*],
                    <Self as $crate::field::Record>::LEN,
                    &[$((
                        stringify!($field),
                        stringify!($ty),
                        <$ty as $crate::field::Record>::LEN,
                        &[$($field_doc),*],
                    )),*],
                )
            }
        }
    };
}
pub(crate) use record;

/// A record that can print its part of the format's specification.
#[cfg(test)]
pub trait Specified {
    /// A heading, the description and the table of fields, in Markdown.
    fn specification() -> std::string::String;
}

/// See [`Specified`]. A field is its name, type, length and description.
#[cfg(test)]
pub fn specification(
    name: &str,
    description: &[&str],
    len: usize,
    fields: &[(&str, &str, usize, &[&str])],
) -> std::string::String {
    use std::fmt::Write as _;
    let mut text = std::format!("### {name} ({len} bytes)\n\n");
    for line in description {
        let _ = writeln!(text, "{}", line.strip_prefix(' ').unwrap_or(line));
    }
    text.push_str("\n| offset | type | field | meaning |\n|--:|---|---|---|\n");
    let mut offset = 0;
    for (field, ty, field_len, doc) in fields {
        let meaning = doc.concat();
        let _ = writeln!(text, "| {offset} | {ty} | `{field}` | {} |", meaning.trim());
        offset += field_len;
    }
    text.push('\n');
    // Outside rustdoc a link is just a name.
    let mut plain = text.replace("[`", "`");
    while let Some(start) = plain.find("`](") {
        let Some(len) = plain[start..].find(')') else { break };
        plain.replace_range(start..=start + len, "`");
    }
    plain.replace("`]", "`")
}

#[cfg(test)]
mod tests {
    use super::*;

    record! {
        /// A record for the test.
        pub struct Sample {
            /// One byte.
            pub a: u8,
            /// Two bytes, unaligned.
            pub b: i16,
            /// An array.
            pub c: [u16; 2],
        }
    }

    #[test]
    fn fields_lie_in_order_without_padding() {
        let mut bytes = [0; Sample::LEN];
        Sample { a: 1, b: -2, c: [3, 0x0405] }.write(&mut bytes).unwrap();
        assert_eq!(bytes, [1, 0xfe, 0xff, 3, 0, 5, 4]);
        assert_eq!(Sample::read(&bytes).unwrap(), Sample { a: 1, b: -2, c: [3, 0x0405] });
    }

    #[test]
    fn short_input_is_refused() {
        assert_eq!(Sample::read(&[0; Sample::LEN - 1]), None);
        assert_eq!(Sample { a: 0, b: 0, c: [0; 2] }.write(&mut [0; Sample::LEN - 1]), None);
    }
}
