//! A whole storage to try the migration on.

use super::{Flavor, ImageOptions, Storage, StorageError};

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// Container repositories.
    pub repositories: usize,
    /// Tags in all of them.
    pub tags: usize,
}

/// Fills `storage` with `repositories` container repositories of different sizes (a few KiB to a few MiB), with one
/// to nine tags each, some for several platforms, in both vendors' formats. Always the same for the same count.
pub fn write_sample(storage: &Storage, repositories: usize) -> Result<Sample, StorageError> {
    let mut sample = Sample::default();
    for number in 0..repositories {
        let path = format!("group-{}/project-{}/image-{number:03}", number % 3, number % 7);
        let tags = 1 + (number * 5) % 9;
        for tag in 0..tags {
            let name = format!("v1.{tag}");
            let mut names = vec![name.as_str()];
            if tag + 1 == tags {
                names.push("latest");
            }
            sample.tags += names.len();
            storage.write_image(&path, &names, &image(number, tag))?;
        }
        sample.repositories += 1;
    }
    Ok(sample)
}

fn image(number: usize, tag: usize) -> ImageOptions {
    let several = number % 4 == 3;
    let sizes = [2 << 10, 16 << 10, 96 << 10, 512 << 10, 2 << 20];
    let largest = if tag == 0 { sizes[number % sizes.len()] } else { 8 << 10 };
    ImageOptions {
        seed: (number * 1000 + tag) as u64,
        layers: vec![largest, 1 << 10, 512 + 64 * tag],
        architectures: if several {
            vec!["amd64".to_owned(), "arm64".to_owned()]
        } else {
            vec!["amd64".to_owned()]
        },
        flavor: if number.is_multiple_of(2) { Flavor::Oci } else { Flavor::Docker },
    }
}
