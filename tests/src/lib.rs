//! The product as users meet it.
