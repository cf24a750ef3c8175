//! Cases that run on every host, and are compared answer by answer.

mod journey;
