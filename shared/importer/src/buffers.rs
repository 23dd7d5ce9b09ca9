//! Memory for parts, used again: what is given back to the system's allocator is often not given back by it.

use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

/// Keeps the memory of parts that were sent.
pub(crate) struct Buffers {
    kept: Mutex<Vec<BytesMut>>,
    most: usize,
}

impl Buffers {
    /// Keeps at most so many.
    pub(crate) const fn new(most: usize) -> Self {
        Self { kept: Mutex::new(Vec::new()), most }
    }

    /// Memory that was kept, or none.
    pub(crate) fn take(&self) -> BytesMut {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps the memory of a part, unless somebody else still has it.
    pub(crate) fn keep(&self, part: Bytes) {
        let Ok(memory) = part.try_into_mut() else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < self.most {
            kept.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::Buffers;

    #[test]
    fn gives_the_memory_of_a_part_to_the_next_one() {
        let buffers = Buffers::new(1);
        let mut memory = buffers.take();
        assert_eq!(memory.capacity(), 0);
        memory.extend_from_slice(&[7; 5000]);
        let (at, part) = (memory.as_ptr(), memory.freeze());
        // Who is still sending it reads it.
        let sending = part.clone();
        buffers.keep(part);
        assert_eq!(buffers.take().capacity(), 0);
        buffers.keep(sending);
        let again = buffers.take();
        assert!(again.as_ptr() == at && again.capacity() >= 5000);
        // No more than was said.
        buffers.keep(again.freeze());
        buffers.keep(BytesMut::zeroed(10).freeze());
        assert_eq!((buffers.take().as_ptr(), buffers.take().capacity()), (at, 0));
    }
}
