//! Tasks woken by other threads, on their way to the run queue: a lock-free stack that is always taken whole.
//!
//! Nodes link to each other through a field of their own, so a push allocates nothing. Since the only removal takes
//! everything at once, the stack has no ABA problem. A closed inbox refuses, which is how a waker that races with the
//! runtime's end learns that nobody will come for its task.

use crate::primitives::atomic::{AtomicPtr, Ordering};
use std::ptr::{self, NonNull};

/// A node that can be linked into one inbox at a time.
pub(crate) trait Linked: Sized {
    /// The field for the link. Only the inbox touches it.
    fn link(&self) -> &AtomicPtr<Self>;
}

/// See the [module](self).
pub(crate) struct Inbox<T> {
    head: AtomicPtr<T>,
}

/// The inbox is closed: the runtime is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl<T: Linked> Inbox<T> {
    pub(crate) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// An address that no node has, in place of the head of a closed inbox.
    fn closed() -> *mut T {
        ptr::dangling_mut()
    }

    /// Adds a node, from any thread.
    ///
    /// # Safety
    ///
    /// The node must stay allocated until it has been handed out by [`Inbox::take`] or [`Inbox::close`], and must not
    /// be in an inbox already.
    pub(crate) unsafe fn push(&self, node: NonNull<T>) -> Result<(), Closed> {
        // SAFETY: the caller keeps the node allocated.
        let link = unsafe { node.as_ref() }.link();
        // Most often it is the only one. (A look at the head beforehand would hide from loom that this depends on looks of
        // other threads.)
        let mut head = ptr::null_mut();
        loop {
            link.store(head, Ordering::Relaxed);
            // Release publishes the link and all the waker's thread did before. Acquire where it fails, since whoever is
            // refused may be the one who frees the node, and has to see all that the runtime thread did to it before it
            // closed the inbox.
            match self.head.compare_exchange_weak(
                head,
                node.as_ptr(),
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(()),
                Err(now) if now == Self::closed() => return Err(Closed),
                Err(now) => head = now,
            }
        }
    }

    /// Whether there is nothing to take. May be out of date at once.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Takes all nodes, in the order in which they were pushed. Runtime thread only.
    pub(crate) fn take(&self) -> Taken<T> {
        if self.is_empty() {
            return Taken { next: None };
        }
        self.empty_into(ptr::null_mut())
    }

    /// Takes all nodes and refuses further ones. Runtime thread only.
    pub(crate) fn close(&self) -> Taken<T> {
        self.empty_into(Self::closed())
    }

    fn empty_into(&self, head: *mut T) -> Taken<T> {
        let mut node = self.head.swap(head, Ordering::AcqRel);
        if node == Self::closed() {
            node = ptr::null_mut();
        }
        Taken { next: reverse(node) }
    }
}

/// Turns a taken stack into a queue, so that wakes are answered in the order in which they came.
fn reverse<T: Linked>(mut node: *mut T) -> Option<NonNull<T>> {
    let mut reversed = None::<NonNull<T>>;
    while let Some(current) = NonNull::new(node) {
        // SAFETY: a node in the inbox stays allocated until it is handed out, by the contract of `push`.
        let link = unsafe { current.as_ref() }.link();
        node = link.load(Ordering::Relaxed);
        link.store(reversed.map_or(ptr::null_mut(), NonNull::as_ptr), Ordering::Relaxed);
        reversed = Some(current);
    }
    reversed
}

/// Nodes taken out of an inbox, oldest first. What is not iterated over is lost to the caller.
pub(crate) struct Taken<T> {
    next: Option<NonNull<T>>,
}

impl<T: Linked> Iterator for Taken<T> {
    type Item = NonNull<T>;

    fn next(&mut self) -> Option<NonNull<T>> {
        let node = self.next?;
        // SAFETY: this node has not been handed out yet, so it is still allocated by the contract of `push`.
        self.next = NonNull::new(unsafe { node.as_ref() }.link().load(Ordering::Relaxed));
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Node {
        link: AtomicPtr<Node>,
        value: u32,
    }

    impl Linked for Node {
        fn link(&self) -> &AtomicPtr<Self> {
            &self.link
        }
    }

    fn node(value: u32) -> NonNull<Node> {
        NonNull::from(Box::leak(Box::new(Node { link: AtomicPtr::new(ptr::null_mut()), value })))
    }

    fn free(node: NonNull<Node>) -> u32 {
        // SAFETY: made by `node`, handed out by the inbox or refused by it, and freed once.
        unsafe { Box::from_raw(node.as_ptr()) }.value
    }

    fn push(inbox: &Inbox<Node>, node: NonNull<Node>) -> Result<(), Closed> {
        // SAFETY: the tests free a node only after it was handed out or refused.
        unsafe { inbox.push(node) }
    }

    #[cfg(not(loom))]
    #[test]
    fn nodes_come_out_in_the_order_in_which_they_went_in() {
        let inbox = Inbox::new();
        for value in 0..5 {
            push(&inbox, node(value)).unwrap();
        }
        assert_eq!(inbox.take().map(free).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert!(inbox.is_empty());
        assert_eq!(inbox.take().count(), 0);
    }

    #[cfg(not(loom))]
    #[test]
    fn a_closed_inbox_refuses() {
        let inbox = Inbox::new();
        push(&inbox, node(1)).unwrap();
        assert_eq!(inbox.close().map(free).collect::<Vec<_>>(), [1]);
        let late = node(2);
        assert_eq!(push(&inbox, late), Err(Closed));
        free(late);
        assert_eq!(inbox.close().count(), 0);
    }

    /// Two threads push while the runtime takes and then closes: every node is handed out once or refused.
    #[cfg(loom)]
    #[test]
    fn loom_every_node_is_handed_out_or_refused() {
        use loom::sync::Arc;
        use loom::thread;
        loom::model(|| {
            let inbox = Arc::new(Inbox::new());
            let threads: Vec<_> = (0..2)
                .map(|value| {
                    let inbox = inbox.clone();
                    thread::spawn(move || {
                        let node = node(value);
                        match push(&inbox, node) {
                            Ok(()) => 0,
                            Err(Closed) => {
                                free(node);
                                1
                            }
                        }
                    })
                })
                .collect();
            let taken = inbox.take().map(free).count();
            let rest = inbox.close().map(free).count();
            let refused: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(taken + rest + refused, 2);
        });
    }
}
