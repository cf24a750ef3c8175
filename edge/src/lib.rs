//! The Worker host of Portico.
